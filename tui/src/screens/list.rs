//! The list screen, one for every entity: rows by keyset in both directions, search, filters and
//! order by the server, and the detail pane. Old rows stay until new ones are there.

mod actions;
mod columns;
mod commands;
mod copy;
mod count;
mod live;
mod marks;
mod pages;
mod past;
mod query;
pub mod window;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;
use stockroom_common::{Page, Total, change::ChangeEvent, document};
use uuid::Uuid;

use self::window::{Via, Window};
pub use self::{
    actions::{Deletion, Deletions},
    columns::{Arranged, Columns},
    live::{Lit, Live},
    marks::{Marked, Marks},
    past::{Past, reference, told},
    query::{Query, query_of},
};
use crate::{
    messages::{
        context::{Context, Wish},
        event::{Failure, Owner, Reply},
    },
    model::{
        entity::{Cell, Detail, Entity, Show, Target},
        names::Names,
    },
    screens::screen::Screen,
    settings::{
        keys::{Command, Scope},
        memory::ListMemory,
    },
};

/// Lines of the detail pane that PgUp and PgDn scroll.
const DETAIL_STEP: usize = 8;
/// More lines than the largest order and the longest text take.
const MAX_DETAIL_TOP: usize = 1_500;

/// Where one is in the detail pane.
#[derive(Clone, Copy, Debug, Default)]
pub struct DetailPane {
    /// The selected line among those that lead somewhere.
    pub link: usize,
    /// Lines that are scrolled past, beyond what shows the link.
    pub top: usize,
}

#[derive(Debug)]
pub struct ListScreen<R: Entity> {
    pub query: Query,
    pub window: Window<R>,
    pub total: Option<Total>,
    /// Rows from before this instant may be missing: they are archived.
    pub archived_before: Option<DateTime<Utc>>,
    pub error: Option<String>,
    /// How long the last answer took; none before there was one.
    pub took: Option<Duration>,
    /// The detail pane, where it is open.
    pub detail: Option<DetailPane>,
    /// What others do meanwhile.
    pub live: Live,
    /// What has happened to the row in the detail pane.
    pub past: Past,
    pub columns: Columns,
    pub marks: Marks,
    /// The run of the exact count that is under way.
    pub counting: Option<u64>,
    waiting: Option<(u64, Want)>,
    last: Option<String>,
    is_stale: bool,
    /// Whether pages are read past the server's cache, those around the shown one too, until the next
    /// command.
    past_cache: bool,
    /// The row to select when the page is read again.
    keep: Option<Uuid>,
    /// What the rows that are held were asked for with.
    shown: Query,
}

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    First,
    Last,
    Next,
    Prev,
    /// The page that begins at this value of the sort key.
    Seek(String),
    /// The page with the selected row again; so many rows come before it.
    Again(Via, Option<u64>),
}

impl<R: Entity> Default for ListScreen<R> {
    fn default() -> Self {
        Self {
            query: Query::default(),
            window: Window::default(),
            total: None,
            archived_before: None,
            error: None,
            took: None,
            detail: None,
            live: Live::default(),
            past: Past::default(),
            columns: Columns::of::<R>(),
            marks: Marks::default(),
            counting: None,
            waiting: None,
            last: None,
            is_stale: true,
            past_cache: false,
            keep: None,
            shown: Query::default(),
        }
    }
}

impl<R: Entity> Screen for ListScreen<R> {
    fn scope(&self) -> Scope {
        if self.detail.is_some() {
            Scope::Detail
        } else {
            Scope::List
        }
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        self.past_cache = command == Command::RefreshPast;
        if self.detail.is_none() || !self.detail_command(command, ctx) {
            self.list_command(command, ctx);
        }
        self.read_past(ctx);
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        match reply.ticket.owner {
            Owner::History(_) => self.take_past(reply),
            Owner::Count(_) => self.take_count(reply, ctx),
            _ => self.take_reply(reply, ctx),
        }
        self.read_past(ctx);
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        if self.is_stale {
            self.refresh(ctx);
        }
        self.read_past_again(ctx);
    }

    fn expire(&mut self) {
        self.is_stale = true;
    }

    fn put(&mut self, row: &Value) {
        if let Ok(row) = document::from_value::<R>(row) {
            self.keep = Some(row.id().uuid());
            self.window.put(row, |row| row.id().uuid());
        }
    }

