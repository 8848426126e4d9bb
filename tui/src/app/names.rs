//! Requests the names that the screens lack: one call per resource, and only while something on the screen wants them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{Page, page};
use uuid::Uuid;

use crate::{
    messages::{
        call::{Call, Owner, Reply, Ticket},
        context::Context,
    },
    model::{names::Names, tab::Tab},
};

/// How long a failed call waits before it is made again.
const RETRY: Duration = Duration::from_secs(2);
/// Names that one call asks for.
const BATCH: usize = page::MAX_LIMIT as usize;

/// The calls for names that are under way.
#[derive(Debug, Default)]
pub(crate) struct NameRequests {
    pending: HashMap<Tab, (u64, Vec<Uuid>)>,
    /// Not before this instant, after a call that failed.
    retry_at: Option<Instant>,
}

impl NameRequests {
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Asks for what is wanted, one call at a time for each resource.
    pub(crate) fn send(&mut self, names: &mut Names, ctx: &mut Context<'_>) {
        if self.retry_at.is_some_and(|at| at > ctx.now) {
            return;
        }
        self.retry_at = None;
        for tab in names.wanted_tabs() {
            if self.pending.contains_key(&tab) {
                continue;
            }
            let batch = names.take_wanted(tab, BATCH);
            let ids: Vec<String> = batch.iter().map(Uuid::to_string).collect();
            let ticket = ctx.ticket(Owner::Names(tab));
            self.pending.insert(tab, (ticket.run, batch));
            let path = format!("/v1/{}?id={}", tab.path(), ids.join(","));
            ctx.send(Call::new(ticket, Method::GET, path));
        }
    }

    pub(crate) fn reply(&mut self, tab: Tab, reply: &Reply, names: &mut Names, now: Instant) {
        let Ticket { run, .. } = reply.ticket;
        let pending = self.pending.remove(&tab);
        let Some((_, batch)) = pending.filter(|(pending, _)| *pending == run) else {
            return;
        };
        let Ok(Page { items: rows, .. }) = reply.read::<Page<Value>>() else {
            // A screen that still shows one of them will ask again.
            self.retry_at = Some(now + RETRY);
            return;
        };
        names.make_room(batch.len());
        for row in &rows {
            let id = row["id"].as_str().and_then(|id| id.parse().ok());
            if let (Some(id), Some(name)) = (id, row["name"].as_str()) {
                names.insert(id, name.to_owned());
            }
        }
        names.insert_missing(batch);
    }
}
