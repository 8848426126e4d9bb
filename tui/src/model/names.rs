//! Names of rows that others refer to, so that the screens show `Ada Lovelace` and not a UUID. They
//! are asked for in one call a resource, and only while something on the screen wants them.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{Page, page};
use uuid::Uuid;

use crate::{
    messages::{
        context::Context,
        event::{Call, Owner, Reply, Ticket},
    },
    model::entity::{Reference, Tab},
};

/// Names that are kept; beyond this all are forgotten and those in sight asked for again.
const MAX_NAMES: usize = 20_000;
/// How long a failed call waits before it is made again.
const RETRY: Duration = Duration::from_secs(2);
/// Names that one call asks for.
const BATCH: usize = page::MAX_LIMIT as usize;

#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<Uuid, String>,
    wanted: HashMap<Tab, HashSet<Uuid>>,
    asked: HashMap<Tab, (u64, Vec<Uuid>)>,
    /// Not before this instant, after a call that failed.
    ask_at: Option<Instant>,
}

impl Names {
    pub fn get(&self, id: Uuid) -> Option<&str> {
        self.known.get(&id).map(String::as_str)
    }

    pub fn want(&mut self, reference: Reference) {
        if !self.known.contains_key(&reference.id) {
            self.wanted
                .entry(reference.tab)
                .or_default()
                .insert(reference.id);
        }
    }

    pub fn learn(&mut self, id: Uuid, name: String) {
        self.known.insert(id, name);
    }

    /// Forgets everything: names may have changed while nobody looked.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    pub const fn deadline(&self) -> Option<Instant> {
        self.ask_at
    }

    /// Forgets a name that has changed.
    pub fn forget(&mut self, id: Uuid) {
        self.known.remove(&id);
    }

    /// Asks for what is wanted, one call at a time for each resource.
    pub fn ask(&mut self, ctx: &mut Context<'_>) {
        if self.ask_at.is_some_and(|at| at > ctx.now) {
            return;
        }
        self.ask_at = None;
        for (tab, wanted) in &mut self.wanted {
            if self.asked.contains_key(tab) || wanted.is_empty() {
                continue;
            }
            let mut batch: Vec<Uuid> = wanted.iter().copied().take(BATCH).collect();
            batch.sort();
            batch.iter().for_each(|id| {
                wanted.remove(id);
            });
            let ids: Vec<String> = batch.iter().map(Uuid::to_string).collect();
            let ticket = ctx.ticket(Owner::Names(*tab));
            self.asked.insert(*tab, (ticket.run, batch));
            ctx.send(Call::new(
                ticket,
                Method::GET,
                format!("/v1/{}?id={}", tab.path(), ids.join(",")),
            ));
        }
    }

    pub fn reply(&mut self, tab: Tab, reply: &Reply, ctx: &Context<'_>) {
        let Ticket { run, .. } = reply.ticket;
        let Some((_, batch)) = self.asked.remove(&tab).filter(|(asked, _)| *asked == run) else {
            return;
        };
        let rows = match &reply.result {
            Ok(answer) => answer.read::<Page<Value>>().ok(),
            Err(_) => None,
        };
        let Some(Page { items: rows, .. }) = rows else {
            // Whoever still shows one of them will want it again.
            self.ask_at = Some(ctx.now + RETRY);
            return;
        };
        if self.known.len() + batch.len() > MAX_NAMES {
            self.known.clear();
        }
        for row in &rows {
            let id = row["id"].as_str().and_then(|id| id.parse().ok());
            if let (Some(id), Some(name)) = (id, row["name"].as_str()) {
                self.learn(id, name.to_owned());
            }
        }
        for id in batch {
            // A row that is gone has no name, and is not asked for again and again.
            self.known.entry(id).or_insert_with(|| "(deleted)".into());
        }
    }
}
