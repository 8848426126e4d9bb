//! The state of the client, and `update`, which changes it for each event. Nothing here blocks: anything that takes
//! time is an effect for the main loop, and its outcome comes back as an event.

use std::time::Instant;

use reqwest::Method;
use stockroom_common::Role;
use uuid::Uuid;

use super::{
    bulk::Bulks, connection::Connection, deletions::Deletions, names::NameRequests,
    navigation::Navigation, refresh::RefreshQueue, screens::Screens, undo::UndoHistory,
};
use crate::{
    dialogs::{form::Form, import, overlay::Overlay},
    messages::{
        call::{Owner, Reply},
        context::Context,
        event::{Effect, Event},
        request::{Request, Toast},
    },
    model::{names::Names, tab::Tab, text::Zone},
    screens::screen::Screen,
    settings::{
        keys::{Condition, Key, Scope},
        memory::Memory,
        preferences::Preferences,
    },
};

/// Columns and rows of the smallest supported terminal.
pub const MIN_SIZE: (u16, u16) = (40, 10);
/// Screen lines that a list cannot use for rows: tabs, title, header, hints, status.
const CHROME: u16 = 5;

#[derive(Debug)]
pub struct App {
    pub screens: Screens,
    pub navigation: Navigation,
    pub connection: Connection,
    /// The open dialogs, topmost last.
    pub overlays: Vec<Overlay>,
    pub toast: Option<Toast>,
    pub names: Names,
    pub zone: Zone,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    pub preferences: Preferences,
    pub(super) name_requests: NameRequests,
    pub(super) refresh: RefreshQueue,
    pub(super) writes: Writes,
    pub(super) memory: Memory,
    /// The keys pressed so far of a sequence that is not complete.
    pub(super) pressed: Vec<Key>,
    /// The run of the last call.
    runs: u64,
}

/// Writes that are under way, and those that can be undone.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) bulks: Bulks,
    pub(super) deletions: Deletions,
    pub(super) undo: UndoHistory,
}

impl App {
    /// A client of the server with that display name, on a terminal of that many columns and rows.
    pub fn new(server: String, zone: Zone, size: (u16, u16), preferences: Preferences) -> Self {
        Self {
            screens: Screens::default(),
            navigation: Navigation::default(),
            connection: Connection::new(server),
            overlays: Vec::new(),
            toast: None,
            names: Names::default(),
            zone,
            size,
            preferences,
            name_requests: NameRequests::default(),
            refresh: RefreshQueue::default(),
            writes: Writes::default(),
            memory: Memory::default(),
            pressed: Vec::new(),
            runs: 0,
        }
    }

    /// Continues to track exports that an earlier run of the client started, each with the file to save it to.
    pub fn track_exports(&mut self, exports: Vec<(Uuid, String)>) {
        self.screens.jobs.track_exports(exports);
    }

    /// When [`Event::Tick`] is due next, if at all.
    pub fn deadline(&self) -> Option<Instant> {
        let pickers = self.overlays.iter().map(|overlay| match overlay {
            Overlay::Picker(picker) => picker.deadline(),
            _ => None,
        });
        let screens = Tab::ALL.into_iter();
        let screens = screens.map(|tab| self.screens.get(tab).deadline());
        // Names are requested only while the connection is up.
        let names = self.name_requests.deadline();
        let names = names.filter(|_| self.connection.is_up());
        let others = [names, self.refresh.deadline()];
        screens.chain(pickers).chain(others).flatten().min()
    }

    /// Handles an event. Appends to `effects` what the main loop must do.
    pub fn update(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        let mut requests = Vec::new();
        let mut runs = self.runs;
        let mut ctx = Context {
            now,
            rows: list_rows(self.size.1),
            zone: self.zone,
            may_change: self.may_change(),
            runs: &mut runs,
            effects,
            requests: &mut requests,
        };
        self.handle_event(event, &mut ctx);
        // Handling a request may add others. None adds itself, so this loop ends.
        while !ctx.requests.is_empty() {
            let request = ctx.requests.remove(0);
            self.handle(request, &mut ctx);
        }
        self.want_names();
        if self.connection.is_up() {
            self.name_requests.send(&mut self.names, &mut ctx);
        }
        self.runs = runs;
        if !self.may_change() {
            self.drop_writes(effects);
        }
    }

