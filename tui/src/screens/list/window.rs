//! The pages of a list that are held: a few neighbouring ones, so that memory does not grow however
//! far one scrolls, with the cursors that lead on at both ends.

use std::collections::VecDeque;

/// Pages that are held at the most.
const MAX_PAGES: usize = 5;

#[derive(Debug)]
pub struct Window<R> {
    pages: VecDeque<Held<R>>,
    /// How many rows of the list come before those held; unknown after a jump to the end.
    before: Option<u64>,
    /// The selected row, counted from the first one held.
    selected: usize,
    /// The row at the top of the screen, likewise.
    top: usize,
}

#[derive(Debug)]
pub struct Held<R> {
    pub rows: Vec<R>,
    pub via: Via,
    pub next: Option<String>,
    pub prev: Option<String>,
}

/// How a page was reached, and can be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    First,
    /// The path of the last page.
    Last(String),
    /// From a value of the sort key on.
    Seek(String),
    Cursor(String),
}

impl<R> Default for Window<R> {
    fn default() -> Self {
        Self {
            pages: VecDeque::new(),
            before: Some(0),
            selected: 0,
            top: 0,
        }
    }
}

impl<R> Window<R> {
    pub fn len(&self) -> usize {
        self.pages.iter().map(|page| page.rows.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn rows(&self) -> impl Iterator<Item = &R> {
        self.pages.iter().flat_map(|page| &page.rows)
    }

    pub const fn selected_index(&self) -> usize {
        self.selected
    }

    pub const fn top(&self) -> usize {
        self.top
    }

    pub fn selected(&self) -> Option<&R> {
        self.rows().nth(self.selected)
    }

    /// The number of the selected row in the whole list, from 1, where it is known.
    pub fn position(&self) -> Option<u64> {
        Some(self.before? + self.selected as u64 + 1)
    }

    /// Whether every row of the list is held.
    pub fn is_whole(&self) -> bool {
        self.next().is_none() && self.prev().is_none()
    }

    pub fn next(&self) -> Option<&str> {
        self.pages.back()?.next.as_deref()
    }

    pub fn prev(&self) -> Option<&str> {
        self.pages.front()?.prev.as_deref()
    }

    /// Moves the selection by that many rows; true where the rows held did not reach.
    pub fn move_by(&mut self, rows: isize, height: usize) -> bool {
        let last = self.len().saturating_sub(1);
        let wanted = self.selected.saturating_add_signed(rows);
        let short = wanted > last || (rows < 0 && self.selected < rows.unsigned_abs());
        self.selected = wanted.min(last);
        self.scroll(height);
        short
    }

    pub fn select(&mut self, index: usize, height: usize) {
        self.selected = index.min(self.len().saturating_sub(1));
        self.scroll(height);
    }

    /// Keeps the selection in sight, and the screen full where there are rows to fill it.
    pub fn scroll(&mut self, height: usize) {
        let height = height.max(1);
        let lowest_top = (self.selected + 1).saturating_sub(height);
        self.top = self.top.clamp(lowest_top, self.selected.max(lowest_top));
        self.top = self.top.min(self.len().saturating_sub(height));
    }

    /// How the page with the selected row was reached, and how many rows come before that page.
    pub fn via_selected(&self) -> (Via, Option<u64>) {
        let mut first = 0;
        for page in &self.pages {
            if self.selected < first + page.rows.len() {
                return (
                    page.via.clone(),
                    self.before.map(|before| before + first as u64),
                );
            }
            first += page.rows.len();
        }
        (Via::First, Some(0))
    }

    /// The place of the selected row in its page.
    pub fn offset_in_page(&self) -> usize {
        let mut offset = self.selected;
        for page in &self.pages {
            if offset < page.rows.len() {
                break;
            }
            offset -= page.rows.len();
        }
        offset
    }

    /// Puts a newer version in the place of a row that is held.
    pub fn put<K: PartialEq>(&mut self, row: R, key: impl Fn(&R) -> K) {
        let mut rows = self.pages.iter_mut().flat_map(|page| &mut page.rows);
        if let Some(old) = rows.find(|old| key(old) == key(&row)) {
            *old = row;
        }
    }

    /// Forgets everything and begins with this page.
    pub fn replace(&mut self, page: Held<R>, before: Option<u64>) {
        self.pages.clear();
        // A page without a way back is the first, whatever led there.
        self.before = if page.prev.is_none() { Some(0) } else { before };
        self.pages.push_back(page);
        self.selected = self.selected.min(self.len().saturating_sub(1));
    }

    /// Adds the page after the last one held.
    pub fn push_next(&mut self, page: Held<R>) {
        if page.rows.is_empty() {
            // What came next has been deleted meanwhile.
            if let Some(last) = self.pages.back_mut() {
                last.next = None;
            }
            return;
        }
        let is_full = self.pages.len() == MAX_PAGES;
        if is_full
            && self
                .pages
                .front()
                .is_some_and(|front| self.selected < front.rows.len())
        {
            // Who asked for it has gone back to the other end; it can be asked for again.
            return;
        }
        self.pages.push_back(page);
        if is_full && let Some(dropped) = self.pages.pop_front() {
            let rows = dropped.rows.len();
            self.before = self.before.map(|before| before + rows as u64);
            self.selected = self.selected.saturating_sub(rows);
            self.top = self.top.saturating_sub(rows);
        }
    }

    /// Adds the page before the first one held.
    pub fn push_prev(&mut self, page: Held<R>) {
        let rows = page.rows.len();
        let is_first = page.prev.is_none();
        if rows == 0 {
            if let Some(first) = self.pages.front_mut() {
                first.prev = None;
            }
            self.before = Some(0);
            return;
        }
        let is_full = self.pages.len() == MAX_PAGES;
        let after = self.len() - self.pages.back().map_or(0, |back| back.rows.len());
        if is_full && self.selected >= after {
            return;
        }
        self.before = self.before.map(|before| before.saturating_sub(rows as u64));
        if is_first {
            // Rows that others added or deleted before ours make no difference any more.
            self.before = Some(0);
        }
        self.pages.push_front(page);
        self.selected += rows;
        self.top += rows;
        if is_full {
            self.pages.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: usize, last: usize) -> Held<usize> {
        Held {
            rows: (first..last).collect(),
            via: Via::Cursor(first.to_string()),
            next: Some(last.to_string()),
            prev: Some(first.to_string()).filter(|_| first > 0),
        }
    }

    #[test]
    fn the_window_slides_and_keeps_its_place() {
        let mut window = Window::default();
        window.replace(page(0, 10), Some(0));
        for first in (10..100).step_by(10) {
            window.select(window.len() - 1, 8);
            window.push_next(page(first, first + 10));
            assert_eq!(window.selected(), Some(&(first - 1)));
        }
        assert_eq!(window.len(), 50);
        assert_eq!(window.position(), Some(90));
        for first in (0..50).step_by(10).rev() {
            window.select(0, 8);
            let selected = *window.selected().unwrap();
            window.push_prev(page(first, first + 10));
            assert_eq!(window.selected(), Some(&selected));
            assert_eq!(window.len(), 50);
        }
        assert_eq!(window.prev(), None);
        assert_eq!(window.position(), Some(11));
    }

    #[test]
    fn the_selection_stays_in_sight() {
        let mut window = Window::default();
        window.replace(page(0, 30), Some(0));
        assert!(!window.move_by(9, 10));
        assert_eq!(window.top(), 0);
        assert!(!window.move_by(1, 10));
        assert_eq!(window.top(), 1);
        assert!(window.move_by(100, 10));
        assert_eq!((window.top(), window.selected_index()), (20, 29));
        assert!(!window.move_by(-29, 10));
        assert_eq!(window.top(), 0);
        assert!(window.move_by(-1, 10));
        window.select(29, 10);
        window.scroll(40);
        assert_eq!(window.top(), 0);
    }

    #[test]
    fn the_place_is_unknown_after_a_jump_until_the_first_row_is_met() {
        let mut window = Window::default();
        window.replace(page(90, 100), None);
        assert_eq!(window.position(), None);
        window.push_prev(page(0, 90));
        assert_eq!(window.position(), Some(91));
    }
}
