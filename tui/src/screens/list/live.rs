//! What others do, as the list shows it: rows that changed light up where they stand, rows that came are
//! counted, and read at once where one looks at the top of the list.

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

use super::{ListScreen, Want};
use crate::{messages::context::Context, model::entity::Entity};

/// How long a row is lit.
const LIT_FOR: Duration = Duration::from_secs(6);
/// How long the list waits for more before it reads again.
const SETTLE: Duration = Duration::from_millis(500);

/// What has become of a row while one looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lit {
    Changed,
    Deleted,
}

/// What has happened to a list since it was read.
#[derive(Debug, Default)]
pub struct Live {
    /// Rows that are lit, until when.
    lit: HashMap<Uuid, (Lit, Instant)>,
    /// Rows that came and are not shown.
    pub arrivals: i64,
    read_at: Option<Instant>,
}

impl Live {
    pub fn lit(&self, id: Uuid) -> Option<Lit> {
        self.lit.get(&id).map(|(lit, _)| *lit)
    }

    pub(super) fn light(&mut self, id: Uuid, lit: Lit, now: Instant) {
        self.lit.insert(id, (lit, now + LIT_FOR));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let passing = self.lit.values().filter(|(lit, _)| *lit == Lit::Changed);
        let passing = passing.map(|(_, until)| *until);
        passing.chain(self.read_at).min()
    }

    /// The list is being read as it is now.
    pub(super) fn settled(&mut self) {
        self.lit.retain(|_, (lit, _)| *lit != Lit::Deleted);
        self.arrivals = 0;
        self.read_at = None;
    }
}

impl<R: Entity> ListScreen<R> {
    pub(super) fn take_change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        if change.entity != R::NAME {
            // A partition, or everything: rows may have come and gone anywhere.
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
            (Op::Delete, _) if self.shows(id) => self.live.light(id, Lit::Deleted, ctx.now),
            (Op::Update, Some(row)) => self.take_newer(row, ctx.now),
            _ => {}
        }
    }

    /// Puts a row in the place of its older version, and lights it.
    pub(super) fn take_newer(&mut self, row: &Value, now: Instant) {
        let Ok(row) = document::from_value::<R>(row) else {
            return;
        };
        let id = row.id().uuid();
        let is_newer = |old: &R| old.id().uuid() == id && old.version() < row.version();
        if self.window.rows().any(is_newer) {
            self.window.put(row, |row| row.id().uuid());
            self.live.light(id, Lit::Changed, now);
        }
    }

    pub(super) fn shows(&self, id: Uuid) -> bool {
        self.window.rows().any(|row| row.id().uuid() == id)
    }

    /// Who looks at the top of the list sees what comes; to others it is told how much.
    fn read_soon(&mut self, rows: i64, ctx: &Context<'_>) {
        if self.query.only.is_some() {
            return;
        }
        self.live.arrivals += rows;
        let is_at_top = self.window.prev().is_none() && self.window.top() == 0;
        if is_at_top && self.detail.is_none() {
            self.live.read_at.get_or_insert(ctx.now + SETTLE);
        }
    }

    pub(super) fn pass_time(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        // What is deleted stays so, until the page is read again.
        let is_lit = |lit: Lit, until: Instant| lit == Lit::Deleted || until > now;
        self.live.lit.retain(|_, (lit, until)| is_lit(*lit, *until));
        if self.live.read_at.is_none_or(|at| at > now) {
            return;
        }
        // A page that is on its way must not be given up for another.
        self.live.read_at = self.waiting.is_some().then(|| now + SETTLE);
        if self.waiting.is_none() {
            self.refresh(ctx);
        }
    }

    /// The versions of the rows that are shown, to tell what another reading has changed.
    pub(super) fn versions(&self) -> HashMap<Uuid, i64> {
        let rows = self.window.rows();
        rows.map(|row| (row.id().uuid(), row.version())).collect()
    }

    /// Lights what differs from before.
    pub(super) fn light_differences(
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
            self.live.light(id, Lit::Changed, now);
        }
    }
}

impl Want {
    /// Whether the answer shows what one looked at before.
    pub(super) const fn is_again(&self) -> bool {
        matches!(self, Self::Again(..))
    }
}
