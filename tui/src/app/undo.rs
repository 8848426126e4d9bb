//! Taking back what was just done: what was saved, deleted or changed in bulk here, and what undoes it. A row that has
//! moved on since is left alone, and one is told.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_common::{Kind, OrderStatus, bulk::BulkReport, document};
use uuid::Uuid;

use crate::{
    messages::{
        context::{Context, Wish},
        event::{Answer, Call, Failure, Owner, Precondition, Reply},
    },
    model::{entity::Tab, text},
};

/// Writes that can be taken back, the last one first.
const MAX: usize = 100;

/// How a write is taken back.
#[derive(Clone, Debug)]
pub struct Undo {
    pub tab: Tab,
    pub id: Uuid,
    /// What the row is called.
    pub label: String,
    pub way: Way,
    /// What was changed as well and stays as it is.
    pub kept: Vec<Kept>,
}

/// What undoing leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Orders move it meanwhile.
    Stock,
    /// The rules of orders refuse the way back.
    Status,
}

impl Kept {
    const fn word(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Status => "status",
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Stock => "stock is not taken back, for orders may have moved it since",
            Self::Status => "an order does not go back to an earlier status",
        }
    }
}

#[derive(Clone, Debug)]
pub enum Way {
    /// All that was changed stays as it is; it is here so that undoing does not take an earlier write for the last.
    None,
    /// Gives fields the values that they had, where the row still is at that version.
    Change { patch: Value, version: i64 },
    /// Creates the row again, under its id, that was deleted at that version.
    Create { document: Value, version: i64 },
    /// Deletes what was created, where it still is at that version.
    Delete { version: i64 },
    /// Writes many rows as they were, by one call.
    Many { rows: Vec<Value>, of: Many },
}

/// What was done to many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    Changed,
    Deleted,
}

#[derive(Debug, Default)]
pub struct History {
    done: Vec<Undo>,
    under_way: Option<(u64, Undo)>,
}

impl Undo {
    /// Of a change from one document to another, which gave the row this version. None where nothing is
    /// left that may be undone.
    pub fn of_change(tab: Tab, row: &Value, before: &Value, after: &Value) -> Option<Self> {
        let mut patch = document::difference(after, before);
        let kept = split_kept(tab, after, &mut patch);
        let way = match patch == json!({}) {
            true if kept.is_empty() => return None,
            true => Way::None,
            false => Way::Change {
                patch,
                version: row["version"].as_i64()?,
            },
        };
        let undo = Self::of(tab, row, way)?;
        Some(Self { kept, ..undo })
    }

    /// Whether anything is taken back.
    pub const fn is_possible(&self) -> bool {
        !matches!(self.way, Way::None)
    }

    /// Such as ", but for its stock".
    fn exception(&self, whose: &str) -> String {
        let kept: Vec<&str> = self.kept.iter().map(|kept| kept.word()).collect();
        match kept.is_empty() {
            true => String::new(),
            false => format!(", but for {whose} {}", kept.join(" and ")),
        }
    }

    pub fn of_creation(tab: Tab, row: &Value) -> Option<Self> {
        let version = row["version"].as_i64()?;
        Self::of(tab, row, Way::Delete { version })
    }

    fn of(tab: Tab, row: &Value, way: Way) -> Option<Self> {
        let label = row["number"].as_str().or(row["name"].as_str());
        Some(Self {
            tab,
            id: row["id"].as_str()?.parse().ok()?,
            label: label.unwrap_or_default().into(),
            way,
            kept: Vec::new(),
        })
    }
}

