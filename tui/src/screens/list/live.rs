//! Shows changes by others in the list. Changed rows are highlighted. New rows are loaded if the top of the list is on
//! the screen, and only counted otherwise.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use stockroom_common::{
    change::{ChangeEvent, Op},
    document,
};
use uuid::Uuid;

use super::{ListScreen, PageRequest};
use crate::{messages::context::Context, model::entity::Entity};

/// How long a changed row is highlighted.
const HIGHLIGHT_TIME: Duration = Duration::from_secs(6);
/// Delay between a new row and the reload, so that one reload covers several new rows.
const RELOAD_DELAY: Duration = Duration::from_millis(500);

/// What has happened to a row since it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Highlight {
    Changed,
    Deleted,
}

/// What has happened to a list since it was last read.
#[derive(Debug, Default)]
pub struct Live {
    /// Highlighted rows, each with the time at which the highlight expires. [`Highlight::Deleted`] does not expire.
    highlights: HashMap<Uuid, (Highlight, Instant)>,
    /// How many rows were added since the list was read and are not loaded yet.
    pub arrivals: i64,
    /// When to read the list again.
    read_at: Option<Instant>,
}

impl Live {
    pub fn highlight_of(&self, id: Uuid) -> Option<Highlight> {
        self.highlights.get(&id).map(|(highlight, _)| *highlight)
    }

    pub(super) fn highlight(&mut self, id: Uuid, highlight: Highlight, now: Instant) {
        self.highlights
            .insert(id, (highlight, now + HIGHLIGHT_TIME));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let passing = self
            .highlights
            .values()
            .filter(|(highlight, _)| *highlight == Highlight::Changed);
        let passing = passing.map(|(_, until)| *until);
        passing.chain(self.read_at).min()
    }

    /// Resets the state after the list was read.
    pub(super) fn reset(&mut self) {
        self.highlights
            .retain(|_, (highlight, _)| *highlight != Highlight::Deleted);
        self.arrivals = 0;
        self.read_at = None;
    }
}

impl<R: Entity> ListScreen<R> {
    pub(super) fn take_change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        if change.entity != R::NAME {
            // A change without a row and without touched rows concerns a partition, or all data: any row may have
            // appeared or gone.
            if !change.touched.is_empty() || change.entity_id.is_some() {
                return;
            }
            return self.read_soon(0, ctx);
        }
        let Some(id) = change.entity_id else {
            let rows = change.row.as_ref().and_then(|row| row["rows"].as_i64());
            return self.read_soon(rows.unwrap_or(1), ctx);
        };
        match (change.op, &change.row) {
            (Op::Create, _) if !self.window.rows().any(|row| row.id().uuid() == id) => {
                self.read_soon(1, ctx);
            }
            (Op::Delete, _) if self.has(id) => self.live.highlight(id, Highlight::Deleted, ctx.now),
            (Op::Update, Some(row)) => self.take_newer(row, ctx.now),
            _ => {}
        }
    }

    /// Replaces a loaded row with a newer version, and highlights it. Ignores rows that are not loaded.
    pub(super) fn take_newer(&mut self, row: &Value, now: Instant) {
        let Ok(row) = document::from_value::<R>(row) else {
            return;
        };
        let id = row.id().uuid();
        let is_newer = |old: &R| old.id().uuid() == id && old.version() < row.version();
        if self.window.rows().any(is_newer) {
            self.window.put(row, |row| row.id().uuid());
            self.live.highlight(id, Highlight::Changed, now);
        }
    }

    pub(super) fn has(&self, id: Uuid) -> bool {
        self.window.rows().any(|row| row.id().uuid() == id)
    }

    /// Counts new rows. Schedules a reload if the top of the list is on the screen and the detail pane is closed.
    fn read_soon(&mut self, rows: i64, ctx: &Context<'_>) {
        if self.query.only.is_some() {
            return;
        }
        self.live.arrivals += rows;
        let is_at_top = self.window.prev().is_none() && self.window.top() == 0;
        if is_at_top && self.detail.is_none() {
            self.live.read_at.get_or_insert(ctx.now + RELOAD_DELAY);
        }
    }

    pub(super) fn update_live(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        // A deleted row stays highlighted until the page is read again.
        let is_highlighted =
            |highlight: Highlight, until: Instant| highlight == Highlight::Deleted || until > now;
        self.live
            .highlights
            .retain(|_, (highlight, until)| is_highlighted(*highlight, *until));
        if self.live.read_at.is_none_or(|at| at > now) {
            return;
        }
        // A new request would cancel the page request that is under way: tries again later.
        self.live.read_at = self.waiting.is_some().then(|| now + RELOAD_DELAY);
        if self.waiting.is_none() {
            self.refresh(ctx);
        }
    }

    /// The versions of the loaded rows, to compare with the next read.
    pub(super) fn versions(&self) -> HashMap<Uuid, i64> {
        let rows = self.window.rows();
        rows.map(|row| (row.id().uuid(), row.version())).collect()
    }

    /// Highlights rows that are new or have another version than before, except the one that the user has just written.
    pub(super) fn highlight_changes(
        &mut self,
        before: &HashMap<Uuid, i64>,
        own: Option<Uuid>,
        now: Instant,
    ) {
        if before.is_empty() {
            return;
        }
        let rows = self.window.rows();
        let differing = rows
            .filter(|row| before.get(&row.id().uuid()) != Some(&row.version()))
            .map(|row| row.id().uuid());
        let differing: Vec<Uuid> = differing.filter(|id| Some(*id) != own).collect();
        for id in differing {
            self.live.highlight(id, Highlight::Changed, now);
        }
    }
}

impl PageRequest {
    /// Whether the request reads the page with the selected row again.
    pub(super) const fn is_reload(&self) -> bool {
        matches!(self, Self::Reload(..))
    }
}
