//! Undoes the last write. A row that somebody has changed since is left alone, and an error reports it.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_common::{Kind, bulk::BulkReport};
use uuid::Uuid;

use crate::{
    messages::{
        call::{Answer, Call, Failure, Owner, Precondition, Reply},
        context::Context,
        request::Request,
    },
    model::{
        tab::Tab,
        text,
        undo::{BulkKind, Undo, UndoAction},
    },
};

/// Writes that are kept to undo; beyond this the oldest is dropped.
const MAX: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct UndoHistory {
    /// Newest last.
    done: Vec<Undo>,
    /// The run of the call and the undo that is under way.
    pending: Option<(u64, Undo)>,
}

/// The message after undoing a bulk call. An error if some rows could not be restored.
fn bulk_message(answer: &Answer, label: &str, exception: &str) -> Result<String, String> {
    let report = answer.read::<BulkReport>()?;
    let (failed, rows) = (report.failed, report.rows.len());
    if failed == 0 {
        return Ok(format!("{label} are as they were{exception}."));
    }
    let why = report.rows.iter().find_map(|row| row.problem.as_ref());
    let why = why.map_or("", |problem| problem.detail.as_str());
    let why = text::clean(why);
    Err(match rows - failed {
        0 => format!("Not undone: {why}"),
        done => format!("Only {done} of {rows} are as they were: {why}"),
    })
}

impl UndoHistory {
    pub(crate) fn push(&mut self, undo: Undo) {
        if self.done.len() == MAX {
            self.done.remove(0);
        }
        self.done.push(undo);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// The label of the row that the last write created and that an undo would delete; none for other writes.
    pub(crate) fn would_delete(&self) -> Option<&str> {
        let last = self.done.last()?;
        matches!(last.action, UndoAction::Delete { .. }).then_some(last.label.as_str())
    }

    /// Sends the call that undoes the last write. Does nothing while another undo is under way.
    pub(crate) fn undo(&mut self, ctx: &mut Context<'_>) {
        if self.pending.is_some() {
            return;
        }
        let Some(undo) = self.done.pop() else { return };
        if !undo.is_possible() {
            let reason = undo
                .excluded
                .first()
                .map_or("", |excluded| excluded.reason());
            let label = text::clean(&undo.label);
            return ctx.error(format!("Not undone: {label}: {reason}."));
        }
        let ticket = ctx.ticket(Owner::Undo);
        let path = match &undo.action {
            UndoAction::Bulk { .. } => {
                format!("/v1/{}/bulk?on_error=reject_failed", undo.tab.path())
            }
            _ => format!("/v1/{}/{}", undo.tab.path(), undo.id),
        };
        let (method, body, precondition) = match &undo.action {
            UndoAction::None => return,
            UndoAction::Change { patch, version } => {
                let version = Precondition::Version(*version);
                (Method::PATCH, Some(patch.clone()), version)
            }
            UndoAction::Create { document, .. } => {
                (Method::PUT, Some(document.clone()), Precondition::Absent)
            }
            UndoAction::Delete { version } => {
                (Method::DELETE, None, Precondition::Version(*version))
            }
            UndoAction::Bulk { rows, kind } => {
                let mut rows = rows.clone();
                if *kind == BulkKind::Deleted {
                    // In a bulk call a version means that the row exists. Deleted rows are created again.
                    let members = rows.iter_mut().filter_map(Value::as_object_mut);
                    members.for_each(|row| drop(row.remove("version")));
                }
                (Method::POST, Some(rows.into()), Precondition::None)
            }
        };
        self.pending = Some((ticket.run, undo));
        ctx.send(Call {
            body,
            precondition,
            ..Call::new(ticket, method, path)
        });
    }

    /// Updates the undos of earlier writes to the same rows. The undo was itself a write, so the rows have a new
    /// version, which those undos must expect instead of the one before the undone write.
    fn update_versions(&mut self, undone: &Undo, answer: &Answer) {
        let now = |row: &Value| row["version"].as_i64();
        match &undone.action {
            // The row is deleted: no undo of an earlier write applies to it.
            UndoAction::Delete { .. } | UndoAction::None => {}
            UndoAction::Change { version, .. } => {
                let row: Option<Value> = answer.read().ok();
                self.set_version(
                    undone.tab,
                    undone.id,
                    version - 1,
                    row.as_ref().and_then(now),
                );
            }
            UndoAction::Create { version, .. } => {
                let row: Option<Value> = answer.read().ok();
                self.set_version(undone.tab, undone.id, *version, row.as_ref().and_then(now));
            }
            UndoAction::Bulk { rows, kind } => {
                let report = answer.read::<BulkReport>().unwrap_or_default();
                for (row, done) in rows.iter().zip(&report.rows) {
                    let id = row["id"].as_str().and_then(|id| id.parse().ok());
                    if let (Some(id), Some(version)) = (id, now(row)) {
                        let before = version - i64::from(*kind == BulkKind::Changed);
                        self.set_version(undone.tab, id, before, done.version);
                    }
                }
            }
        }
    }

    /// Makes the undos that expect version `before` of a row expect version `now`.
    fn set_version(&mut self, tab: Tab, row: Uuid, before: i64, now: Option<i64>) {
        let Some(now) = now else { return };
        for undo in self.done.iter_mut().filter(|undo| undo.tab == tab) {
            match &mut undo.action {
                UndoAction::Change { version, .. } | UndoAction::Delete { version }
                    if undo.id == row && *version == before =>
                {
                    *version = now;
                }
                UndoAction::Bulk {
                    rows,
                    kind: BulkKind::Changed,
                } => {
                    let id = row.to_string();
                    let same = rows
                        .iter_mut()
                        .filter(|row| row["id"] == id.as_str() && row["version"] == before);
                    same.for_each(|row| row["version"] = json!(now));
                }
                _ => {}
            }
        }
    }

    /// Handles the reply to an undo. If the server did not refuse it but the call failed, the undo can be tried again.
    pub(crate) fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some((_, undo)) = self.pending.take_if(|(run, _)| *run == reply.ticket.run) else {
            return;
        };
        let label = text::clean(&undo.label).into_owned();
        match &reply.result {
            Ok(answer) => {
                self.update_versions(&undo, answer);
                let (message, row) = match undo.action {
                    UndoAction::None => return,
                    UndoAction::Change { .. } => {
                        let exception = undo.exception("its");
                        (
                            format!("{label} is as it was{exception}."),
                            answer.read().ok(),
                        )
                    }
                    UndoAction::Create { .. } => (format!("{label} is back."), answer.read().ok()),
                    UndoAction::Delete { .. } => (format!("{label} is gone again."), None),
                    UndoAction::Bulk { .. } => {
                        match bulk_message(answer, &label, &undo.exception("their")) {
                            Ok(message) => (message, None),
                            Err(failure) => {
                                ctx.error(failure);
                                return ctx.request(Request::Expire);
                            }
                        }
                    }
                };
                let tab = undo.tab;
                ctx.request(Request::Written {
                    tab,
                    row,
                    message,
                    undo: None,
                });
            }
            Err(Failure::Refused(problem)) if problem.is(Kind::PreconditionFailed) => {
                ctx.error(format!("Not undone: {label} has changed since."));
                ctx.request(Request::Expire);
            }
            Err(Failure::Refused(problem)) => {
                ctx.error(format!("Not undone: {}", text::sentence(&problem.detail)));
            }
            Err(failure) => {
                ctx.error(format!("Not undone: {}", failure.message()));
                self.push(undo);
            }
        }
    }
}
