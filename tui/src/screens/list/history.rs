//! The history of the row in the detail pane. It is read when the pane opens, and again when the row changes.

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{
    change::{History, HistoryEntry},
    document::FieldChange,
};
use uuid::Uuid;

use super::ListScreen;
use crate::{
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
    },
    model::{
        entities,
        entity::Entity,
        names::{Names, Reference},
    },
};

/// Entries to read. Older ones are not shown here; the API lists them.
const LIMIT: usize = 30;

#[derive(Debug, Default)]
pub struct RowHistory {
    pub page: Option<History>,
    pub error: Option<String>,
    /// The row to which the history belongs, and its version.
    of: Option<(Uuid, i64)>,
    run: Option<u64>,
    /// Whether the last read failed; it is then repeated when the tab is next shown or the connection is back.
    retry: bool,
}

impl RowHistory {
    /// Requests the names of the rows to which the entries refer.
    pub(super) fn want_names(&self, names: &mut Names) {
        let entries = self.page.iter().flat_map(|page| &page.items);
        for change in entries.flat_map(|entry| &entry.changes) {
            for value in [&change.before, &change.after] {
                if let Some(reference) = reference(&change.pointer, value) {
                    names.want(reference);
                }
            }
        }
    }
}

/// The row to which a field in a history entry refers; none if the field is not a foreign key.
pub fn reference(pointer: &str, value: &Value) -> Option<Reference> {
    let field = pointer.rsplit('/').next()?;
    let tab = entities::of_foreign_key(field)?.tab;
    let id = value.as_str()?.parse().ok()?;
    Some(Reference { tab, id })
}

/// The changes of an entry to show.
pub fn shown_changes(entry: &HistoryEntry) -> impl Iterator<Item = &FieldChange> {
    // The total is left out: it follows from the order lines.
    let changes = entry.changes.iter();
    changes.filter(|change| change.pointer != "/total_minor")
}

impl<R: Entity> ListScreen<R> {
    /// Repeats a failed read, now that the connection is back or the tab is shown again.
    pub(super) fn retry_history(&mut self, ctx: &mut Context<'_>) {
        if std::mem::take(&mut self.history.retry) {
            self.history.of = None;
            self.read_history(ctx);
        }
    }

    /// Reads the history of the row in the detail pane, unless it is loaded for the row's current version.
    pub(super) fn read_history(&mut self, ctx: &mut Context<'_>) {
        if self.detail.is_none() {
            self.history = RowHistory::default();
            return;
        }
        let row = self.window.selected();
        let wanted = row.map(|row| (row.id().uuid(), row.version()));
        let Some((id, _)) = wanted.filter(|_| wanted != self.history.of) else {
            return;
        };
        if self.history.of.is_none_or(|(shown, _)| shown != id) {
            self.history = RowHistory::default();
        }
        let ticket = ctx.ticket(Owner::History(R::TAB));
        self.history.of = wanted;
        self.history.run = Some(ticket.run);
        let path = format!("/v1/{}/{id}/history?limit={LIMIT}", R::PATH);
        ctx.send(Call::new(ticket, Method::GET, path));
    }

    pub(super) fn take_history(&mut self, reply: &Reply) {
        let run = self.history.run;
        if run != Some(reply.ticket.run) {
            return;
        }
        self.history.run = None;
        self.history.retry = reply.result.is_err();
        match reply.read::<History>() {
            Ok(page) => (self.history.page, self.history.error) = (Some(page), None),
            Err(error) => self.history.error = Some(error),
        }
    }
}