    fn handle_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match event {
            Event::Key(key) => self.key(key, ctx),
            Event::Paste(text) => self.paste(&text, ctx),
            Event::Mouse(action) => self.mouse(action, ctx),
            Event::Resize(columns, rows) => {
                self.size = (columns, rows);
                ctx.rows = list_rows(rows);
                for tab in Tab::ALL {
                    self.screens.get_mut(tab).resize(ctx);
                }
            }
            Event::Reply(reply) => self.reply(&reply, ctx),
            Event::Link(link) => self.set_link(link, ctx),
            Event::Identity(identity) => self.connection.identity = Some(identity),
            Event::Change(change) => self.change(&change, ctx),
            Event::Missed => {
                self.names.clear();
                self.screens.expire();
                self.show(self.navigation.tab, ctx);
            }
            Event::Tick => self.tick(ctx),
            Event::Edited(Ok(text)) => {
                if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
                    form.edited(&text);
                }
            }
            Event::Edited(Err(reason)) | Event::NotRemembered(reason) => ctx.error(reason),
            Event::Terminate => ctx.effects.push(Effect::Quit),
        }
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        for tab in Tab::ALL {
            self.screens.get_mut(tab).tick(ctx);
        }
        self.refresh.tick(ctx);
        for overlay in &mut self.overlays {
            if let Overlay::Picker(picker) = overlay {
                picker.tick(ctx);
            }
        }
    }

    /// A last safeguard for a read-only client: drops every write, whatever caused it.
    fn drop_writes(&mut self, effects: &mut Vec<Effect>) {
        let before = effects.len();
        effects.retain(|effect| match effect {
            // Starting an export is a POST, but does not change the shop.
            Effect::Send(call) => call.method == Method::GET || call.ticket.owner == Owner::Export,
            _ => true,
        });
        if effects.len() < before {
            self.toast = Some(Toast::Error(self.unmet(Condition::Changes)));
        }
    }

    /// Whether the user may change rows.
    pub(super) fn may_change(&self) -> bool {
        !self.preferences.is_read_only && self.connection.role() >= Role::Editor
    }

    /// The scope in which keys are looked up: that of the topmost dialog, or else of the screen.
    pub fn scope(&self) -> Scope {
        match self.overlays.last() {
            Some(overlay) => overlay.scope(),
            None => self.screen().scope(),
        }
    }

    /// The screen of the tab that is shown.
    pub fn screen(&self) -> &dyn Screen {
        self.screens.get(self.navigation.tab)
    }

    pub(super) fn screen_mut(&mut self) -> &mut dyn Screen {
        self.screens.get_mut(self.navigation.tab)
    }

    /// Passes a reply to the part of the state that waits for it.
    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let owner = reply.ticket.owner;
        if let Err(failure) = &reply.result {
            tracing::warn!(?owner, reason = failure.message(), "a call failed");
        }
        self.connection.measure(reply);
        match owner {
            Owner::List(tab) | Owner::History(tab) | Owner::Count(tab) => {
                self.screens.get_mut(tab).reply(reply, ctx);
            }
            Owner::Job | Owner::Review(_) | Owner::JobEvents | Owner::Export | Owner::Download => {
                self.screens.jobs.reply(reply, ctx);
            }
            Owner::Partitions => self.screens.partitions.reply(reply, ctx),
            Owner::Dashboard => self.screens.dashboard.reply(reply, ctx),
            Owner::Import => import::uploaded(reply, ctx),
            Owner::Delete(_) => self.writes.deletions.reply(reply, ctx),
            Owner::Undo => self.writes.undo.reply(reply, ctx),
            Owner::Bulk => self.writes.bulks.reply(reply, ctx),
            Owner::Names(tab) => {
                self.name_requests
                    .reply(tab, reply, &mut self.names, ctx.now);
            }
            Owner::Refresh(tab) => {
                let newer = self.refresh.take(tab, reply, ctx.now);
                if let Some(rows) = self.screens.rows_mut(tab) {
                    rows.refresh_rows(&newer, ctx);
                }
            }
            Owner::Save | Owner::Reread => self.form_reply(reply, ctx),
            Owner::Picker => {
                for overlay in &mut self.overlays {
                    if let Overlay::Picker(picker) = overlay {
                        picker.reply(reply, ctx);
                    }
                }
            }
        }
    }

    fn form_reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let is_taken = self.forms_mut().any(|form| form.reply(reply, ctx));
        let was_saved = reply.ticket.owner == Owner::Save && reply.result.is_ok();
        if !is_taken && was_saved {
            // The form was closed before the reply arrived.
            ctx.info("The form that you closed was saved.");
            ctx.request(Request::Expire);
        }
    }

    pub(super) fn forms_mut(&mut self) -> impl Iterator<Item = &mut Form> {
        let overlays = self.overlays.iter_mut();
        overlays.filter_map(|overlay| match overlay {
            Overlay::Form(form) => Some(form.as_mut()),
            _ => None,
        })
    }

    /// Requests the names that the screen and the open forms need.
    fn want_names(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        self.screen().want_names(&mut names);
        for form in self.forms_mut() {
            form.want_names(&mut names);
        }
        self.names = names;
    }
}

/// The rows of a list that fit on a terminal with that many rows; at least 1.
fn list_rows(rows: u16) -> usize {
    usize::from(rows.saturating_sub(CHROME)).max(1)
}
