//! Reads loaded rows again that were changed along with another row, such as a product whose stock an order reduced.
//! Several rows are read in one call.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{Page, page};
use uuid::Uuid;

use crate::{
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
    },
    model::tab::Tab,
};

/// Delay before the call, so that one call covers several rows.
const DELAY: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(crate) struct RefreshQueue {
    wanted: HashMap<Tab, BTreeSet<Uuid>>,
    /// The run of the call that is under way for each tab.
    pending: HashMap<Tab, u64>,
    read_at: Option<Instant>,
}

impl RefreshQueue {
    pub(crate) fn want(&mut self, tab: Tab, id: Uuid, now: Instant) {
        self.wanted.entry(tab).or_default().insert(id);
        self.read_at.get_or_insert(now + DELAY);
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.read_at
    }

    /// Requests the queued rows once the delay is over.
    pub(crate) fn tick(&mut self, ctx: &mut Context<'_>) {
        if self.read_at.is_none_or(|at| at > ctx.now) {
            return;
        }
        self.read_at = None;
        let wanted = std::mem::take(&mut self.wanted);
        for (tab, ids) in wanted {
            if self.pending.contains_key(&tab) {
                // Another call would cancel the one that is under way: waits for its reply, which starts the delay
                // again.
                self.wanted.insert(tab, ids);
                continue;
            }
            let mut ids = ids.into_iter();
            let batch = ids.by_ref().take(page::MAX_LIMIT as usize);
            let batch: Vec<String> = batch.map(|id| id.to_string()).collect();
            let rest: BTreeSet<Uuid> = ids.collect();
            if !rest.is_empty() {
                // One call takes no more: the reply to this one starts the next.
                self.wanted.insert(tab, rest);
            }
            let ticket = ctx.ticket(Owner::Refresh(tab));
            self.pending.insert(tab, ticket.run);
            ctx.send(Call::new(
                ticket,
                Method::GET,
                format!("/v1/{}?id={}", tab.path(), batch.join(",")),
            ));
        }
    }

    /// The rows of a reply; none if the call failed. Those rows are read with the next change, or with their page.
    pub(crate) fn take(&mut self, tab: Tab, reply: &Reply, now: Instant) -> Vec<Value> {
        if self.pending.get(&tab) == Some(&reply.ticket.run) {
            self.pending.remove(&tab);
        }
        if !self.wanted.is_empty() {
            self.read_at.get_or_insert(now + DELAY);
        }
        let page = reply.read::<Page<Value>>();
        page.map_or_else(|_| Vec::new(), |page| page.items)
    }
}
