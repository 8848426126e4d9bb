//! The whole state of the client and the one function that changes it. Nothing in here waits: what
//! takes time is an effect that the loop carries out, and its outcome comes back as an event.

use std::time::{Duration, Instant};

use crossterm::event::{Event as TerminalEvent, KeyEvent, KeyEventKind};
use stockroom_common::{Category, Customer, Order, Product, change::ChangeEvent};

use crate::{
    context::{Context, Toast, Wish},
    entity::{Tab, Target},
    event::{Answer, Effect, Event, Failure, Link, Owner, Reply, Source, Written},
    import::{self, Review},
    keys::{self, Binding, Command, Condition, Found, Key, Scope},
    list::{self, Deletions, ListScreen, Query},
    names::Names,
    overlay::{Help, Overlay},
    palette::Palette,
    partitions::PartitionsScreen,
    preferences::Preferences,
    screen::Screen,
    seed::SeedScreen,
    text::{self, Zone},
    touched::Touched,
    undo::{self, Undo},
};

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
    pub seed: SeedScreen,
    pub partitions: PartitionsScreen,
    pub overlays: Vec<Overlay>,
    pub names: Names,
    touched: Touched,
    deletions: Deletions,
    undo: undo::History,
    pub toast: Option<Toast>,
    pub link: Link,
    /// Where the server is, in words.
    pub server: String,
    /// How long the last page took, and where the server had it from.
    pub latency: Option<(Duration, Option<Source>)>,
    pub zone: Zone,
    pub size: (u16, u16),
    pub preferences: Preferences,
    /// Keys that were pressed and mean something only with those that follow.
    pressed: Vec<Key>,
    /// The links that were followed, to go back by.
    trail: Vec<Step>,
    runs: u64,
}

