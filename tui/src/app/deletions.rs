//! Deletions of single rows that are under way.

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

/// By the run of the call.
#[derive(Debug, Default)]
pub(crate) struct Deletions(HashMap<u64, Deletion>);

impl Deletions {
    /// Deletes a row, unless somebody has changed it since it was shown.
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
            // If the row has changed, the list shows how before anybody tries again.
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
            kept: Vec::new(),
        };
        ctx.request(Request::Written {
            tab,
            row: None,
            message,
            undo: Some(undo),
        });
    }
}
