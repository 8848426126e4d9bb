//! Bulk calls that are under way, and their outcome.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_common::{
    bulk::{BulkReport, BulkRow, Outcome},
    document,
};
use uuid::Uuid;

use crate::{
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
        request::{Dialog, Request},
    },
    model::{
        intent::{Bulk, BulkAction, RowSnapshot},
        text,
        undo::{BulkKind, ExcludedField, Undo, UndoAction, split_excluded},
    },
};

/// The bulk calls under way, keyed by run.
#[derive(Debug, Default)]
pub(crate) struct Bulks(HashMap<u64, Bulk>);

impl Bulks {
    pub(crate) fn send(&mut self, bulk: Bulk, ctx: &mut Context<'_>) {
        let ticket = ctx.ticket(Owner::Bulk);
        ctx.send(Call {
            body: Some(bulk.body()),
            ..Call::new(ticket, Method::POST, bulk.path())
        });
        let rows = bulk.tab.count_label(bulk.rows.len());
        ctx.info(format!("Sending {rows}…"));
        self.0.insert(ticket.run, bulk);
    }

    pub(crate) fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some(bulk) = self.0.remove(&reply.ticket.run) else {
            return;
        };
        if reply.result.is_err() {
            // After a failed call it is unknown what was written: reads everything again.
            ctx.request(Request::Expire);
        }
        match reply.read::<BulkReport>() {
            Ok(report) => show(&bulk, &report, ctx),
            Err(error) => ctx.error(error),
        }
    }
}

fn show(bulk: &Bulk, report: &BulkReport, ctx: &mut Context<'_>) {
    let done = match bulk.action {
        BulkAction::Change(_) => (report.updated, "changed"),
        BulkAction::Delete => (report.deleted, "deleted"),
    };
    let others = [(report.unchanged, "unchanged"), (report.failed, "refused")];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    let counts = std::iter::once(done).chain(others);
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{} {what}", text::integer(count as i64)))
        .collect();
    let counts = counts.join(", ");
    ctx.request(Request::ClearMarks(bulk.tab));
    ctx.request(Request::Written {
        tab: bulk.tab,
        row: None,
        message: format!("{counts}."),
        undo: undo_of(bulk, report),
    });
    if report.failed > 0 {
        ctx.error(format!("{counts}."));
    }
    let rows = bulk.rows.values().zip(&report.rows);
    let refused = rows.filter_map(|(row, done)| {
        let problem = done.problem.as_ref()?;
        let label = text::clean(&row.label).into_owned();
        Some((label, text::clean(&problem.detail).into_owned()))
    });
    let refused: Vec<(String, String)> = refused.collect();
    if !refused.is_empty() {
        let title = format!("{}: {counts}", bulk.tab.title());
        ctx.open(Dialog::BulkOutcome { title, refused });
    }
}

/// The undo of a bulk call, which is also a single call. None if the call changed nothing.
fn undo_of(bulk: &Bulk, report: &BulkReport) -> Option<Undo> {
    let mut excluded = Vec::new();
    let rows = bulk.rows.iter().zip(&report.rows);
    let rows = rows.filter_map(|((id, row), done)| match (&bulk.action, done.outcome) {
        (BulkAction::Delete, Outcome::Deleted) => {
            let mut back = row.document.clone();
            back["id"] = json!(id);
            back["version"] = json!(row.version);
            Some(back)
        }
        (BulkAction::Change(fields), Outcome::Updated) => {
            undo_change(bulk, fields, (*id, row), done, &mut excluded)
        }
        _ => None,
    });
    let rows: Vec<Value> = rows.collect();
    if rows.is_empty() && excluded.is_empty() {
        return None;
    }
    let count = match rows.len() {
        0 => report.updated,
        count => count,
    };
    let action = if rows.is_empty() {
        UndoAction::None
    } else {
        let kind = match bulk.action {
            BulkAction::Change(_) => BulkKind::Changed,
            BulkAction::Delete => BulkKind::Deleted,
        };
        UndoAction::Bulk { rows, kind }
    };
    Some(Undo {
        tab: bulk.tab,
        id: *bulk.rows.keys().next()?,
        label: bulk.tab.count_label(count),
        action,
        excluded,
    })
}

/// The patch that restores the earlier values of a changed row; none if nothing can be undone. Adds to `excluded` the
/// fields that an undo leaves alone.
fn undo_change(
    bulk: &Bulk,
    fields: &Value,
    (id, row): (Uuid, &RowSnapshot),
    done: &BulkRow,
    excluded: &mut Vec<ExcludedField>,
) -> Option<Value> {
    let mut after = row.document.clone();
    document::merge(&mut after, fields.clone());
    let mut back = document::difference(&after, &row.document);
    for field in split_excluded(bulk.tab, &after, &mut back) {
        if !excluded.contains(&field) {
            excluded.push(field);
        }
    }
    if back == json!({}) {
        return None;
    }
    back["id"] = json!(id);
    back["version"] = json!(done.version);
    Some(back)
}
