//! The Dashboard tab: statistics of the shop, reloaded while orders change.

use std::time::{Duration, Instant};

use reqwest::Method;
use stockroom_common::{change::ChangeEvent, stats::Stats};

use crate::{
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
        request::Request,
    },
    model::{
        names::{Names, Reference},
        tab::Tab,
    },
    screens::screen::Screen,
    settings::keys::{Command, Scope},
};

/// Months shown, including the current one.
pub const MONTHS: u32 = 12;
/// How old the statistics may get while orders change. Counting a busy month costs the server more than a page of rows,
/// so not every change triggers a request.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct Dashboard {
    pub stats: Option<Stats>,
    pub error: Option<String>,
    /// The first visible line, if not all lines fit.
    pub top: usize,
    /// The run of the call, if one is under way.
    run: Option<u64>,
    /// Whether the statistics were requested and have not expired since.
    is_read: bool,
    /// When to read the statistics again, after a change.
    read_at: Option<Instant>,
}

impl Screen for Dashboard {
    fn scope(&self) -> Scope {
        Scope::Dashboard
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let page = ctx.rows / 2;
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            // Drawing stops scrolling at the last line; this bound only keeps `top` from growing.
            Command::Down => self.top = (self.top + 1).min(MAX_TOP),
            Command::PageUp => self.top = self.top.saturating_sub(page),
            Command::PageDown => self.top = (self.top + page).min(MAX_TOP),
            Command::Refresh => {
                self.is_read = false;
                self.show(ctx);
            }
            Command::Back => ctx.request(Request::GoBack),
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply, _: &mut Context<'_>) {
        if self.run.take_if(|run| *run == reply.ticket.run).is_none() {
            return;
        }
        match reply.result.as_ref().map(|answer| answer.read::<Stats>()) {
            Ok(Ok(stats)) => {
                self.error = None;
                self.stats = Some(stats);
            }
            Ok(Err(error)) => self.error = Some(error),
            Err(failure) => {
                self.error = Some(failure.message().to_owned());
                self.is_read = false;
            }
        }
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        self.read_at = None;
        if std::mem::replace(&mut self.is_read, true) {
            return;
        }
        let ticket = ctx.ticket(Owner::Dashboard);
        self.run = Some(ticket.run);
        let path = format!("/v1/stats?months={MONTHS}");
        ctx.send(Call::new(ticket, Method::GET, path));
    }

    fn expire(&mut self) {
        self.is_read = false;
    }

    fn is_loading(&self) -> bool {
        self.run.is_some()
    }

    fn change(&mut self, _: &ChangeEvent, ctx: &mut Context<'_>) {
        self.is_read = false;
        self.read_at.get_or_insert(ctx.now + SETTLE);
    }

    fn deadline(&self) -> Option<Instant> {
        self.read_at
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        if self.read_at.is_none_or(|at| at > ctx.now) {
            return;
        }
        match self.run {
            // A new read would cancel the one that is under way.
            Some(_) => self.read_at = Some(ctx.now + SETTLE),
            None => self.show(ctx),
        }
    }

    fn want_names(&self, names: &mut Names) {
        let months = self.stats.iter().flat_map(|stats| stats.months.first());
        for product in months.flat_map(|month| &month.top_products) {
            let (tab, id) = (Tab::Products, product.product_id.uuid());
            names.want(Reference { tab, id });
        }
    }
}

/// More lines than the dashboard ever has.
const MAX_TOP: usize = 60;
