//! The whole state of the client and the one function that changes it. Nothing in here waits: what
//! takes time is an effect that the loop carries out, and its outcome comes back as an event.

use std::{
    collections::VecDeque,
    path::PathBuf,
    time::{Duration, Instant},
};

use crossterm::event::{Event as TerminalEvent, KeyEventKind};
use reqwest::Method;
use stockroom_common::{Category, Customer, Order, Product};
use uuid::Uuid;

use crate::{
    app::{bulk::Bulks, refresh::Touched, undo},
    dialogs::{import, overlay::Overlay},
    messages::{
        context::{Context, Toast, Wish},
        event::{Effect, Event, Failure, Link, Owner, Reply, Source},
    },
    model::{entity::Tab, names::Names, text::Zone},
    screens::{
        dashboard::Dashboard,
        jobs::JobsScreen,
        list::{Deletions, ListScreen, Query},
        partitions::PartitionsScreen,
        screen::Screen,
    },
    settings::{
        keys::{Condition, Key, Scope},
        memory::Memory,
        preferences::Preferences,
    },
};

/// Answers whose times are kept.
const LATENCIES: usize = 120;
/// The smallest terminal that the screens fit into.
pub const MIN_SIZE: (u16, u16) = (40, 10);
/// Lines of the screen that are not rows of a list: tabs, title, header, hints, status.
pub const CHROME: u16 = 5;

#[derive(Debug)]
pub struct App {
    pub tab: Tab,
    pub orders: ListScreen<Order>,
    pub customers: ListScreen<Customer>,
    pub products: ListScreen<Product>,
    pub categories: ListScreen<Category>,
    pub jobs: JobsScreen,
    pub partitions: PartitionsScreen,
    pub dashboard: Dashboard,
    pub overlays: Vec<Overlay>,
    pub names: Names,
    /// The folder of a shop that is being made; it is told once it answers.
    pub new_shop: Option<PathBuf>,
    pub(super) touched: Touched,
    pub(super) deletions: Deletions,
    pub(super) undo: undo::History,
    pub toast: Option<Toast>,
    pub link: Link,
    /// Where the server is, in words.
    pub server: String,
    /// How long the last page took, and where the server had it from.
    pub latency: Option<(Duration, Option<Source>)>,
    /// How long the last answers took, the newest last.
    pub latencies: VecDeque<Duration>,
    pub zone: Zone,
    pub size: (u16, u16),
    pub preferences: Preferences,
    pub(super) memory: Memory,
    pub(super) bulks: Bulks,
    /// Keys that were pressed and mean something only with those that follow.
    pub(super) pressed: Vec<Key>,
    /// The links that were followed, to go back by.
    pub(super) trail: Vec<Step>,
    /// Those that one has gone back by, to go forward again.
    pub(super) ahead: Vec<Step>,
    pub(super) runs: u64,
}

/// A link that was followed.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) from: Tab,
    pub(super) to: Tab,
    pub(super) query: Query,
    /// What the tab that it led to showed before.
    pub(super) hidden: Query,
}

impl App {
    /// A client of the server described by `server`, on a terminal of that many columns and rows.
    pub fn new(server: String, zone: Zone, size: (u16, u16), preferences: Preferences) -> Self {
        Self {
            tab: Tab::Orders,
            orders: ListScreen::default(),
            customers: ListScreen::default(),
            products: ListScreen::default(),
            categories: ListScreen::default(),
            jobs: JobsScreen::default(),
            partitions: PartitionsScreen::default(),
            dashboard: Dashboard::default(),
            overlays: Vec::new(),
            names: Names::default(),
            new_shop: None,
            touched: Touched::default(),
            deletions: Deletions::default(),
            undo: undo::History::default(),
            toast: None,
            link: Link::Connecting,
            server,
            latency: None,
            latencies: VecDeque::new(),
            zone,
            size,
            preferences,
            memory: Memory::default(),
            bulks: Bulks::default(),
            pressed: Vec::new(),
            trail: Vec::new(),
            ahead: Vec::new(),
            runs: 0,
        }
    }

    /// Arranges the lists as they were in an earlier run.
    pub fn remember_from(&mut self, memory: Memory) {
        for tab in Tab::ALL {
            if let Some(list) = memory.lists.get(tab.path()) {
                self.screen_mut(tab).remember(list);
            }
        }
        self.memory = memory;
    }

