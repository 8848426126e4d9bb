//! Requests the pages of a list, and adds them to the window of loaded pages.

use reqwest::Method;
use stockroom_common::Page;

use super::{
    ListScreen, PageRequest,
    window::{LoadedPage, PageSource},
};
use crate::{
    messages::{
        call::{Call, Owner},
        context::Context,
    },
    model::entity::Entity,
};

/// Rows per page.
const PAGE: usize = 100;
/// A neighbouring page is requested when at most this many loaded rows are left below (or above) the selection. A
/// taller screen raises this to its height, up to two pages.
const AHEAD: usize = 40;

impl<R: Entity> ListScreen<R> {
    pub(super) fn move_by(&mut self, rows: isize, ctx: &mut Context<'_>) {
        self.window.move_by(rows, ctx.rows);
        self.look_ahead(ctx);
    }

    /// Requests the page after or before the loaded ones, before the selection reaches their end.
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

    /// Selects the first or the last row of the list, and loads its page if necessary.
    pub(super) fn jump(&mut self, page_request: PageRequest, ctx: &mut Context<'_>) {
        let is_loaded = match page_request {
            PageRequest::First => self.window.prev().is_none(),
            _ => self.window.next().is_none(),
        };
        if is_loaded {
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

    /// Reads the page with the selected row again.
    pub(super) fn refresh(&mut self, ctx: &mut Context<'_>) {
        if self.shown != self.query {
            // The loaded rows belong to another query.
            return self.ask(PageRequest::First, ctx);
        }
        let (source, before) = self.window.source_of_selected();
        self.ask(PageRequest::Reload(source, before), ctx);
    }

    /// Requests a page. This cancels a page request that is under way.
    pub(super) fn ask(&mut self, page_request: PageRequest, ctx: &mut Context<'_>) {
        self.is_stale = false;
        let path = match &page_request {
            PageRequest::First | PageRequest::Reload(PageSource::First, _) => self.path(None),
            PageRequest::Last => self.last.clone().unwrap_or_else(|| self.path(None)),
            PageRequest::Reload(PageSource::Last(path), _) => path.clone(),
            PageRequest::Seek(value) | PageRequest::Reload(PageSource::Seek(value), _) => {
                let value = serde_urlencoded::to_string([("seek", value)]).unwrap_or_default();
                format!("{}&{value}", self.path(None))
            }
            PageRequest::Next => self.path(self.window.next()),
            PageRequest::Prev => self.path(self.window.prev()),
            PageRequest::Reload(PageSource::Cursor(cursor), _) => self.path(Some(cursor)),
        };
        let ticket = ctx.ticket(Owner::List(R::TAB));
        self.waiting = Some((ticket.run, page_request));
        ctx.send(Call {
            bypass_cache: self.bypass_cache,
            ..Call::new(ticket, Method::GET, path)
        });
    }

    /// The sort, search and filters of the list, as query parameters.
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

    /// The path of the page at a cursor. Without a cursor it is the first page, which also returns an estimate of the
    /// total.
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

    /// Adds a page that was received. If the page is empty and not a neighbour of the loaded ones, requests another
    /// one: the last page after a seek, otherwise the first. This ends: an empty last page leads to the first page, and
    /// the first page is shown even if it is empty.
    pub(super) fn take(&mut self, page: Page<R>, page_request: PageRequest, ctx: &mut Context<'_>) {
        let is_later = !matches!(
            page_request,
            PageRequest::First | PageRequest::Reload(PageSource::First, _)
        );
        if page.items.is_empty() && matches!(page_request, PageRequest::Seek(_)) {
            // All rows sort before the value.
            return self.ask(PageRequest::Last, ctx);
        }
        if page.items.is_empty()
            && is_later
            && !matches!(page_request, PageRequest::Next | PageRequest::Prev)
        {
            // All rows of the page have been deleted, but there may be others before it.
            return self.ask(PageRequest::First, ctx);
        }
        let source = match &page_request {
            PageRequest::First => PageSource::First,
            PageRequest::Last => PageSource::Last(self.last.clone().unwrap_or_default()),
            PageRequest::Seek(value) => PageSource::Seek(value.clone()),
            PageRequest::Next => {
                PageSource::Cursor(self.window.next().unwrap_or_default().to_owned())
            }
            PageRequest::Prev => {
                PageSource::Cursor(self.window.prev().unwrap_or_default().to_owned())
            }
            PageRequest::Reload(source, _) => source.clone(),
        };
        if !matches!(page_request, PageRequest::Next | PageRequest::Prev) {
            self.live.reset();
        }
        let versions = page_request.is_reload().then(|| self.versions());
        self.total = page.total.or(self.total);
        self.archived_before = page.archived_before;
        let page = LoadedPage {
            rows: page.items,
            source,
            next: page.next,
            prev: page.prev,
        };
        match page_request {
            PageRequest::First => {
                self.window.replace(page, Some(0));
                self.window.select(0, ctx.rows);
            }
            PageRequest::Last => {
                self.window.replace(page, None);
                self.window.select(usize::MAX, ctx.rows);
            }
            PageRequest::Seek(_) => {
                self.window.replace(page, None);
                self.window.select(0, ctx.rows);
            }
            PageRequest::Next => self.window.push_next(page),
            PageRequest::Prev => self.window.push_prev(page),
            PageRequest::Reload(_, before) => {
                // The selection may have moved while the request was under way.
                let selected = self.window.selected().map(|row| row.id().uuid());
                let own = self.select_after.take();
                let wanted = own.or(selected);
                let offset = self.window.offset_in_page();
                self.window.replace(page, before);
                let index = self
                    .window
                    .rows()
                    .position(|row| Some(row.id().uuid()) == wanted);
                self.window.select(index.unwrap_or(offset), ctx.rows);
                if index.is_none() {
                    // Another row is selected now: closes the pane, so that it is not mistaken for the one that was
                    // open.
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
