//! One thing done to many rows by one call, and what has become of each.

use std::collections::{BTreeMap, HashMap};

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_common::{
    bulk::{BulkReport, Outcome},
    document,
};
use uuid::Uuid;

use crate::{
    app::undo::{self, Many, Undo, Way},
    messages::{
        context::{Context, Wish},
        event::{Call, Owner, Reply},
    },
    model::{entity::Tab, text},
    screens::list::Marked,
    settings::keys::Command,
};

/// What is to be done, and to which rows.
#[derive(Clone, Debug)]
pub struct Bulk {
    pub tab: Tab,
    pub action: Action,
    pub rows: BTreeMap<Uuid, Marked>,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Gives these fields these values.
    Change(Value),
    Delete,
}

/// Calls that are under way, by run.
#[derive(Debug, Default)]
pub struct Bulks(HashMap<u64, Bulk>);

/// What a call has done, where not all of it was done.
#[derive(Debug)]
pub struct Outcomes {
    pub title: String,
    /// Rows that were refused, each with the reason.
    pub refused: Vec<(String, String)>,
    /// The first that is seen.
    pub top: usize,
}

impl Bulk {
    /// The rows as the API takes them. A row that has changed since one saw it is left alone.
    fn body(&self) -> Value {
        let rows = self.rows.iter().map(|(id, row)| {
            let mut sent = json!({"id": id, "version": row.version});
            if let Action::Change(fields) = &self.action {
                document::merge(&mut sent, fields.clone());
            }
            sent
        });
        rows.collect()
    }

    fn path(&self) -> String {
        let call = match self.action {
            Action::Change(_) => "bulk",
            Action::Delete => "bulk-delete",
        };
        format!("/v1/{}/{call}?on_error=reject_failed", self.tab.path())
    }

    /// How what was done is taken back: by one call too.
    fn undo(&self, report: &BulkReport) -> Option<Undo> {
        let mut kept = Vec::new();
        let rows = self.rows.iter().zip(&report.rows);
        let rows = rows.filter_map(|((id, row), done)| match (&self.action, done.outcome) {
            (Action::Delete, Outcome::Deleted) => {
                let mut back = row.document.clone();
                back["id"] = json!(id);
                back["version"] = json!(row.version);
                Some(back)
            }
            (Action::Change(fields), Outcome::Updated) => {
                let mut after = row.document.clone();
                document::merge(&mut after, fields.clone());
                let mut back = document::difference(&after, &row.document);
                for what in undo::split_kept(self.tab, &after, &mut back) {
                    if !kept.contains(&what) {
                        kept.push(what);
                    }
                }
                if back == json!({}) {
                    return None;
                }
                back["id"] = json!(id);
                back["version"] = json!(done.version);
                Some(back)
            }
            _ => None,
        });
        let rows: Vec<Value> = rows.collect();
        let of = match self.action {
            Action::Change(_) => Many::Changed,
            Action::Delete => Many::Deleted,
        };
        if rows.is_empty() && kept.is_empty() {
            return None;
        }
        let count = match rows.len() {
            0 => report.updated,
            count => count,
        };
        Some(Undo {
            tab: self.tab,
            id: *self.rows.keys().next()?,
            label: format!("{} {}", text::integer(count as i64), self.tab.path()),
            way: match rows.is_empty() {
                true => Way::None,
                false => Way::Many { rows, of },
            },
            kept,
        })
    }
}

impl Bulks {
    pub fn begin(&mut self, bulk: Bulk, ctx: &mut Context<'_>) {
        let ticket = ctx.ticket(Owner::Bulk);
        ctx.send(Call {
            body: Some(bulk.body()),
            ..Call::new(ticket, Method::POST, bulk.path())
        });
        let count = text::integer(bulk.rows.len() as i64);
        ctx.good(format!("Sent {count} {}; one moment.", bulk.tab.path()));
        self.0.insert(ticket.run, bulk);
    }

    pub fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some(bulk) = self.0.remove(&reply.ticket.run) else {
            return;
        };
        let report = match &reply.result {
            Ok(answer) => answer.read::<BulkReport>(),
            Err(failure) => {
                // What became of it is not known where there was no answer.
                ctx.wish(Wish::Expire);
                return ctx.bad(failure.message());
            }
        };
        match report {
            Ok(report) => tell(&bulk, &report, ctx),
            Err(error) => ctx.bad(error),
        }
    }
}

fn tell(bulk: &Bulk, report: &BulkReport, ctx: &mut Context<'_>) {
    let done = match bulk.action {
        Action::Change(_) => format!("{} changed", text::integer(report.updated as i64)),
        Action::Delete => format!("{} deleted", text::integer(report.deleted as i64)),
    };
    let mut words = vec![done];
    if report.unchanged > 0 {
        words.push(format!(
            "{} already so",
            text::integer(report.unchanged as i64)
        ));
    }
    if report.failed > 0 {
        words.push(format!("{} refused", text::integer(report.failed as i64)));
    }
    let words = words.join(", ");
    ctx.wish(Wish::ClearMarks(bulk.tab));
    ctx.wish(Wish::Written {
        tab: bulk.tab,
        row: None,
        toast: format!("{words}."),
        undo: bulk.undo(report),
    });
    if report.failed > 0 {
        ctx.bad(format!("{words}."));
    }
    let refused = bulk
        .rows
        .values()
        .zip(&report.rows)
        .filter_map(|(row, done)| {
            let problem = done.problem.as_ref()?;
            let label = text::clean(&row.label).into_owned();
            Some((label, text::clean(&problem.detail).into_owned()))
        });
    let refused: Vec<(String, String)> = refused.collect();
    if !refused.is_empty() {
        let title = format!("{}: {words}", bulk.tab.title());
        ctx.wish(Wish::Outcomes(Outcomes {
            title,
            refused,
            top: 0,
        }));
    }
}

impl Outcomes {
    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let last = self.refused.len().saturating_sub(1);
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(last),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows / 2),
            Command::PageDown => self.top = (self.top + ctx.rows / 2).min(last),
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}