/// Takes out of what undoing sends what is left alone, and tells what that is: the stock of a product, and a status where
/// the rules of orders refuse the way back.
pub(crate) fn split_kept(tab: Tab, after: &Value, patch: &mut Value) -> Vec<Kept> {
    let status = |document: &Value| document["status"].as_str()?.parse::<OrderStatus>().ok();
    let kept = match tab {
        Tab::Products => Kept::Stock,
        Tab::Orders => match (status(after), status(patch)) {
            (Some(now), Some(before)) if !now.may_become(before) => Kept::Status,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let taken = patch
        .as_object_mut()
        .and_then(|members| members.remove(kept.word()));
    taken.map(|_| kept).into_iter().collect()
}

/// How taking back many went; an error where some are not as they were.
fn told_of_many(answer: &Answer, label: &str, exception: &str) -> Result<String, String> {
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

impl History {
    pub fn push(&mut self, undo: Undo) {
        if self.done.len() == MAX {
            self.done.remove(0);
        }
        self.done.push(undo);
    }

    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// What the last write created, and undoing would delete.
    pub fn would_delete(&self) -> Option<&str> {
        let last = self.done.last()?;
        matches!(last.way, Way::Delete { .. }).then_some(last.label.as_str())
    }

    /// Takes back the last write.
    pub fn undo(&mut self, ctx: &mut Context<'_>) {
        if self.under_way.is_some() {
            return;
        }
        let Some(undo) = self.done.pop() else { return };
        if !undo.is_possible() {
            let reason = undo.kept.first().map_or("", |kept| kept.reason());
            let label = text::clean(&undo.label);
            return ctx.bad(format!("Not undone: {label}: {reason}."));
        }
        let ticket = ctx.ticket(Owner::Undo);
        let path = match &undo.way {
            Way::Many { .. } => format!("/v1/{}/bulk?on_error=reject_failed", undo.tab.path()),
            _ => format!("/v1/{}/{}", undo.tab.path(), undo.id),
        };
        let (method, body, precondition) = match &undo.way {
            Way::None => return,
            Way::Change { patch, version } => {
                let version = Precondition::Version(*version);
                (Method::PATCH, Some(patch.clone()), version)
            }
            Way::Create { document, .. } => {
                (Method::PUT, Some(document.clone()), Precondition::Absent)
            }
            Way::Delete { version } => (Method::DELETE, None, Precondition::Version(*version)),
            Way::Many { rows, of } => {
                let mut rows = rows.clone();
                if *of == Many::Deleted {
                    // A version says that the row is there.
                    let members = rows.iter_mut().filter_map(Value::as_object_mut);
                    members.for_each(|row| drop(row.remove("version")));
                }
                (Method::POST, Some(rows.into()), Precondition::None)
            }
        };
        self.under_way = Some((ticket.run, undo));
        ctx.send(Call {
            body,
            precondition,
            ..Call::new(ticket, method, path)
        });
    }

    /// Taking back is a write too: what was done to the row before goes on from the version that it has now.
    fn follow(&mut self, undone: &Undo, answer: &Answer) {
        let now = |row: &Value| row["version"].as_i64();
        match &undone.way {
            // The row is gone, and with it what was done to it.
            Way::Delete { .. } | Way::None => {}
            Way::Change { version, .. } => {
                let row: Option<Value> = answer.read().ok();
                self.rename(
                    undone.tab,
                    undone.id,
                    version - 1,
                    row.as_ref().and_then(now),
                );
            }
            Way::Create { version, .. } => {
                let row: Option<Value> = answer.read().ok();
                self.rename(undone.tab, undone.id, *version, row.as_ref().and_then(now));
            }
            Way::Many { rows, of } => {
                let report = answer.read::<BulkReport>().unwrap_or_default();
                for (row, done) in rows.iter().zip(&report.rows) {
                    let id = row["id"].as_str().and_then(|id| id.parse().ok());
                    if let (Some(id), Some(version)) = (id, now(row)) {
                        let before = version - i64::from(*of == Many::Changed);
                        self.rename(undone.tab, id, before, done.version);
                    }
                }
            }
        }
    }

    /// What left a row at one version finds it at another.
    fn rename(&mut self, tab: Tab, row: Uuid, before: i64, now: Option<i64>) {
        let Some(now) = now else { return };
        for undo in self.done.iter_mut().filter(|undo| undo.tab == tab) {
            match &mut undo.way {
                Way::Change { version, .. } | Way::Delete { version }
                    if undo.id == row && *version == before =>
                {
                    *version = now;
                }
                Way::Many {
                    rows,
                    of: Many::Changed,
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

    /// Tells how it went. What was not reached can be undone once more.
    pub fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some((_, undo)) = self.under_way.take_if(|(run, _)| *run == reply.ticket.run) else {
            return;
        };
        let label = text::clean(&undo.label).into_owned();
        match &reply.result {
            Ok(answer) => {
                self.follow(&undo, answer);
                let (toast, row) = match undo.way {
                    Way::None => return,
                    Way::Change { .. } => {
                        let exception = undo.exception("its");
                        (
                            format!("{label} is as it was{exception}."),
                            answer.read().ok(),
                        )
                    }
                    Way::Create { .. } => (format!("{label} is back."), answer.read().ok()),
                    Way::Delete { .. } => (format!("{label} is gone again."), None),
                    Way::Many { .. } => {
                        match told_of_many(answer, &label, &undo.exception("their")) {
                            Ok(toast) => (toast, None),
                            Err(failure) => {
                                ctx.bad(failure);
                                return ctx.wish(Wish::Expire);
                            }
                        }
                    }
                };
                let tab = undo.tab;
                ctx.wish(Wish::Written {
                    tab,
                    row,
                    toast,
                    undo: None,
                });
            }
            Err(Failure::Refused(problem)) if problem.is(Kind::PreconditionFailed) => {
                ctx.bad(format!("Not undone: {label} has changed since."));
                ctx.wish(Wish::Expire);
            }
            Err(Failure::Refused(problem)) => {
                ctx.bad(format!("Not undone: {}", text::sentence(&problem.detail)));
            }
            Err(failure) => {
                ctx.bad(format!("Not undone: {}", failure.message()));
                self.push(undo);
            }
        }
    }
}
