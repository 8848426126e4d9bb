//! What is done to the rows of a list: edit, delete, export.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::Value;
use stockroom_common::document;
use uuid::Uuid;

use super::{ListScreen, commands::consequence};
use crate::{
    app::undo::{Undo, Way},
    dialogs::{
        form::Form,
        line::Line,
        overlay::{Choice, Confirm, Consent, Export, Menu, Overlay},
    },
    messages::{
        context::{Context, Wish},
        event::{Call, Owner, Precondition, Reply},
    },
    model::{
        entity::{Entity, Tab},
        text,
    },
};

/// A row that is to be deleted, and what it takes to bring it back.
#[derive(Clone, Debug)]
pub struct Deletion {
    tab: Tab,
    id: Uuid,
    version: i64,
    label: String,
    document: Value,
}

/// Rows whose deletion is under way, by run.
#[derive(Debug, Default)]
pub struct Deletions(HashMap<u64, Deletion>);

impl<R: Entity> ListScreen<R> {
    pub(super) fn edit(&mut self, ctx: &mut Context<'_>) {
        match self.window.selected() {
            Some(row) => ctx.wish(Wish::Open(Overlay::Form(Box::new(Form::edit(
                row, ctx.zone,
            ))))),
            None => ctx.bad("There is no row to edit."),
        }
    }

    pub(super) fn ask_delete(&mut self, ctx: &mut Context<'_>) {
        let Some(row) = self.window.selected() else {
            return ctx.bad("There is no row to delete.");
        };
        ctx.wish(Wish::Open(Overlay::Confirm(Confirm {
            typed: None,
            question: format!("Delete {} {}?", R::NAME, text::clean(&row.label())),
            consequence: consequence(R::TAB).into(),
            yes: Consent::Delete(Box::new(Deletion {
                tab: R::TAB,
                id: row.id().uuid(),
                version: row.version(),
                label: row.label(),
                document: document::to_value(&row.document()),
            })),
        })));
    }

    pub(super) fn ask_export(&self, ctx: &mut Context<'_>) {
        if self.query.only.is_some() {
            return ctx.bad("This is one row; press Esc for the list that is to be exported.");
        }
        let pairs = self.narrowing();
        let mut pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
        if !pairs.is_empty() {
            pairs.push('&');
        }
        ctx.wish(Wish::Open(Overlay::Export(Export {
            path: format!("/v1/{}/export?{pairs}", R::PATH),
            ids: None,
            line: Line::new(format!("{}.csv", R::PATH)),
        })));
    }

    /// All orders that the server knows, in both directions.
    pub(super) fn sort_menu(&self) -> Menu {
        let lines: Vec<(String, String)> = R::SORTS
            .iter()
            .flat_map(|key| {
                let words = key.replace("_minor", "").replace('_', " ");
                [
                    (format!("{words} ↑"), (*key).to_owned()),
                    (format!("{words} ↓"), format!("-{key}")),
                ]
            })
            .collect();
        let current = self.sort();
        let selected = lines.iter().position(|(_, sort)| sort == current);
        let lines = lines
            .into_iter()
            .map(|(words, sort)| (words, Choice::Sort(sort)));
        Menu {
            title: "Sort by".into(),
            selected: selected.unwrap_or_default(),
            lines: lines.collect(),
        }
    }
}

impl Deletions {
    /// Deletes a row, where it still is as one saw it.
    pub fn begin(&mut self, deletion: Deletion, ctx: &mut Context<'_>) {
        let ticket = ctx.ticket(Owner::Delete(deletion.tab));
        let path = format!("/v1/{}/{}", deletion.tab.path(), deletion.id);
        ctx.send(Call {
            precondition: Precondition::Version(deletion.version),
            ..Call::new(ticket, Method::DELETE, path)
        });
        self.0.insert(ticket.run, deletion);
    }

    /// Tells how it went.
    pub fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some(deletion) = self.0.remove(&reply.ticket.run) else {
            return;
        };
        let Deletion {
            tab,
            id,
            version,
            label,
            document,
        } = deletion;
        match &reply.result {
            Ok(_) => {
                let toast = format!("Deleted {}.", text::clean(&label));
                let way = Way::Create { document, version };
                let undo = Some(Undo {
                    tab,
                    id,
                    label,
                    way,
                    kept: Vec::new(),
                });
                ctx.wish(Wish::Written {
                    tab,
                    row: None,
                    toast,
                    undo,
                });
            }
            Err(failure) => {
                // Where the row has changed, one sees how before one tries again.
                ctx.wish(Wish::Expire);
                ctx.bad(failure.message());
            }
        }
    }
}
