//! Actions on the rows of a list: edit, delete, export, and the menu of sort keys.

use stockroom_common::document;

use super::{
    ListScreen,
    commands::{consequence, sort_label},
};
use crate::{
    messages::{
        context::Context,
        request::{Confirm, Dialog, Menu, MenuItem, Request},
    },
    model::{
        entity::Entity,
        form_spec::FormSpec,
        intent::{Deletion, RowSnapshot},
        text,
    },
};

/// The current state of a row, as the user sees it when choosing an action.
pub(super) fn snapshot<R: Entity>(row: &R) -> RowSnapshot {
    RowSnapshot {
        label: row.label(),
        version: row.version(),
        document: document::to_value(&row.document()),
    }
}

impl<R: Entity> ListScreen<R> {
    pub(super) fn edit(&mut self, ctx: &mut Context<'_>) {
        match self.window.selected() {
            Some(row) => ctx.open(Dialog::Form(FormSpec::edit(row))),
            None => ctx.error("There is no row to edit."),
        }
    }

    pub(super) fn ask_delete(&mut self, ctx: &mut Context<'_>) {
        let Some(row) = self.window.selected() else {
            return ctx.error("There is no row to delete.");
        };
        ctx.confirm(Confirm {
            question: format!("Delete {} {}?", R::NAME, text::clean(&row.label())),
            consequence: consequence(R::TAB).into(),
            typed: None,
            on_yes: Request::Delete(Box::new(Deletion {
                tab: R::TAB,
                id: row.id().uuid(),
                row: snapshot(row),
            })),
        });
    }

    pub(super) fn ask_export(&self, ctx: &mut Context<'_>) {
        if self.query.only.is_some() {
            return ctx.error("This is a single row; press Esc for the list, then export that.");
        }
        let pairs = self.list_parameters();
        let mut pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
        if !pairs.is_empty() {
            pairs.push('&');
        }
        ctx.open(Dialog::Export {
            path: format!("/v1/{}/export?{pairs}", R::PATH),
            ids: None,
            file: format!("{}.csv", R::PATH),
        });
    }

    /// A menu of all sort keys, each in both directions.
    pub(super) fn sort_menu(&self) -> Menu {
        let keys = R::SORTS.iter();
        let sorts: Vec<(String, String)> = keys
            .flat_map(|key| {
                let label = sort_label(key);
                [
                    (format!("{label} ↑"), (*key).to_owned()),
                    (format!("{label} ↓"), format!("-{key}")),
                ]
            })
            .collect();
        let selected = sorts.iter().position(|(_, sort)| sort == self.sort());
        let items = sorts.into_iter();
        let items = items.map(|(label, sort)| MenuItem::new(label, Request::SortBy(sort)));
        Menu {
            title: "Sort by".into(),
            items: items.collect(),
            selected: selected.unwrap_or_default(),
        }
    }
}
