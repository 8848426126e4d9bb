//! What the application does with a screen, without knowing which one it is.

use std::time::Instant;

use serde_json::Value;
use stockroom_common::change::ChangeEvent;
use uuid::Uuid;

use crate::{
    messages::{call::Reply, context::Context},
    model::{names::Names, query::Query, show::Show},
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
    /// The tab is turned to, or the connection is back.
    fn show(&mut self, ctx: &mut Context<'_>);
    /// What the screen shows may be out of date: it reads again when it is next shown.
    fn expire(&mut self);
    fn is_loading(&self) -> bool;

    /// Somebody has changed something that the tab shows.
    fn change(&mut self, _change: &ChangeEvent, _ctx: &mut Context<'_>) {}

    /// When [`Screen::tick`] is due, if at all.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _ctx: &mut Context<'_>) {}

    fn resize(&mut self, _ctx: &mut Context<'_>) {}

    /// A click on a row, counted from the first one on the screen.
    fn click(&mut self, _row: usize, _ctx: &mut Context<'_>) {}

    /// Asks for the names of the rows that it refers to.
    fn want_names(&self, _names: &mut Names) {}

    /// The screen as one of rows; none where it shows something else.
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

    /// Takes a row that this client has just written, and selects it when the list is read again.
    fn put(&mut self, row: &Value);

    /// Takes the latest versions of rows, some of which may be listed.
    fn refresh_rows(&mut self, rows: &[Value], ctx: &mut Context<'_>);

    /// Whether the row is among those that are loaded.
    fn has_row(&self, id: Uuid) -> bool;

    /// How its columns are arranged, and its sort.
    fn memory(&self) -> (Vec<ColumnLayout>, String);
    fn restore(&mut self, memory: &ListMemory);

    /// The text for the clipboard.
    fn copy(&self, what: Command, show: Show<'_>) -> Option<String>;

    /// Goes to where the sort key has the value that was typed.
    fn go_to(&mut self, typed: &str, ctx: &mut Context<'_>);

    fn has_marks(&self) -> bool;
    fn clear_marks(&mut self);
}

/// The first line to show of `len` lines in `rows` rows, nearest to the present one: the selected line is visible, and no
/// row is left empty while there are lines before the first.
pub(crate) fn scrolled(top: usize, selected: usize, len: usize, rows: usize) -> usize {
    let lowest = (selected + 1).saturating_sub(rows);
    let highest = selected.min(len.saturating_sub(rows));
    top.clamp(lowest, highest.max(lowest))
}
