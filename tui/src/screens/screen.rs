//! The interface between the application and its screens.

use std::time::Instant;

use serde_json::Value;
use stockroom_common::change::ChangeEvent;
use uuid::Uuid;

use crate::{
    messages::{call::Reply, context::Context},
    model::{names::Names, query::Query, show::Formatter},
    settings::{
        keys::{Command, Scope},
        memory::{ColumnLayout, ListMemory},
    },
};

/// The screen of a tab.
pub trait Screen {
    fn scope(&self) -> Scope;
    fn command(&mut self, command: Command, ctx: &mut Context<'_>);
    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>);
    /// Called when the tab is opened or the connection is back: loads what is missing or out of date.
    fn show(&mut self, ctx: &mut Context<'_>);
    /// Marks the data as out of date, so that it is read again when the screen is next shown.
    fn expire(&mut self);
    fn is_loading(&self) -> bool;

    /// Handles a change to data that the tab shows, by this or another client. Called only while the tab is shown;
    /// other tabs get [`Screen::expire`].
    fn change(&mut self, _change: &ChangeEvent, _ctx: &mut Context<'_>) {}

    /// When [`Screen::tick`] is due, if at all.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _ctx: &mut Context<'_>) {}

    fn resize(&mut self, _ctx: &mut Context<'_>) {}

    /// Handles a click on a row, counted from the first one on the screen.
    fn click(&mut self, _row: usize, _ctx: &mut Context<'_>) {}

    /// Requests the names of the rows to which the screen refers.
    fn want_names(&self, _names: &mut Names) {}

    /// The screen as a [`RowScreen`]; none if it does not list rows of an entity.
    fn as_rows(&self) -> Option<&dyn RowScreen> {
        None
    }

    fn as_rows_mut(&mut self) -> Option<&mut dyn RowScreen> {
        None
    }
}

/// A screen that lists rows of an entity.
pub trait RowScreen {
    fn query(&self) -> Query;
    fn set_query(&mut self, query: Query, ctx: &mut Context<'_>);

    /// Shows a row that this client has just written, and selects it when the list is next read.
    fn put(&mut self, row: &Value);

    /// Replaces loaded rows with newer versions. Ignores rows that are not loaded.
    fn refresh_rows(&mut self, rows: &[Value], ctx: &mut Context<'_>);

    /// Whether the row is loaded.
    fn has_row(&self, id: Uuid) -> bool;

    /// The arrangement of the columns and the sort, to save for the next run.
    fn memory(&self) -> (Vec<ColumnLayout>, String);
    fn restore(&mut self, memory: &ListMemory);

    /// The text to copy to the clipboard; none if nothing is selected.
    fn copy(&self, what: Command, formatter: Formatter<'_>) -> Option<String>;

    /// Jumps to the row at which the sort key has the typed value.
    fn go_to(&mut self, typed: &str, ctx: &mut Context<'_>);

    fn has_marks(&self) -> bool;
    fn clear_marks(&mut self);
}

/// The index of the first line to show, if `rows` of `len` lines fit: as close to `top` as possible, with the selected
/// line visible and no empty rows while lines are hidden above.
pub(crate) fn scrolled(top: usize, selected: usize, len: usize, rows: usize) -> usize {
    let lowest = (selected + 1).saturating_sub(rows);
    let highest = selected.min(len.saturating_sub(rows));
    top.clamp(lowest, highest.max(lowest))
}
