//! Deletions of single rows that are under way, and their outcome.

use std::collections::HashMap;

use reqwest::Method;

use crate::{
    messages::{
        call::{Call, Owner, Precondition, Reply},
        context::Context,
        request::Request,
    },
    model::{
        intent::Deletion,
        text,
        undo::{Undo, UndoAction},
    },
};

/// The deletions under way, keyed by run.
#[derive(Debug, Default)]
pub(crate) struct Deletions(HashMap<u64, Deletion>);

impl Deletions {
    /// Deletes a row, on condition that nobody has changed it since it was shown.
    pub(crate) fn send(&mut self, deletion: Deletion, ctx: &mut Context<'_>) {
        let ticket = ctx.ticket(Owner::Delete(deletion.tab));
        let path = format!("/v1/{}/{}", deletion.tab.path(), deletion.id);
        ctx.send(Call {
            precondition: Precondition::Version(deletion.row.version),
            ..Call::new(ticket, Method::DELETE, path)
        });
        self.0.insert(ticket.run, deletion);
    }

    pub(crate) fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some(Deletion { tab, id, row }) = self.0.remove(&reply.ticket.run) else {
            return;
        };
        if let Err(failure) = &reply.result {
            // The row may have changed: the list shows its current state before the user tries again.
            ctx.request(Request::Expire);
            return ctx.error(failure.message());
        }
        let message = format!("Deleted {}.", text::clean(&row.label));
        let undo = Undo {
            tab,
            id,
            label: row.label,
            action: UndoAction::Create {
                document: row.document,
                version: row.version,
            },
            excluded: Vec::new(),
        };
        ctx.request(Request::Written {
            tab,
            row: None,
            message,
            undo: Some(undo),
        });
    }
}
