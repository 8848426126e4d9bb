//! The list screen, one for every entity: rows by keyset in both directions, search, filters and
//! order by the server, and the detail pane. Old rows stay until new ones are there.

mod actions;
mod columns;
mod commands;
mod copy;
mod count;
pub mod history;
mod live;
pub mod marks;
mod pages;
pub mod window;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;
use stockroom_common::{Page, Total, change::ChangeEvent, document};
use uuid::Uuid;

pub use self::{
    columns::Columns,
    live::{Highlight, Live},
    marks::Marks,
};
use self::{
    history::RowHistory,
    window::{Via, Window},
};
use crate::{
    messages::{
        call::{Failure, Owner, Reply},
        context::Context,
        request::Request,
    },
    model::{
        entity::{Detail, Entity, Target},
        names::Names,
        query::Query,
        show::{Cell, Show},
    },
    screens::screen::{RowScreen, Screen},
    settings::{
        keys::{Command, Scope},
        memory::{ColumnLayout, ListMemory},
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
    /// The history of the row in the detail pane.
    pub history: RowHistory,
    pub columns: Columns,
    pub marks: Marks,
    /// The run of the exact count that is under way.
    pub counting: Option<u64>,
    /// The page that was requested, and the run of the call.
    waiting: Option<(u64, PageRequest)>,
    /// The path of the last page.
    last: Option<String>,
    is_stale: bool,
    /// Whether pages are read from the database until the next command, those around the shown one too.
    bypass_cache: bool,
    /// The row to select when the page is read again.
    select_after: Option<Uuid>,
    /// The query that the loaded rows answer.
    shown: Query,
}

/// Which page is requested.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PageRequest {
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
            history: RowHistory::default(),
            columns: Columns::of::<R>(),
            marks: Marks::default(),
            counting: None,
            waiting: None,
            last: None,
            is_stale: true,
            bypass_cache: false,
            select_after: None,
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
        self.bypass_cache = command == Command::RefreshUncached;
        if self.detail.is_none() || !self.detail_command(command, ctx) {
            self.list_command(command, ctx);
        }
        self.read_history(ctx);
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        match reply.ticket.owner {
            Owner::History(_) => self.take_history(reply),
            Owner::Count(_) => self.take_count(reply, ctx),
            _ => self.take_reply(reply, ctx),
        }
        self.read_history(ctx);
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        if self.is_stale {
            self.refresh(ctx);
        }
        self.retry_history(ctx);
    }

    fn expire(&mut self) {
        self.is_stale = true;
    }

    fn is_loading(&self) -> bool {
        self.waiting.is_some()
    }

    fn change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        self.take_change(change, ctx);
        self.read_history(ctx);
    }

    fn deadline(&self) -> Option<Instant> {
        self.live.deadline()
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        self.update_live(ctx);
    }

    fn resize(&mut self, ctx: &mut Context<'_>) {
        self.window.scroll(ctx.rows);
        self.look_ahead(ctx);
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
            self.history.want_names(names);
        }
    }

    fn as_rows(&self) -> Option<&dyn RowScreen> {
        Some(self)
    }

    fn as_rows_mut(&mut self) -> Option<&mut dyn RowScreen> {
        Some(self)
    }
}

impl<R: Entity> RowScreen for ListScreen<R> {
    fn query(&self) -> Query {
        self.query.clone()
    }

    fn set_query(&mut self, query: Query, ctx: &mut Context<'_>) {
        self.query = query;
        self.detail = None;
        self.total = None;
        self.last = None;
        self.marks.clear();
        self.stop_counting(ctx);
        self.ask(PageRequest::First, ctx);
    }

    fn put(&mut self, row: &Value) {
        if let Ok(row) = document::from_value::<R>(row) {
            self.select_after = Some(row.id().uuid());
            self.window.put(row, |row| row.id().uuid());
        }
    }

    fn refresh_rows(&mut self, rows: &[Value], ctx: &mut Context<'_>) {
        for row in rows {
            self.take_newer(row, ctx.now);
        }
        self.read_history(ctx);
    }

    fn has_row(&self, id: Uuid) -> bool {
        self.has(id)
    }

    fn memory(&self) -> (Vec<ColumnLayout>, String) {
        (self.columns.to_memory::<R>(), self.query.sort.clone())
    }

    fn restore(&mut self, memory: &ListMemory) {
        self.columns.restore::<R>(&memory.columns);
        let key = memory.sort.trim_start_matches('-');
        if R::SORTS.contains(&key) {
            self.query.sort.clone_from(&memory.sort);
        }
    }

    fn copy(&self, what: Command, show: Show<'_>) -> Option<String> {
        self.text_to_copy(what, show)
    }

    fn go_to(&mut self, typed: &str, ctx: &mut Context<'_>) {
        self.seek(typed, ctx);
    }

    fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    fn clear_marks(&mut self) {
        self.marks.clear();
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
                    ctx.request(Request::FollowLink(target.clone()));
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
                self.error = Some(format!("{words}. Esc shows all rows.").replace("..", "."));
            }
            Failure::NoAnswer(reason) if is_new => self.error = Some(reason.clone()),
            Failure::Refused(_) | Failure::NoAnswer(_) => ctx.error(failure.message()),
            // The status line says so.
            Failure::Unreachable(_) => {}
        }
    }
}
