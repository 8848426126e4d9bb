//! Requests the names of rows that the screen refers to and that are not known yet, with one call at a time per
//! resource.

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

/// Delay after a failed call before the next one.
const RETRY: Duration = Duration::from_secs(2);
/// Names that one call requests at most: the largest page of the API.
const BATCH: usize = page::MAX_LIMIT as usize;

/// The calls for names that are under way, one per tab at most.
#[derive(Debug, Default)]
pub(crate) struct NameRequests {
    /// The run of the call for each tab, and the ids that it requests.
    pending: HashMap<Tab, (u64, Vec<Uuid>)>,
    /// No call is sent before this time, after one has failed.
    retry_at: Option<Instant>,
}

impl NameRequests {
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Sends a call for each resource with wanted names, unless one is under way.
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

    /// Stores the names of a reply. Rows that are missing in it count as deleted, so that they are not requested again.
    pub(crate) fn reply(&mut self, tab: Tab, reply: &Reply, names: &mut Names, now: Instant) {
        let Ticket { run, .. } = reply.ticket;
        let pending = self.pending.remove(&tab);
        let Some((_, batch)) = pending.filter(|(pending, _)| *pending == run) else {
            return;
        };
        let Ok(Page { items: rows, .. }) = reply.read::<Page<Value>>() else {
            // The names are not queued again: a screen that still shows one of the rows requests it again.
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
