//! Rows that are marked, wherever in the list they stand, so that one thing can be done to all of them by
//! one call.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stockroom_common::{OrderStatus, bulk::MAX_ROWS, document};
use uuid::Uuid;

use super::ListScreen;
use crate::{
    app::bulk::{Action, Bulk},
    dialogs::overlay::{Choice, Confirm, Consent, Menu, Overlay},
    messages::context::{Context, Wish},
    model::{
        entity::{Entity, Tab},
        text,
    },
};

/// A marked row, as one saw it.
#[derive(Clone, Debug)]
pub struct Marked {
    pub label: String,
    pub version: i64,
    pub document: Value,
}

#[derive(Debug, Default)]
pub struct Marks {
    rows: BTreeMap<Uuid, Marked>,
    /// The row that was marked last, where a range begins.
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

    /// Marks a row; false where as many are marked as one call takes.
    fn put<R: Entity>(&mut self, row: &R) -> bool {
        let has_room = self.rows.len() < MAX_ROWS || self.has(row.id().uuid());
        if has_room {
            self.rows.insert(row.id().uuid(), marked(row));
        }
        self.last = Some(row.id().uuid());
        has_room
    }

    fn put_all<'a, R: Entity>(&mut self, rows: impl Iterator<Item = &'a R>, ctx: &mut Context<'_>) {
        let unmarked = rows.filter(|row| !self.put(*row)).count();
        if unmarked > 0 {
            let most = text::integer(MAX_ROWS as i64);
            ctx.bad(format!("{most} rows are marked; one call takes no more."));
        }
    }
}

fn marked<R: Entity>(row: &R) -> Marked {
    Marked {
        label: row.label(),
        version: row.version(),
        document: document::to_value(&row.document()),
    }
}

impl<R: Entity> ListScreen<R> {
    /// Marks the row, or takes its mark away, and goes on to the next.
    pub(super) fn toggle_mark(&mut self, ctx: &mut Context<'_>) {
        let Some(row) = self.window.selected() else {
            return;
        };
        if self.marks.rows.remove(&row.id().uuid()).is_none() {
            self.marks.put_all(std::iter::once(row), ctx);
        }
        self.move_by(1, ctx);
    }

    /// Marks from the row that was marked last to this one.
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

    /// Marks every row that is held.
    pub(super) fn mark_held(&mut self, ctx: &mut Context<'_>) {
        self.marks.put_all(self.window.rows(), ctx);
        if !self.window.is_whole() {
            let marked = text::integer(self.marks.len() as i64);
            ctx.good(format!("{marked} rows marked, as far as they were read."));
        }
    }

    /// The rows that something is to be done to: those marked, or the selected one.
    fn targets(&self, height: usize) -> BTreeMap<Uuid, Marked> {
        if !self.marks.is_empty() {
            let mut rows = self.marks.rows.clone();
            // What others did meanwhile was seen where the row is in sight.
            for row in self.window.rows().skip(self.window.top()).take(height) {
                rows.entry(row.id().uuid())
                    .and_modify(|known| *known = marked(row));
            }
            return rows;
        }
        let row = self.window.selected();
        row.map(|row| (row.id().uuid(), marked(row)))
            .into_iter()
            .collect()
    }

    pub(super) fn ask_delete_marked(&self, ctx: &mut Context<'_>) {
        let rows = self.targets(ctx.rows);
        let count = rows.len();
        ctx.wish(Wish::Open(Overlay::Confirm(Confirm {
            typed: None,
            question: format!(
                "Delete {} {}?",
                text::integer(count as i64),
                plural::<R>(count)
            ),
            consequence: format!(
                "{}. Those that the server refuses stay, and are named.",
                names(&rows)
            ),
            yes: Consent::Bulk(Box::new(Bulk {
                tab: R::TAB,
                action: Action::Delete,
                rows,
            })),
        })));
    }

    /// What can be done to several rows at once.
    pub(super) fn bulk_menu(&self, ctx: &mut Context<'_>) {
        let rows = self.targets(ctx.rows);
        if rows.is_empty() {
            return ctx.bad("There is no row to do anything to.");
        }
        let bulk = |change: Value| {
            Box::new(Bulk {
                tab: R::TAB,
                action: Action::Change(change),
                rows: rows.clone(),
            })
        };
        let change = |title: &str, change: Value| (title.to_owned(), Choice::Bulk(bulk(change)));
        let mut lines = match R::TAB {
            _ if !ctx.may_change => Vec::new(),
            Tab::Orders => OrderStatus::ALL
                .iter()
                .map(|status| {
                    let bulk = bulk(json!({"status": status}));
                    let choice = match rows.len() {
                        1 => Choice::Bulk(bulk),
                        count => Choice::Ask(Box::new(ask_status(*status, count, bulk))),
                    };
                    (format!("make {status}"), choice)
                })
                .collect(),
            Tab::Products => vec![
                change("make active", json!({"active": true})),
                change("make inactive", json!({"active": false})),
            ],
            _ => Vec::new(),
        };
        lines.push((
            "export to a file".into(),
            Choice::ExportRows(R::TAB, rows.keys().copied().collect()),
        ));
        let count = rows.len();
        ctx.wish(Wish::Open(Overlay::Menu(Menu {
            title: format!("{} {}", text::integer(count as i64), plural::<R>(count)),
            lines,
            selected: 0,
        })));
    }
}

/// Orders do not go back to an earlier status, so one asks before many go forward.
fn ask_status(status: OrderStatus, count: usize, bulk: Box<Bulk>) -> Confirm {
    Confirm {
        typed: None,
        question: format!("Make {} orders {status}?", text::integer(count as i64)),
        consequence: "An order does not go back to an earlier status. Those that cannot take this one stay as they \
            are, and are named."
            .into(),
        yes: Consent::Bulk(bulk),
    }
}

fn plural<R: Entity>(count: usize) -> &'static str {
    match count {
        1 => R::NAME,
        _ => R::PATH,
    }
}

/// The first few by name.
fn names(rows: &BTreeMap<Uuid, Marked>) -> String {
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
