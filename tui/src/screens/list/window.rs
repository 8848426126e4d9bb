//! The loaded pages of a list: a few consecutive ones, with the cursors to the pages before and after them. Pages at
//! the other end are dropped while scrolling, so memory use is bounded.

use std::collections::VecDeque;

/// Pages that are loaded at most.
const MAX_PAGES: usize = 5;

/// The loaded pages, the selected row and the scroll position.
#[derive(Debug)]
pub struct Window<R> {
    pages: VecDeque<LoadedPage<R>>,
    /// How many rows of the list precede the loaded ones; unknown after a jump to the end or to a value.
    before: Option<u64>,
    /// Index of the selected row, counted from the first loaded row.
    selected: usize,
    /// Index of the row at the top of the screen, counted the same way.
    top: usize,
}

/// A page, with the cursors of its neighbours.
#[derive(Debug)]
pub struct LoadedPage<R> {
    pub rows: Vec<R>,
    pub source: PageSource,
    pub next: Option<String>,
    pub prev: Option<String>,
}

/// How a page was reached. The same request reads it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageSource {
    First,
    /// The path of the last page.
    Last(String),
    /// The page that starts at this value of the sort key.
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

    /// The position of the selected row in the whole list, from 1, if known.
    pub fn position(&self) -> Option<u64> {
        Some(self.before? + self.selected as u64 + 1)
    }

    /// Whether every row of the list is loaded.
    pub fn is_complete(&self) -> bool {
        self.next().is_none() && self.prev().is_none()
    }

    /// The cursor of the page after the loaded ones.
    pub fn next(&self) -> Option<&str> {
        self.pages.back()?.next.as_deref()
    }

    /// The cursor of the page before the loaded ones.
    pub fn prev(&self) -> Option<&str> {
        self.pages.front()?.prev.as_deref()
    }

    /// Moves the selection by that many rows. True if it stopped at the first or last loaded row.
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

    /// Scrolls so that the selection is visible, and leaves no empty rows at the bottom while rows are hidden above.
    pub fn scroll(&mut self, height: usize) {
        let height = height.max(1);
        let lowest_top = (self.selected + 1).saturating_sub(height);
        self.top = self.top.clamp(lowest_top, self.selected.max(lowest_top));
        self.top = self.top.min(self.len().saturating_sub(height));
    }

    /// How the page with the selected row was reached, and how many rows of the list precede that page, if known.
    pub fn source_of_selected(&self) -> (PageSource, Option<u64>) {
        let mut first = 0;
        for page in &self.pages {
            if self.selected < first + page.rows.len() {
                return (
                    page.source.clone(),
                    self.before.map(|before| before + first as u64),
                );
            }
            first += page.rows.len();
        }
        (PageSource::First, Some(0))
    }

    /// Index of the selected row in its page.
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

    /// Replaces a loaded row with another version; ignores a row that is not loaded.
    pub fn put<K: PartialEq>(&mut self, row: R, key: impl Fn(&R) -> K) {
        let mut rows = self.pages.iter_mut().flat_map(|page| &mut page.rows);
        if let Some(old) = rows.find(|old| key(old) == key(&row)) {
            *old = row;
        }
    }

    /// Drops all pages and starts with this one. `before` is the number of rows that precede it, if known.
    pub fn replace(&mut self, page: LoadedPage<R>, before: Option<u64>) {
        self.pages.clear();
        // A page without a previous page is the first one, however it was reached.
        self.before = if page.prev.is_none() { Some(0) } else { before };
        self.pages.push_back(page);
        self.selected = self.selected.min(self.len().saturating_sub(1));
    }

    /// Adds the page after the last loaded one, and drops the first page if there are too many.
    pub fn push_next(&mut self, page: LoadedPage<R>) {
        if page.rows.is_empty() {
            // The rows of the next page have been deleted since the cursor was issued.
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
            // The selection has moved to the first page, which would be dropped. The new page is ignored; it can be
            // requested again.
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

    /// Adds the page before the first loaded one, and drops the last page if there are too many. Ignores the new page
    /// if the selection is on the last one.
    pub fn push_prev(&mut self, page: LoadedPage<R>) {
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
            // This is the first page: corrects a count that went wrong because others added or deleted rows before it.
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
    use proptest::prelude::*;

    use super::*;

    fn page(first: usize, last: usize) -> LoadedPage<usize> {
        LoadedPage {
            rows: (first..last).collect(),
            source: PageSource::Cursor(first.to_string()),
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

    /// What may happen to a list of 300 rows.
    #[derive(Clone, Debug)]
    enum Step {
        Move(isize),
        Next(usize),
        Prev(usize),
        Scroll(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (-40..40_isize).prop_map(Step::Move),
            (1..40_usize).prop_map(Step::Next),
            (1..40_usize).prop_map(Step::Prev),
            (1..60_usize).prop_map(Step::Scroll),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_walk_shows_consecutive_rows_and_keeps_the_selection(
            steps in proptest::collection::vec(step(), 0..80),
            start in 0..290_usize,
        ) {
            const ROWS: usize = 300;
            let mut window = Window::default();
            window.replace(page(start, start + 10), Some(start as u64));
            let mut height = 10;
            for step in steps {
                let selected = window.selected().copied();
                let (first, last) = (*window.rows().next().unwrap(), *window.rows().last().unwrap());
                match step {
                    Step::Move(rows) => {
                        window.move_by(rows, height);
                    }
                    Step::Scroll(rows) => {
                        height = rows;
                        window.scroll(height);
                    }
                    Step::Next(rows) if last + 1 < ROWS => {
                        window.push_next(page(last + 1, (last + 1 + rows).min(ROWS)));
                        prop_assert_eq!(window.selected().copied(), selected);
                    }
                    Step::Prev(rows) if first > 0 => {
                        window.push_prev(page(first.saturating_sub(rows), first));
                        prop_assert_eq!(window.selected().copied(), selected);
                    }
                    Step::Next(_) | Step::Prev(_) => {}
                }
                let rows: Vec<usize> = window.rows().copied().collect();
                prop_assert!(rows.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rows:?}");
                prop_assert!(window.pages.len() <= MAX_PAGES);
                let selected = *window.selected().unwrap();
                prop_assert_eq!(window.position(), Some(selected as u64 + 1));
                window.scroll(height);
                let top = window.top();
                prop_assert!(top <= window.selected_index() && window.selected_index() < top + height);
            }
        }
    }
}