/// A link that was followed.
#[derive(Debug)]
struct Step {
    from: Tab,
    to: Tab,
    query: Query,
    /// What the tab that it led to showed before.
    hidden: Query,
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
            seed: SeedScreen::default(),
            partitions: PartitionsScreen::default(),
            overlays: Vec::new(),
            names: Names::default(),
            touched: Touched::default(),
            deletions: Deletions::default(),
            undo: undo::History::default(),
            toast: None,
            link: Link::Connecting,
            server,
            latency: None,
            zone,
            size,
            preferences,
            pressed: Vec::new(),
            trail: Vec::new(),
            runs: 0,
        }
    }

    /// When [`Event::Tick`] is due next, if at all.
    pub fn deadline(&self) -> Option<Instant> {
        let picker = self.overlays.iter().find_map(|overlay| match overlay {
            Overlay::Picker(picker) => picker.deadline(),
            _ => None,
        });
        let screens = Tab::ALL.map(|tab| self.screen(tab).deadline());
        let others = [picker, self.names.deadline(), self.touched.deadline()];
        screens.into_iter().chain(others).flatten().min()
    }

    /// Takes an event; what is to be done about it is added to `effects`.
    pub fn update(&mut self, event: Event, now: Instant, effects: &mut Vec<Effect>) {
        let mut wishes = Vec::new();
        let mut runs = self.runs;
        let mut ctx = Context {
            now,
            rows: usize::from(self.size.1.saturating_sub(CHROME)).max(1),
            zone: self.zone,
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
                if let Some(Overlay::Picker(picker)) = self.overlays.last_mut() {
                    picker.tick(&mut ctx);
                }
            }
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

    fn screen(&self, tab: Tab) -> &dyn Screen {
        match tab {
            Tab::Orders => &self.orders,
            Tab::Customers => &self.customers,
            Tab::Products => &self.products,
            Tab::Categories => &self.categories,
            Tab::Seed => &self.seed,
            Tab::Partitions => &self.partitions,
        }
    }

    fn screen_mut(&mut self, tab: Tab) -> &mut dyn Screen {
        match tab {
            Tab::Orders => &mut self.orders,
            Tab::Customers => &mut self.customers,
            Tab::Products => &mut self.products,
            Tab::Categories => &mut self.categories,
            Tab::Seed => &mut self.seed,
            Tab::Partitions => &mut self.partitions,
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

    fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) {
        self.toast = None;
        self.pressed.push(key.into());
        let found = self.preferences.keys.find(self.scope(), &self.pressed);
        let binding = match found {
            Found::Prefix => return,
            Found::Binding(binding) => Some(binding),
            Found::Nothing => None,
        };
        let is_alone = self.pressed.len() == 1;
        self.pressed.clear();
        let command = binding.map(|binding| binding.command);
        if let Some(overlay) = self.overlays.last_mut() {
            // In a line of text, what edits it comes first; only Form has keys that mean both.
            let edits = matches!(
                command,
                None | Some(Command::Left | Command::Right | Command::Toggle)
            );
            if edits && let Some(line) = overlay.line() {
                if is_alone && line.key(key) {
                    overlay.typed(ctx);
                }
                return;
            }
        }
        let Some(binding) = binding else { return };
        match binding.conditions.iter().find(|known| !self.holds(**known)) {
            None => self.run(binding.command, ctx),
            Some(unmet) => ctx.bad(unmet.complaint()),
        }
    }

    /// Does what a key, or the palette, stands for.
    fn run(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Quit => return ctx.effects.push(Effect::Quit),
            Command::Suspend => return ctx.effects.push(Effect::Suspend),
            _ => {}
        }
        if let Some(overlay) = self.overlays.last_mut() {
            return overlay.command(command, ctx);
        }
        match command {
            Command::Tab(index) => self.turn_to(Tab::ALL[index], ctx),
            Command::NextTab => self.turn_to(self.neighbour(1), ctx),
            Command::PreviousTab => self.turn_to(self.neighbour(Tab::ALL.len() - 1), ctx),
            Command::Help => {
                let scope = self.scope();
                let lines = self.preferences.keys.bound(scope).count();
                let top = 0;
                self.overlays
                    .push(Overlay::Help(Help { scope, top, lines }));
            }
            Command::Palette => {
                let holds = |binding: &Binding| self.is_usable(binding);
                let palette = Palette::new(&self.preferences.keys, self.scope(), holds);
                self.overlays.push(Overlay::Palette(palette));
            }
            Command::Undo => self.undo.undo(ctx),
            command => self.screen_mut(self.tab).command(command, ctx),
        }
    }

    fn holds(&self, condition: Condition) -> bool {
        match condition {
            Condition::Changes => !self.preferences.is_read_only,
            Condition::Undoable => !self.undo.is_empty(),
            Condition::Lines => {
                matches!(self.overlays.last(), Some(Overlay::Form(form)) if form.has_lines())
            }
        }
    }

    fn is_usable(&self, binding: &Binding) -> bool {
        binding
            .conditions
            .iter()
            .all(|condition| self.holds(*condition))
    }

    /// The keys that can be pressed now and what they do, in a word each: those that go on with what was
    /// pressed, or those that are worth a hint.
    pub fn hints(&self) -> Vec<(String, &'static str)> {
        let keys = &self.preferences.keys;
        let usable = keys
            .bound(self.scope())
            .filter(|bound| self.is_usable(bound.binding));
        if self.pressed.is_empty() {
            return usable
                .filter_map(|bound| Some((bound.first()?, bound.binding.hint?)))
                .collect();
        }
        let begun = &self.pressed;
        let mut hints = Vec::new();
        for bound in usable {
            let mut sequences = bound.sequences.iter();
            if let Some(sequence) = sequences.find(|sequence| sequence.starts_with(begun)) {
                let rest = keys::words(&sequence[begun.len()..]);
                hints.push((rest, bound.binding.help));
            }
        }
        hints
    }

    fn neighbour(&self, steps: usize) -> Tab {
        let index = Tab::ALL
            .iter()
            .position(|tab| *tab == self.tab)
            .unwrap_or_default();
        Tab::ALL[(index + steps) % Tab::ALL.len()]
    }

    /// Who turns to a tab by its key begins anew: there is no way back by links any more.
    fn turn_to(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.trail.clear();
        self.show(tab, ctx);
    }

    fn show(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.tab = tab;
        if self.link == Link::Up {
            self.screen_mut(tab).show(ctx);
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        match (&reply.result, reply.ticket.owner) {
            (Ok(answer), Owner::List(_)) => self.latency = Some((reply.took, answer.source)),
            // Beside a page, what else was asked for tells only how long it took.
            (Ok(_) | Err(Failure::Refused(_)), Owner::Save | Owner::Delete(_)) => {
                self.latency = Some((reply.took, None));
            }
            _ => {}
        }
        match reply.ticket.owner {
            Owner::List(tab) | Owner::History(tab) => self.screen_mut(tab).reply(reply, ctx),
            Owner::Seed | Owner::SeedEvents => self.seed.reply(reply, ctx),
            Owner::Export => exported(reply, ctx),
            Owner::Import => import::reply(reply, ctx),
            Owner::Partitions | Owner::Archive => self.partitions.reply(reply, ctx),
            Owner::Delete(_) => self.deletions.reply(reply, ctx),
            Owner::Undo => self.undo.reply(reply, ctx),
            Owner::Names(tab) => self.names.reply(tab, reply, ctx),
            Owner::Touched(tab) => {
                if let Some(rows) = Touched::read(reply) {
                    self.screen_mut(tab).renew(&rows, ctx);
                }
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
                if let Some(Overlay::Picker(picker)) = self.overlays.last_mut() {
                    picker.reply(reply, ctx);
                }
            }
        }
    }

    fn set_link(&mut self, link: Link, ctx: &mut Context<'_>) {
        let came_up = link == Link::Up && self.link != Link::Up;
        self.link = link;
        if came_up {
            // What happened while we were away is not known.
            self.names.clear();
            self.expire();
            self.screen_mut(self.tab).show(ctx);
        }
    }

    /// Somebody has changed something: what shows it follows, what is not shown is read again once it is.
    fn change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        if let Some(id) = change.entity_id {
            self.names.forget(id);
        }
        for tab in Tab::ALL {
            let is_concerned = tab.shows(change);
            if tab == self.tab && is_concerned {
                self.screen_mut(tab).change(change, ctx);
            } else if is_concerned {
                self.screen_mut(tab).expire();
            }
        }
        for row in &change.touched {
            let tab = Tab::of_entity(&row.entity).filter(|tab| self.screen(*tab).holds(row.id));
            if let Some(tab) = tab {
                self.touched.want(tab, row.id, ctx.now);
            }
        }
        for overlay in &mut self.overlays {
            if let Overlay::Form(form) = overlay {
                form.notice(change);
            }
        }
    }

    fn expire(&mut self) {
        for tab in Tab::ALL {
            self.screen_mut(tab).expire();
        }
    }

    fn grant(&mut self, wish: Wish, ctx: &mut Context<'_>) {
        match wish {
            Wish::Form(form) => self.overlays.push(Overlay::Form(form)),
            Wish::Picker(mut picker) => {
                picker.tick(ctx);
                self.overlays.push(Overlay::Picker(picker));
            }
            Wish::Menu(menu) => self.overlays.push(Overlay::Menu(menu)),
            Wish::Confirm(confirm) => self.overlays.push(Overlay::Confirm(confirm)),
            Wish::Export(export) => self.overlays.push(Overlay::Export(export)),
            Wish::Import(ask) => self.overlays.push(Overlay::Import(ask)),
            Wish::Review(review) => self.review(review),
            Wish::Search(search) => self.overlays.push(Overlay::Search(search)),
            Wish::Close => {
                self.overlays.pop();
            }
            Wish::Picked { id, label } => {
                self.overlays.pop();
                self.names.learn(id, label);
                if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
                    form.picked(id);
                }
            }
            Wish::SearchFor(search) => self.requery(|query| query.search = search, ctx),
            Wish::SortBy(sort) => self.requery(|query| query.sort = sort, ctx),
            Wish::FilterBy(chips) => self.requery(|query| query.chips = chips, ctx),
            Wish::SeedWith(sizes) => self.seed.set_request(sizes),
            Wish::WorkOnPartitions => self.partitions.confirmed(ctx),
            Wish::Delete(deletion) => self.deletions.begin(*deletion, ctx),
            Wish::Written {
                tab,
                row,
                toast,
                undo,
            } => {
                self.wrote(toast, undo);
                if let Some(row) = row {
                    let id = row["id"].as_str().and_then(|id| id.parse().ok());
                    self.names.forget(id.unwrap_or_default());
                    self.screen_mut(tab).put(&row);
                }
                // A write may show elsewhere too: an order in the stock of its products.
                self.expire();
                self.show(self.tab, ctx);
            }
            Wish::Expire => {
                self.expire();
                self.show(self.tab, ctx);
            }
            Wish::CloseForm => {
                let is_form = |overlay: &Overlay| matches!(overlay, Overlay::Form(_));
                if let Some(index) = self.overlays.iter().rposition(is_form) {
                    self.overlays.truncate(index);
                }
            }
            Wish::Follow(target) => self.follow(&target, ctx),
            Wish::Return => self.go_back(ctx),
            Wish::Run(command) => self.run(command, ctx),
            Wish::Toast(toast) => self.toast = Some(toast),
        }
    }

    /// Tells that something was written, and how it is taken back.
    fn wrote(&mut self, toast: String, undo: Option<Undo>) {
        let hint = undo.as_ref().map(|_| self.preferences.keys.shown("undo"));
        let hint = hint.filter(|keys| !keys.is_empty());
        self.toast = Some(Toast::Good(match hint {
            Some(keys) => format!("{toast} {keys} takes it back."),
            None => toast,
        }));
        if let Some(undo) = undo {
            self.undo.push(undo);
        }
    }

    /// What a file has done is told at once, but not in the middle of something else.
    fn review(&mut self, review: Review) {
        self.toast = None;
        self.overlays.insert(0, Overlay::Review(review));
        if self.overlays.len() > 1 {
            let note = "What has become of the file shows when this is closed.";
            self.toast = Some(Toast::Good(note.into()));
        }
    }

    fn requery(&mut self, change: impl FnOnce(&mut Query), ctx: &mut Context<'_>) {
        let screen = self.screen_mut(self.tab);
        let mut query = screen.query();
        query.only = None;
        change(&mut query);
        screen.set_query(query, ctx);
    }

    fn follow(&mut self, target: &Target, ctx: &mut Context<'_>) {
        let (to, query) = list::query_of(target);
        let hidden = self.screen_mut(to).query();
        self.trail.push(Step {
            from: self.tab,
            to,
            query: query.clone(),
            hidden,
        });
        self.tab = to;
        self.screen_mut(to).set_query(query, ctx);
    }

    /// Back to where a link was followed from, or to a wider list.
    fn go_back(&mut self, ctx: &mut Context<'_>) {
        let (tab, query) = (self.tab, self.present().query());
        let wider = query.clone().wider();
        let came_by = |step: &mut Step| step.to == tab && (step.query == query || wider.is_none());
        if let Some(step) = self.trail.pop_if(came_by) {
            self.screen_mut(step.to).set_query(step.hidden, ctx);
            self.show(step.from, ctx);
        } else if let Some(wider) = wider {
            self.screen_mut(tab).set_query(wider, ctx);
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

/// Tells what has become of an export.
fn exported(reply: &Reply, ctx: &mut Context<'_>) {
    match reply.result.as_ref().map(Answer::read::<Written>) {
        Ok(Ok(Written { file, bytes })) => {
            ctx.good(format!("Exported to {file}: {}.", text::bytes(bytes)));
        }
        Ok(Err(error)) => ctx.bad(error),
        Err(failure) => ctx.bad(failure.message()),
    }
}
