//! Rows in sight that others changed along with something else, such as the stock that an order took: they
//! are read again, some at a time.

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
        context::Context,
        event::{Call, Owner, Reply},
    },
    model::entity::Tab,
};

/// How long one waits for more of them.
const SETTLE: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub struct Touched {
    wanted: HashMap<Tab, BTreeSet<Uuid>>,
    /// Runs of the calls that are under way, one a tab.
    asked: HashMap<Tab, u64>,
    read_at: Option<Instant>,
}

impl Touched {
    pub fn want(&mut self, tab: Tab, id: Uuid, now: Instant) {
        self.wanted.entry(tab).or_default().insert(id);
        self.read_at.get_or_insert(now + SETTLE);
    }

    pub const fn deadline(&self) -> Option<Instant> {
        self.read_at
    }

    /// Asks for them once it is time.
    pub fn tick(&mut self, ctx: &mut Context<'_>) {
        if self.read_at.is_none_or(|at| at > ctx.now) {
            return;
        }
        self.read_at = None;
        let wanted = std::mem::take(&mut self.wanted);
        for (tab, ids) in wanted {
            if self.asked.contains_key(&tab) {
                // Another call would take the place of the one that is under way.
                self.wanted.insert(tab, ids);
                continue;
            }
            // No list holds so many that more than the first would be in sight.
            let ids: Vec<String> = ids
                .iter()
                .take(page::MAX_LIMIT as usize)
                .map(Uuid::to_string)
                .collect();
            let ticket = ctx.ticket(Owner::Touched(tab));
            self.asked.insert(tab, ticket.run);
            ctx.send(Call::new(
                ticket,
                Method::GET,
                format!("/v1/{}?id={}", tab.path(), ids.join(",")),
            ));
        }
    }

    /// The rows that came. Those that did not are read with the next change, or with their page.
    pub fn take(&mut self, tab: Tab, reply: &Reply, now: Instant) -> Vec<Value> {
        if self.asked.get(&tab) == Some(&reply.ticket.run) {
            self.asked.remove(&tab);
        }
        if !self.wanted.is_empty() {
            self.read_at.get_or_insert(now + SETTLE);
        }
        let answer = reply.result.as_ref().ok();
        let page = answer.and_then(|answer| answer.read::<Page<Value>>().ok());
        page.map_or_else(Vec::new, |page| page.items)
    }
}
