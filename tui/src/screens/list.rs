//! The list screen, generic over the entity: keyset pagination in both directions, search, filters and sorting by the
//! server, and the detail pane. The old rows stay on the screen until new ones arrive.

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
    window::{PageSource, Window},
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
        show::{Cell, Formatter},
    },
    screens::screen::{RowScreen, Screen},
    settings::{
        keys::{Command, Scope},
        memory::{ColumnLayout, ListMemory},
    },
};

/// Lines that PgUp and PgDn scroll in the detail pane.
const DETAIL_STEP: usize = 8;
/// More lines than the largest order (1,000 order lines) with the longest texts takes.
const MAX_DETAIL_TOP: usize = 1_500;

/// The position in the detail pane.
#[derive(Clone, Copy, Debug, Default)]
pub struct DetailPane {
    /// Index of the selected link, among the lines that are links.
    pub link: usize,
    /// Lines scrolled past the position in which the selected link is visible.
    pub top: usize,
}

#[derive(Debug)]
pub struct ListScreen<R: Entity> {
    pub query: Query,
    pub window: Window<R>,
    pub total: Option<Total>,
    /// Rows from before this time may be missing because their partition is archived.
    pub archived_before: Option<DateTime<Utc>>,
    pub error: Option<String>,
    /// How long the last successful reply took; none before the first.
    pub took: Option<Duration>,
    /// The detail pane; none if it is closed.
    pub detail: Option<DetailPane>,
    /// Changes that others have made since the list was read.
    pub live: Live,
    /// The history of the row in the detail pane.
    pub history: RowHistory,
    pub columns: Columns,
    pub marks: Marks,
    /// The run of the exact count, if one is under way.
    pub counting: Option<u64>,
    /// The run of the call for a page, and which page it requests.
    waiting: Option<(u64, PageRequest)>,
    /// The path of the list's last page, from the `Link` header of an earlier page.
    last: Option<String>,
    /// Whether to read the list again when it is next shown.
    is_stale: bool,
    /// Whether pages bypass the server's cache. Applies until the next command, so that the pages that are read ahead
    /// bypass it too.
    bypass_cache: bool,
    /// The row to select when the page is next read: one that this client has just written.
    select_after: Option<Uuid>,
    /// The query of the loaded rows; `query` may already be a newer one.
    shown: Query,
}

/// A page to request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PageRequest {
    First,
    Last,
    Next,
    Prev,
    /// The page that starts at this value of the sort key.
    Seek(String),
    /// The page with the selected row, read again. The number is how many rows of the list precede the page, if known.
    Reload(PageSource, Option<u64>),
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

    fn copy(&self, what: Command, formatter: Formatter<'_>) -> Option<String> {
        self.text_to_copy(what, formatter)
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
    /// The lines of the detail pane; none if it is closed or no row is selected.
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

    /// Keeps what is on the screen. It is read again when the tab is next shown or the connection is back.
    fn failed(&mut self, failure: &Failure, ctx: &mut Context<'_>) {
        self.is_stale = true;
        let is_new = self.shown != self.query || self.window.is_empty();
        match failure {
            Failure::Refused(problem) if is_new => {
                // A search or a filter is wrong. The title line shows both, so the message does not repeat them.
                let fault = problem.errors.first().map(|fault| &fault.message);
                let reason = fault.unwrap_or(&problem.detail);
                self.error = Some(format!("{reason}. Esc shows all rows.").replace("..", "."));
            }
            Failure::NoAnswer(reason) if is_new => self.error = Some(reason.clone()),
            Failure::Refused(_) | Failure::NoAnswer(_) => ctx.error(failure.message()),
            // The status line shows that the client is offline.
            Failure::Unreachable(_) => {}
        }
    }
}
