//! Marked rows, on any page of the list. One bulk call changes or deletes all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stockroom_common::{OrderStatus, bulk::MAX_ROWS};
use uuid::Uuid;

use super::{ListScreen, actions::snapshot};
use crate::{
    messages::{
        context::Context,
        request::{Confirm, Dialog, Menu, MenuItem, Request},
    },
    model::{
        entity::Entity,
        intent::{Bulk, BulkAction, RowSnapshot},
        tab::Tab,
        text,
    },
};

pub const MARKED: &str = "✓";
pub const CHANGED: &str = "•";
pub const MARKED_AND_CHANGED: &str = "◉";
pub const DELETED: &str = "✗";
/// The symbols in front of rows, with their meaning for the help.
pub const LEGEND: &[(&str, &str)] = &[
    (MARKED, "You have marked it"),
    (CHANGED, "Somebody has just changed it"),
    (MARKED_AND_CHANGED, "Marked, and just changed"),
    (DELETED, "Somebody has deleted it"),
];

#[derive(Debug, Default)]
pub struct Marks {
    rows: BTreeMap<Uuid, RowSnapshot>,
    /// The row that was marked last: the start of a range.
    last: Option<Uuid>,
}

impl Marks {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has(&self, id: Uuid) -> bool {
        self.rows.contains_key(&id)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Marks a row. False if [`MAX_ROWS`], the limit of one bulk call, is reached.
    fn put<R: Entity>(&mut self, row: &R) -> bool {
        let has_room = self.rows.len() < MAX_ROWS || self.has(row.id().uuid());
        if has_room {
            self.rows.insert(row.id().uuid(), snapshot(row));
        }
        self.last = Some(row.id().uuid());
        has_room
    }

    fn put_all<'a, R: Entity>(&mut self, rows: impl Iterator<Item = &'a R>, ctx: &mut Context<'_>) {
        let unmarked = rows.filter(|row| !self.put(*row)).count();
        if unmarked > 0 {
            let most = text::integer(MAX_ROWS as i64);
            ctx.error(format!("Only {most} rows can be marked."));
        }
    }
}

impl<R: Entity> ListScreen<R> {
    /// Marks or unmarks the selected row, and selects the next one.
    pub(super) fn toggle_mark(&mut self, ctx: &mut Context<'_>) {
        let Some(row) = self.window.selected() else {
            return;
        };
        if self.marks.rows.remove(&row.id().uuid()).is_none() {
            self.marks.put_all(std::iter::once(row), ctx);
        }
        self.move_by(1, ctx);
    }

    /// Marks the rows from the one that was marked last to the selected one.
    pub(super) fn mark_range(&mut self, ctx: &mut Context<'_>) {
        let here = self.window.selected_index();
        let mut rows = self.window.rows();
        let last = rows.position(|row| Some(row.id().uuid()) == self.marks.last);
        let (first, last) = match last {
            Some(last) => (here.min(last), here.max(last)),
            None => (here, here),
        };
        let range = self.window.rows().skip(first).take(last - first + 1);
        self.marks.put_all(range, ctx);
    }

    /// Marks every loaded row.
    pub(super) fn mark_loaded(&mut self, ctx: &mut Context<'_>) {
        self.marks.put_all(self.window.rows(), ctx);
        if !self.window.is_complete() {
            let marked = text::integer(self.marks.len() as i64);
            ctx.info(format!("{marked} rows marked: those that are loaded."));
        }
    }

    /// The rows that an action applies to: the marked ones, or else the selected one.
    fn targets(&self, height: usize) -> BTreeMap<Uuid, RowSnapshot> {
        if !self.marks.is_empty() {
            let mut rows = self.marks.rows.clone();
            // The user has seen the current version of the rows on the screen. Other rows keep the version that was
            // marked, so that the server refuses the action if somebody has changed them since.
            for row in self.window.rows().skip(self.window.top()).take(height) {
                rows.entry(row.id().uuid())
                    .and_modify(|known| *known = snapshot(row));
            }
            return rows;
        }
        let row = self.window.selected();
        row.map(|row| (row.id().uuid(), snapshot(row)))
            .into_iter()
            .collect()
    }

    pub(super) fn ask_delete_marked(&self, ctx: &mut Context<'_>) {
        let rows = self.targets(ctx.rows);
        ctx.confirm(Confirm {
            question: format!("Delete {}?", R::TAB.count_label(rows.len())),
            consequence: format!(
                "{}. Rows that the server refuses to delete stay, and are listed.",
                names(&rows)
            ),
            typed: None,
            on_yes: Request::Bulk(Box::new(Bulk {
                tab: R::TAB,
                action: BulkAction::Delete,
                rows,
            })),
        });
    }

    /// Opens the menu of bulk actions.
    pub(super) fn bulk_menu(&self, ctx: &mut Context<'_>) {
        let rows = self.targets(ctx.rows);
        if rows.is_empty() {
            return ctx.error("There is no row to change.");
        }
        let change = |fields: Value| {
            Request::Bulk(Box::new(Bulk {
                tab: R::TAB,
                action: BulkAction::Change(fields),
                rows: rows.clone(),
            }))
        };
        let count = rows.len();
        let mut items = match R::TAB {
            _ if !ctx.may_change => Vec::new(),
            Tab::Orders => OrderStatus::ALL
                .iter()
                .map(|status| {
                    let change = change(json!({"status": status}));
                    let request = if count == 1 {
                        change
                    } else {
                        ask_status(*status, count, change)
                    };
                    MenuItem::new(format!("make {status}"), request)
                })
                .collect(),
            Tab::Products => vec![
                MenuItem::new("make active", change(json!({"active": true}))),
                MenuItem::new("make inactive", change(json!({"active": false}))),
            ],
            _ => Vec::new(),
        };
        let ids = rows.keys().copied().collect();
        items.push(MenuItem::new(
            "export to a file",
            Request::ExportRows(R::TAB, ids),
        ));
        ctx.open(Dialog::Menu(Menu {
            title: R::TAB.count_label(count),
            items,
            selected: 0,
        }));
    }
}

/// Wraps a change of several orders' status in a confirmation: an order cannot return to an earlier status.
fn ask_status(status: OrderStatus, count: usize, change: Request) -> Request {
    Request::Open(Box::new(Dialog::Confirm(Confirm {
        question: format!("Make {} orders {status}?", text::integer(count as i64)),
        consequence: "An order cannot return to an earlier status. Orders that cannot take this one stay as they are, \
            and are listed."
            .into(),
        typed: None,
        on_yes: change,
    })))
}

/// The labels of the first rows, and how many more there are.
fn names(rows: &BTreeMap<Uuid, RowSnapshot>) -> String {
    const NAMED: usize = 4;
    let first: Vec<_> = rows
        .values()
        .take(NAMED)
        .map(|row| text::clean(&row.label))
        .collect();
    match rows.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!(
            "{} and {} more",
            first.join(", "),
            text::integer(more as i64)
        ),
    }
}
