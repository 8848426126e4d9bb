//! The history of the row in the detail pane: read when the pane opens, and again when the row changes.

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
        context::Context,
        event::{Call, Owner, Reply},
    },
    model::{
        entity::{Entity, Reference, Tab},
        names::Names,
    },
};

/// Entries that are read; older ones are for the API.
const LIMIT: usize = 30;

#[derive(Debug, Default)]
pub struct Past {
    pub history: Option<History>,
    pub error: Option<String>,
    /// The row that it is of, and its version.
    of: Option<(Uuid, i64)>,
    run: Option<u64>,
    /// Whether reading failed: it is tried again once the link is back, or the pane is opened.
    is_to_be_read_again: bool,
}

impl Past {
    /// Names of the rows that the entries mention.
    pub(super) fn want_names(&self, names: &mut Names) {
        let entries = self.history.iter().flat_map(|history| &history.items);
        for change in entries.flat_map(|entry| &entry.changes) {
            for value in [&change.before, &change.after] {
                if let Some(reference) = reference(&change.pointer, value) {
                    names.want(reference);
                }
            }
        }
    }
}

/// The row that a field of a history refers to.
pub fn reference(pointer: &str, value: &Value) -> Option<Reference> {
    let tab = match pointer.rsplit('/').next()? {
        "customer_id" => Tab::Customers,
        "product_id" => Tab::Products,
        "category_id" => Tab::Categories,
        _ => return None,
    };
    let id = value.as_str()?.parse().ok()?;
    Some(Reference { tab, id })
}

/// What an entry tells beside its operation; order lines as one where they came and went.
pub fn told(entry: &HistoryEntry) -> impl Iterator<Item = &FieldChange> {
    // The total follows from the lines.
    let changes = entry.changes.iter();
    changes.filter(|change| change.pointer != "/total_minor")
}

impl<R: Entity> ListScreen<R> {
    /// The link is back, or the tab is.
    pub(super) fn read_past_again(&mut self, ctx: &mut Context<'_>) {
        if std::mem::take(&mut self.past.is_to_be_read_again) {
            self.past.of = None;
            self.read_past(ctx);
        }
    }

    /// Reads the history of the row in the pane where it is not the one that is shown.
    pub(super) fn read_past(&mut self, ctx: &mut Context<'_>) {
        if self.detail.is_none() {
            self.past = Past::default();
            return;
        }
        let row = self.window.selected();
        let wanted = row.map(|row| (row.id().uuid(), row.version()));
        let Some((id, _)) = wanted.filter(|_| wanted != self.past.of) else {
            return;
        };
        if self.past.of.is_none_or(|(shown, _)| shown != id) {
            self.past = Past::default();
        }
        let ticket = ctx.ticket(Owner::History(R::TAB));
        self.past.of = wanted;
        self.past.run = Some(ticket.run);
        let path = format!("/v1/{}/{id}/history?limit={LIMIT}", R::PATH);
        ctx.send(Call::new(ticket, Method::GET, path));
    }

    pub(super) fn take_past(&mut self, reply: &Reply) {
        if self
            .past
            .run
            .take_if(|run| *run == reply.ticket.run)
            .is_none()
        {
            return;
        }
        match &reply.result {
            Ok(answer) => match answer.read::<History>() {
                Ok(history) => {
                    self.past.error = None;
                    self.past.history = Some(history);
                }
                Err(error) => self.past.error = Some(error),
            },
            Err(failure) => {
                self.past.error = Some(failure.message().to_owned());
                self.past.is_to_be_read_again = true;
            }
        }
    }
}
