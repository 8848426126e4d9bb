//! What every tab can do, whatever it shows.

use std::time::Instant;

use serde_json::Value;
use stockroom_common::change::ChangeEvent;
use uuid::Uuid;

use crate::{
    messages::{context::Context, event::Reply},
    model::{entity::Show, names::Names},
    screens::list::{Arranged, Query},
    settings::{
        keys::{Command, Scope},
        memory::ListMemory,
    },
};

/// The first of `len` lines that is shown in `rows` rows, next to the present one: the selected line is in sight, and no
/// row stays empty while there are lines before the first.
pub(crate) fn scrolled(top: usize, selected: usize, len: usize, rows: usize) -> usize {
    let lowest = (selected + 1).saturating_sub(rows);
    let highest = selected.min(len.saturating_sub(rows));
    top.clamp(lowest, highest.max(lowest))
}

/// What the application does with a tab, whatever it lists.
pub trait Screen {
    fn scope(&self) -> Scope;
    fn command(&mut self, command: Command, ctx: &mut Context<'_>);
    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>);
    /// The tab comes into sight, or the connection is back.
    fn show(&mut self, ctx: &mut Context<'_>);
    /// What the screen shows may be old: it reads again when it is next seen.
    fn expire(&mut self);
    fn is_loading(&self) -> bool;

    /// Takes a row that was just written, and selects it when the list is read again.
    fn put(&mut self, _row: &Value) {}

    /// Takes note of what somebody changed.
    fn change(&mut self, _change: &ChangeEvent, _ctx: &mut Context<'_>) {}

    /// Takes rows as they are now, some of which may be shown.
    fn renew(&mut self, _rows: &[Value], _ctx: &mut Context<'_>) {}

    /// Whether it shows the row, or may.
    fn holds(&self, _id: Uuid) -> bool {
        false
    }

    /// When something is to be done without anybody's doing.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _ctx: &mut Context<'_>) {}

    fn resize(&mut self, _ctx: &mut Context<'_>) {}

    fn query(&self) -> Query {
        Query::default()
    }

    fn set_query(&mut self, _query: Query, _ctx: &mut Context<'_>) {}

    fn want_names(&self, _names: &mut Names) {}

    /// How its columns are arranged, and how it is sorted.
    fn memory(&self) -> Option<(Vec<Arranged>, String)> {
        None
    }

    fn remember(&mut self, _memory: &ListMemory) {}

    /// What goes to the clipboard.
    fn copied(&self, _what: Command, _show: Show<'_>) -> Option<String> {
        None
    }

    /// Goes to where the sort key has the value that was typed.
    fn goto(&mut self, _typed: &str, _ctx: &mut Context<'_>) {}

    /// Takes a click on the row that stands so far below the header.
    fn click(&mut self, _row: usize, _ctx: &mut Context<'_>) {}

    fn clear_marks(&mut self) {}

    fn has_marks(&self) -> bool {
        false
    }
}