    fn change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        self.take_change(change, ctx);
        self.read_past(ctx);
    }

    fn renew(&mut self, rows: &[Value], ctx: &mut Context<'_>) {
        for row in rows {
            self.take_newer(row, ctx.now);
        }
        self.read_past(ctx);
    }

    fn holds(&self, id: Uuid) -> bool {
        self.shows(id)
    }

    fn deadline(&self) -> Option<Instant> {
        self.live.deadline()
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        self.pass_time(ctx);
    }

    fn resize(&mut self, ctx: &mut Context<'_>) {
        self.window.scroll(ctx.rows);
        self.look_ahead(ctx);
    }

    fn query(&self) -> Query {
        self.query.clone()
    }

    fn memory(&self) -> Option<(Vec<Arranged>, String)> {
        Some((self.columns.remembered::<R>(), self.query.sort.clone()))
    }

    fn remember(&mut self, memory: &ListMemory) {
        self.columns.restore::<R>(&memory.columns);
        let key = memory.sort.trim_start_matches('-');
        if R::SORTS.contains(&key) {
            self.query.sort.clone_from(&memory.sort);
        }
    }

    fn copied(&self, what: Command, show: Show<'_>) -> Option<String> {
        self.words_to_copy(what, show)
    }

    fn goto(&mut self, typed: &str, ctx: &mut Context<'_>) {
        self.seek(typed, ctx);
    }

    fn click(&mut self, row: usize, ctx: &mut Context<'_>) {
        let index = self.window.top() + row;
        if index >= self.window.len() {
            return;
        }
        if index == self.window.selected_index() {
            self.command(Command::Open, ctx);
        } else {
            self.window.select(index, ctx.rows);
            self.look_ahead(ctx);
        }
    }

    fn clear_marks(&mut self) {
        self.marks.clear();
    }

    fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    fn set_query(&mut self, query: Query, ctx: &mut Context<'_>) {
        self.query = query;
        self.detail = None;
        self.total = None;
        self.last = None;
        self.marks.clear();
        self.stop_counting(ctx);
        self.ask(Want::First, ctx);
    }

    fn want_names(&self, names: &mut Names) {
        let chips = self.query.chips.iter().filter_map(|chip| chip.reference);
        let shown = self.window.rows().flat_map(R::references);
        shown
            .chain(chips)
            .for_each(|reference| names.want(reference));
        if self.detail.is_some() {
            for detail in self.window.selected().map(R::details).unwrap_or_default() {
                if let Cell::Line(_, product, _) | Cell::Name(product) = detail.value {
                    names.want(product);
                }
            }
            self.past.want_names(names);
        }
    }

    fn is_loading(&self) -> bool {
        self.waiting.is_some()
    }
}

impl<R: Entity> ListScreen<R> {
    /// The lines of the detail pane, while it is open.
    pub fn details(&self) -> Option<Vec<Detail>> {
        self.detail?;
        self.window.selected().map(R::details)
    }

    fn take_reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some((_, want)) = self.waiting.take_if(|(run, _)| *run == reply.ticket.run) else {
            return;
        };
        let answer = match &reply.result {
            Ok(answer) => answer,
            Err(failure) => return self.failed(failure, ctx),
        };
        self.took = Some(reply.took);
        match answer.read::<Page<R>>() {
            Ok(page) => {
                self.error = None;
                self.last = answer.last.clone().or_else(|| self.last.take());
                self.take(page, want, ctx);
            }
            Err(message) => self.error = Some(message),
        }
    }

    fn detail_command(&mut self, command: Command, ctx: &mut Context<'_>) -> bool {
        let targets: Vec<Target> = self
            .details()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|detail| detail.target)
            .collect();
        let DetailPane { link, top } = self.detail.unwrap_or_default();
        let select = |link: usize| Some(DetailPane { link, top: 0 });
        match command {
            Command::Up => self.detail = select(link.saturating_sub(1)),
            Command::Down => {
                self.detail = select((link + 1).min(targets.len().saturating_sub(1)));
            }
            Command::PageUp => {
                let top = top.saturating_sub(DETAIL_STEP);
                self.detail = Some(DetailPane { link, top });
            }
            Command::PageDown => {
                let top = (top + DETAIL_STEP).min(MAX_DETAIL_TOP);
                self.detail = Some(DetailPane { link, top });
            }
            Command::Open => {
                if let Some(target) = targets.get(link) {
                    ctx.wish(Wish::Follow(target.clone()));
                }
            }
            Command::Back => self.detail = None,
            _ => return false,
        }
        true
    }

    /// What is on the screen stays; it is read again when the tab is next seen or the link is back.
    fn failed(&mut self, failure: &Failure, ctx: &mut Context<'_>) {
        self.is_stale = true;
        let is_new = self.shown != self.query || self.window.is_empty();
        match failure {
            Failure::Refused(problem) if is_new => {
                // What is at fault is a search or a filter, which one sees above.
                let fault = problem.errors.first().map(|fault| &fault.message);
                let words = fault.unwrap_or(&problem.detail);
                self.error = Some(format!("{words}. Esc shows all again.").replace("..", "."));
            }
            Failure::NoAnswer(reason) if is_new => self.error = Some(reason.clone()),
            Failure::Refused(_) | Failure::NoAnswer(_) => ctx.bad(failure.message()),
            // The status line says so.
            Failure::Unreachable(_) => {}
        }
    }
}