    /// Goes on waiting for exports that an earlier run has asked for, each to be saved in a file.
    pub fn await_exports(&mut self, exports: Vec<(Uuid, String)>) {
        self.jobs.await_exports(exports);
    }

    /// When [`Event::Tick`] is due next, if at all.
    pub fn deadline(&self) -> Option<Instant> {
        let pickers = self.overlays.iter().map(|overlay| match overlay {
            Overlay::Picker(picker) => picker.deadline(),
            _ => None,
        });
        let screens = Tab::ALL.into_iter().map(|tab| self.screen(tab).deadline());
        // Names are not asked for while there is nobody to ask.
        let names = self.names.deadline().filter(|_| self.link == Link::Up);
        let others = [names, self.touched.deadline()];
        screens.chain(pickers).chain(others).flatten().min()
    }

    /// Takes an event; what is to be done about it is added to `effects`.
    pub fn update(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        let mut wishes = Vec::new();
        let mut runs = self.runs;
        let mut ctx = Context {
            now,
            rows: usize::from(self.size.1.saturating_sub(CHROME)).max(1),
            zone: self.zone,
            may_change: !self.preferences.is_read_only,
            runs: &mut runs,
            effects,
            wishes: &mut wishes,
        };
        match event {
            Event::Terminal(event) => self.terminal(event, &mut ctx),
            Event::Reply(reply) => self.reply(&reply, &mut ctx),
            Event::Link(link) => self.set_link(link, &mut ctx),
            Event::Change(change) => self.change(&change, &mut ctx),
            Event::Missed => {
                self.names.clear();
                self.expire();
                self.show(self.tab, &mut ctx);
            }
            Event::Tick => {
                for tab in Tab::ALL {
                    self.screen_mut(tab).tick(&mut ctx);
                }
                self.touched.tick(&mut ctx);
                for overlay in &mut self.overlays {
                    if let Overlay::Picker(picker) = overlay {
                        picker.tick(&mut ctx);
                    }
                }
            }
            Event::Edited(Ok(text)) => {
                if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
                    form.edited(&text);
                }
            }
            Event::Edited(Err(reason)) | Event::NotRemembered(reason) => ctx.bad(reason),
            Event::Terminate => ctx.effects.push(Effect::Quit),
        }
        // A wish may lead to others, each of them to a bounded number.
        while !ctx.wishes.is_empty() {
            let wish = ctx.wishes.remove(0);
            self.grant(wish, &mut ctx);
        }
        self.want_names();
        if self.link == Link::Up {
            self.names.ask(&mut ctx);
        }
        self.runs = runs;
        if self.preferences.is_read_only {
            self.hold_back(effects);
        }
    }

    /// The last guard of a client that only looks, whatever led to a write.
    fn hold_back(&mut self, effects: &mut Vec<Effect>) {
        let asked = effects.len();
        effects.retain(|effect| match effect {
            // An export changes nothing, though it is asked for with POST; no more does a file that is
            // only tried.
            Effect::Send(call) => call.method == Method::GET || call.ticket.owner == Owner::Export,
            _ => true,
        });
        if effects.len() < asked {
            self.toast = Some(Toast::Bad(Condition::Changes.complaint().into()));
        }
    }

    /// Where keys go now.
    pub fn scope(&self) -> Scope {
        match self.overlays.last() {
            Some(overlay) => overlay.scope(),
            None => self.present().scope(),
        }
    }

    /// The tab that is shown.
    pub fn present(&self) -> &dyn Screen {
        self.screen(self.tab)
    }

    pub(super) fn screen(&self, tab: Tab) -> &dyn Screen {
        match tab {
            Tab::Orders => &self.orders,
            Tab::Customers => &self.customers,
            Tab::Products => &self.products,
            Tab::Categories => &self.categories,
            Tab::Jobs => &self.jobs,
            Tab::Partitions => &self.partitions,
            Tab::Dashboard => &self.dashboard,
        }
    }

    pub(super) fn screen_mut(&mut self, tab: Tab) -> &mut dyn Screen {
        match tab {
            Tab::Orders => &mut self.orders,
            Tab::Customers => &mut self.customers,
            Tab::Products => &mut self.products,
            Tab::Categories => &mut self.categories,
            Tab::Jobs => &mut self.jobs,
            Tab::Partitions => &mut self.partitions,
            Tab::Dashboard => &mut self.dashboard,
        }
    }

    fn terminal(&mut self, event: TerminalEvent, ctx: &mut Context<'_>) {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.key(key, ctx),
            TerminalEvent::Paste(text) => {
                if let Some(overlay) = self.overlays.last_mut()
                    && let Some(line) = overlay.line()
                {
                    line.paste(&text);
                    overlay.typed(ctx);
                }
            }
            TerminalEvent::Mouse(event) => self.mouse(event, ctx),
            TerminalEvent::Resize(columns, rows) => {
                self.size = (columns, rows);
                ctx.rows = usize::from(rows.saturating_sub(CHROME)).max(1);
                for tab in Tab::ALL {
                    self.screen_mut(tab).resize(ctx);
                }
            }
            _ => {}
        }
    }

    /// Who turns to a tab by its key begins anew: there is no way back by links any more.
    pub(super) fn turn_to(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.trail.clear();
        self.ahead.clear();
        self.show(tab, ctx);
    }

    pub(super) fn show(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.tab = tab;
        if self.link == Link::Up {
            self.screen_mut(tab).show(ctx);
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if let Err(failure) = &reply.result {
            let (owner, reason) = (reply.ticket.owner, failure.message());
            tracing::warn!(?owner, reason, "a call failed");
        }
        if let (Owner::List(_) | Owner::Save | Owner::Delete(_), Ok(_)) =
            (reply.ticket.owner, &reply.result)
        {
            if self.latencies.len() == LATENCIES {
                self.latencies.pop_front();
            }
            self.latencies.push_back(reply.took);
        }
        match (&reply.result, reply.ticket.owner) {
            (Ok(answer), Owner::List(_)) => self.latency = Some((reply.took, answer.source)),
            // Beside a page, what else was asked for tells only how long it took.
            (Ok(_) | Err(Failure::Refused(_)), Owner::Save | Owner::Delete(_)) => {
                self.latency = Some((reply.took, None));
            }
            _ => {}
        }
        match reply.ticket.owner {
            Owner::List(tab) | Owner::History(tab) | Owner::Count(tab) => {
                self.screen_mut(tab).reply(reply, ctx)
            }
            Owner::Job | Owner::Review(_) | Owner::JobEvents | Owner::Export | Owner::Download => {
                self.jobs.reply(reply, ctx)
            }
            Owner::Import => import::reply(reply, ctx),
            Owner::Dashboard => self.dashboard.reply(reply, ctx),
            Owner::Partitions => self.partitions.reply(reply, ctx),
            Owner::Delete(_) => self.deletions.reply(reply, ctx),
            Owner::Undo => self.undo.reply(reply, ctx),
            Owner::Bulk => self.bulks.reply(reply, ctx),
            Owner::Names(tab) => self.names.reply(tab, reply, ctx),
            Owner::Touched(tab) => {
                let rows = self.touched.take(tab, reply, ctx.now);
                self.screen_mut(tab).renew(&rows, ctx);
            }
            Owner::Save | Owner::Reread => {
                let mut forms = self
                    .overlays
                    .iter_mut()
                    .filter_map(|overlay| match overlay {
                        Overlay::Form(form) => Some(form),
                        _ => None,
                    });
                let is_taken = forms.any(|form| form.reply(reply, ctx));
                let was_saved = reply.ticket.owner == Owner::Save && reply.result.is_ok();
                if !is_taken && was_saved {
                    // The form was left while its row was on the way.
                    ctx.good("It was saved after all.");
                    ctx.wish(Wish::Expire);
                }
            }
            Owner::Picker => {
                for overlay in &mut self.overlays {
                    if let Overlay::Picker(picker) = overlay {
                        picker.reply(reply, ctx);
                    }
                }
            }
        }
    }

    fn want_names(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        self.present().want_names(&mut names);
        for overlay in &self.overlays {
            if let Overlay::Form(form) = overlay {
                form.want_names(&mut names);
            }
        }
        self.names = names;
    }

    /// The way from the tab where the first link was followed to the present one.
    pub fn breadcrumb(&self) -> Vec<Tab> {
        self.trail.iter().map(|step| step.from).collect()
    }
}
