//! The pages of a list: which one is asked for, by which path, and what becomes of it.

use reqwest::Method;
use stockroom_common::Page;

use super::{
    ListScreen, PageRequest,
    window::{Held, Via},
};
use crate::{
    messages::{
        call::{Call, Owner},
        context::Context,
    },
    model::entity::Entity,
};

/// Rows that one request asks for.
const PAGE: usize = 100;
/// The next page is asked for when so many rows or fewer are left below (or above) the selection.
const AHEAD: usize = 40;

impl<R: Entity> ListScreen<R> {
    pub(super) fn move_by(&mut self, rows: isize, ctx: &mut Context<'_>) {
        self.window.move_by(rows, ctx.rows);
        self.look_ahead(ctx);
    }

    /// Asks for the page after or before those held, before the selection gets there.
    pub(super) fn look_ahead(&mut self, ctx: &mut Context<'_>) {
        if self.waiting.is_some() || self.window.is_empty() || self.shown != self.query {
            return;
        }
        let index = self.window.selected_index();
        let ahead = AHEAD.max(ctx.rows).min(2 * PAGE);
        if index + ahead >= self.window.len() && self.window.next().is_some() {
            self.ask(PageRequest::Next, ctx);
        } else if index < ahead && self.window.prev().is_some() {
            self.ask(PageRequest::Prev, ctx);
        }
    }

    pub(super) fn jump(&mut self, page_request: PageRequest, ctx: &mut Context<'_>) {
        let is_held = match page_request {
            PageRequest::First => self.window.prev().is_none(),
            _ => self.window.next().is_none(),
        };
        if is_held {
            let index = if page_request == PageRequest::First {
                0
            } else {
                usize::MAX
            };
            self.window.select(index, ctx.rows);
        } else {
            self.ask(page_request, ctx);
        }
    }

    pub(super) fn refresh(&mut self, ctx: &mut Context<'_>) {
        if self.shown != self.query {
            // The rows that are there belong to another query.
            return self.ask(PageRequest::First, ctx);
        }
        let (via, before) = self.window.via_selected();
        self.ask(PageRequest::Again(via, before), ctx);
    }

    pub(super) fn ask(&mut self, page_request: PageRequest, ctx: &mut Context<'_>) {
        self.is_stale = false;
        let path = match &page_request {
            PageRequest::First | PageRequest::Again(Via::First, _) => self.path(None),
            PageRequest::Last => self.last.clone().unwrap_or_else(|| self.path(None)),
            PageRequest::Again(Via::Last(path), _) => path.clone(),
            PageRequest::Seek(value) | PageRequest::Again(Via::Seek(value), _) => {
                let value = serde_urlencoded::to_string([("seek", value)]).unwrap_or_default();
                format!("{}&{value}", self.path(None))
            }
            PageRequest::Next => self.path(self.window.next()),
            PageRequest::Prev => self.path(self.window.prev()),
            PageRequest::Again(Via::Cursor(cursor), _) => self.path(Some(cursor)),
        };
        let ticket = ctx.ticket(Owner::List(R::TAB));
        self.waiting = Some((ticket.run, page_request));
        ctx.send(Call {
            bypass_cache: self.bypass_cache,
            ..Call::new(ticket, Method::GET, path)
        });
    }

    /// What narrows and orders the list, as parameters.
    pub(super) fn list_parameters(&self) -> Vec<(&str, &str)> {
        let mut pairs = Vec::new();
        if !self.query.sort.is_empty() {
            pairs.push(("sort", self.query.sort.as_str()));
        }
        if !self.query.search.is_empty() {
            pairs.push(("q", &self.query.search));
        }
        let chips = self.query.chips.iter();
        pairs.extend(chips.map(|chip| (chip.name.as_str(), chip.value.as_str())));
        pairs
    }

    /// The path of the page at the cursor; the first one also asks for the total.
    fn path(&self, cursor: Option<&str>) -> String {
        if let Some(id) = self.query.only {
            return format!("/v1/{}?id={id}", R::PATH);
        }
        let limit = PAGE.to_string();
        let mut pairs = vec![("limit", limit.as_str())];
        match cursor {
            Some(cursor) => pairs.push(("cursor", cursor)),
            None => pairs.push(("count", "estimated")),
        }
        pairs.extend(self.list_parameters());
        let pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
        format!("/v1/{}?{pairs}", R::PATH)
    }

    pub(super) fn take(&mut self, page: Page<R>, page_request: PageRequest, ctx: &mut Context<'_>) {
        let is_later = !matches!(
            page_request,
            PageRequest::First | PageRequest::Again(Via::First, _)
        );
        if page.items.is_empty() && matches!(page_request, PageRequest::Seek(_)) {
            // Everything comes before that.
            return self.ask(PageRequest::Last, ctx);
        }
        if page.items.is_empty()
            && is_later
            && !matches!(page_request, PageRequest::Next | PageRequest::Prev)
        {
            // The last row of that page is gone; there are others before it.
            return self.ask(PageRequest::First, ctx);
        }
        let via = match &page_request {
            PageRequest::First => Via::First,
            PageRequest::Last => Via::Last(self.last.clone().unwrap_or_default()),
            PageRequest::Seek(value) => Via::Seek(value.clone()),
            PageRequest::Next => Via::Cursor(self.window.next().unwrap_or_default().to_owned()),
            PageRequest::Prev => Via::Cursor(self.window.prev().unwrap_or_default().to_owned()),
            PageRequest::Again(via, _) => via.clone(),
        };
        if !matches!(page_request, PageRequest::Next | PageRequest::Prev) {
            self.live.reset();
        }
        let versions = page_request.is_again().then(|| self.versions());
        self.total = page.total.or(self.total);
        self.archived_before = page.archived_before;
        let held = Held {
            rows: page.items,
            via,
            next: page.next,
            prev: page.prev,
        };
        match page_request {
            PageRequest::First => {
                self.window.replace(held, Some(0));
                self.window.select(0, ctx.rows);
            }
            PageRequest::Last => {
                self.window.replace(held, None);
                self.window.select(usize::MAX, ctx.rows);
            }
            PageRequest::Seek(_) => {
                self.window.replace(held, None);
                self.window.select(0, ctx.rows);
            }
            PageRequest::Next => self.window.push_next(held),
            PageRequest::Prev => self.window.push_prev(held),
            PageRequest::Again(_, before) => {
                // The selection may have moved while the answer was on its way.
                let selected = self.window.selected().map(|row| row.id().uuid());
                let own = self.select_after.take();
                let keep = own.or(selected);
                let offset = self.window.offset_in_page();
                self.window.replace(held, before);
                let kept = self
                    .window
                    .rows()
                    .position(|row| Some(row.id().uuid()) == keep);
                self.window.select(kept.unwrap_or(offset), ctx.rows);
                if kept.is_none() {
                    // What is selected now is another row: nobody must take it for the one that was open.
                    self.detail = None;
                }
                self.highlight_changes(&versions.unwrap_or_default(), own, ctx.now);
            }
        }
        self.shown = self.query.clone();
        if self.window.is_empty() {
            self.detail = None;
        }
        self.window.scroll(ctx.rows);
        self.look_ahead(ctx);
    }
}
