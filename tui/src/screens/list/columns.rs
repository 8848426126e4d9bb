//! Which columns a list shows, in which order and how wide. The entity defines the default; the user can change it.

use crate::{
    model::entity::{Column, Entity, Width},
    settings::memory::ColumnLayout,
};

/// The range of widths that the user can set, in terminal columns.
const WIDTHS: std::ops::RangeInclusive<u16> = 4..=120;
/// Terminal columns by which one key press changes a width.
const STEP: u16 = 2;

/// The columns of one list.
#[derive(Debug)]
pub struct Columns {
    /// All columns in display order, including hidden ones.
    layout: Vec<ColumnLayout>,
    /// Index of the selected column, among the visible ones.
    selected: usize,
}

impl Columns {
    /// The default columns of the entity.
    pub fn of<R: Entity>() -> Self {
        let layout = R::COLUMNS.iter().map(|column| ColumnLayout {
            title: column.title.into(),
            is_hidden: false,
            width: None,
        });
        Self {
            layout: layout.collect(),
            selected: 0,
        }
    }

    /// Restores a saved arrangement. Columns that no longer exist are dropped, and new ones are added at the end.
    /// Ignores an arrangement that would hide every column.
    pub fn restore<R: Entity>(&mut self, remembered: &[ColumnLayout]) {
        let own = Self::of::<R>().layout;
        let is_own = |known: &&ColumnLayout| own.iter().any(|column| column.title == known.title);
        let mut layout: Vec<ColumnLayout> = remembered.iter().filter(is_own).cloned().collect();
        let others = own
            .iter()
            .filter(|column| layout.iter().all(|known| known.title != column.title));
        let others: Vec<ColumnLayout> = others.cloned().collect();
        layout.extend(others);
        if layout.iter().any(|column| !column.is_hidden) {
            self.layout = layout;
        }
    }

    /// The arrangement to save; empty if it is the default.
    pub fn to_memory<R: Entity>(&self) -> Vec<ColumnLayout> {
        if self.layout == Self::of::<R>().layout {
            return Vec::new();
        }
        self.layout.clone()
    }

    /// The visible columns, each with its width.
    pub fn shown<R: Entity>(&self) -> Vec<(&'static Column<R>, Width)> {
        let shown = self.visible().filter_map(|known| {
            let column = R::COLUMNS
                .iter()
                .find(|column| column.title == known.title)?;
            let width = known.width.map_or(column.width, Width::Fixed);
            Some((column, width))
        });
        shown.collect()
    }

    /// Index of the selected column, among the visible ones.
    pub const fn selected(&self) -> usize {
        self.selected
    }

    pub fn selected_column<R: Entity>(&self) -> Option<&'static Column<R>> {
        let known = self.visible().nth(self.selected)?;
        R::COLUMNS.iter().find(|column| column.title == known.title)
    }

    pub fn select_by(&mut self, columns: isize) {
        let last = self.visible().count().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(columns).min(last);
    }

    /// Hides the selected column and returns its title. None if it is the last visible one, which cannot be hidden.
    pub fn hide(&mut self) -> Option<String> {
        if self.visible().count() < 2 {
            return None;
        }
        let index = self.index()?;
        self.layout[index].is_hidden = true;
        let title = self.layout[index].title.clone();
        self.select_by(0);
        Some(title)
    }

    /// Restores the default columns.
    pub fn reset<R: Entity>(&mut self) {
        *self = Self::of::<R>();
    }

    /// Moves the selected column to the place of a visible neighbour, that many columns away.
    pub fn move_column_by(&mut self, columns: isize) {
        let from = self.index();
        self.select_by(columns);
        let to = self.index();
        if let (Some(from), Some(to)) = (from, to) {
            let column = self.layout.remove(from);
            self.layout.insert(to, column);
        }
    }

    pub fn resize<R: Entity>(&mut self, resize: Resize) {
        let Some(index) = self.index() else { return };
        let column = &mut self.layout[index];
        let own = R::COLUMNS.iter().find(|known| known.title == column.title);
        let now = column.width.or(own.map(|own| own.width.least()));
        let now = now.unwrap_or_default();
        let wanted = match resize {
            Resize::Grow => now.saturating_add(STEP),
            Resize::Shrink => now.saturating_sub(STEP),
        };
        column.width = Some(wanted.clamp(*WIDTHS.start(), *WIDTHS.end()));
    }

    fn visible(&self) -> impl Iterator<Item = &ColumnLayout> {
        self.layout.iter().filter(|column| !column.is_hidden)
    }

    /// Index of the selected column, among all columns.
    fn index(&self) -> Option<usize> {
        let mut visible = (0..self.layout.len()).filter(|at| !self.layout[*at].is_hidden);
        visible.nth(self.selected)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    Grow,
    Shrink,
}

#[cfg(test)]
mod tests {
    use stockroom_common::Order;

    use super::*;

    fn titles(columns: &Columns) -> Vec<&'static str> {
        let shown = columns.shown::<Order>();
        shown.iter().map(|(column, _)| column.title).collect()
    }

    #[test]
    fn columns_are_hidden_carried_and_widened_and_remembered_so() {
        let mut columns = Columns::of::<Order>();
        assert_eq!(columns.to_memory::<Order>(), []);
        columns.select_by(1);
        assert_eq!(columns.hide().as_deref(), Some("Number"));
        columns.move_column_by(1);
        columns.resize::<Order>(Resize::Grow);
        let expected = ["Placed", "Status", "Customer", "Lines", "Total", "Note"];
        assert_eq!(titles(&columns), expected);
        assert_eq!(
            columns.selected_column::<Order>().unwrap().title,
            "Customer"
        );
        assert_eq!(columns.shown::<Order>()[2].1, Width::Fixed(16));
        let mut again = Columns::of::<Order>();
        again.restore::<Order>(&columns.to_memory::<Order>());
        assert_eq!(titles(&again), expected);
        again.reset::<Order>();
        assert_eq!(titles(&again), titles(&Columns::of::<Order>()));
    }

    #[test]
    fn what_is_remembered_of_another_version_does_no_harm() {
        let mut columns = Columns::of::<Order>();
        let known = |title: &str, is_hidden| ColumnLayout {
            title: title.into(),
            is_hidden,
            width: None,
        };
        columns.restore::<Order>(&[known("Colour", false), known("Total", false)]);
        assert_eq!(titles(&columns)[..2], ["Total", "Placed"]);
        let none: Vec<ColumnLayout> = titles(&columns)
            .iter()
            .map(|title| known(title, true))
            .collect();
        columns.restore::<Order>(&none);
        assert!(!titles(&columns).is_empty());
    }

    #[test]
    fn the_last_column_stays() {
        let mut columns = Columns::of::<Order>();
        for _ in 0..20 {
            columns.hide();
        }
        assert_eq!(titles(&columns).len(), 1);
    }
}
