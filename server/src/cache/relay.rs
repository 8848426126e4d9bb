//! The relay: deletes the tags of changes whose writer could not, because the store was away or the
//! server died between its commit and its answer. Every server runs one; they share the work.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{Invalidation, Tag};
use crate::{error::Result, state::AppState};

/// How often what writers have done themselves is written down.
const MARK_PERIOD: Duration = Duration::from_millis(250);
/// So many of those periods between two looks for changes that were left over.
const LOOK_EVERY: u32 = 2;
/// A change so young may still be on its way through its writer. Clocks of servers differ a little;
/// what seems to come from the future is not waited for.
const GRACE: TimeDelta = TimeDelta::seconds(1);
/// No answer from before such a change can be alive: it has outlived every entry, and every load
/// that was under way.
const HARMLESS_AFTER: TimeDelta = TimeDelta::minutes(15);
/// Changes that one transaction takes.
const BATCH: i64 = 500;

/// Where a change stands in the log.
pub(crate) type LogPosition = (DateTime<Utc>, Uuid);

/// Changes whose tags are deleted and which are yet to be marked so, off the answer's path.
#[derive(Debug, Default)]
pub(crate) struct Done(Mutex<Vec<LogPosition>>);

impl Done {
    pub(crate) fn push(&self, places: impl IntoIterator<Item = LogPosition>) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.extend(places);
    }

    fn take(&self) -> Vec<LogPosition> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Works until it is aborted.
pub(crate) async fn run(state: AppState) {
    let mut ticks = tokio::time::interval(MARK_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        if let Err(error) = mark(&state).await {
            // They stay as they were; the next look takes them for left over and deletes once more.
            tracing::warn!(%error, "changes could not be marked as relayed");
        }
        if tick % LOOK_EVERY == 0
            && let Err(error) = look(&state).await
        {
            tracing::warn!(%error, "the relay could not look at the change log");
        }
    }
}

/// Writes down what writers have done. Also done once more when the server stops.
pub(crate) async fn mark(state: &AppState) -> Result<()> {
    let done = state.relay.take();
    if done.is_empty() {
        return Ok(());
    }
    let mut conn = state.pool.acquire().await?;
    set_relayed(&mut conn, state.options.clock.now(), done).await
}

async fn set_relayed(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    places: Vec<LogPosition>,
) -> Result<()> {
    let (times, ids): (Vec<_>, Vec<_>) = places.into_iter().unzip();
    sqlx::query(
        "update changes c set relayed_at = $3
        from unnest($1::timestamptz[], $2::uuid[]) as done (at, seq)
        where c.at = done.at and c.seq = done.seq
            -- These bounds follow; the planner prunes partitions by them alone.
            and c.at between $4 and $5",
    )
    .bind(&times)
    .bind(&ids)
    .bind(now)
    .bind(times.iter().min())
    .bind(times.iter().max())
    .execute(conn)
    .await?;
    Ok(())
}

async fn look(state: &AppState) -> Result<()> {
    let ages = match state.cache.is_up() {
        Some(true) => (GRACE, GRACE),
        Some(false) => return Ok(()),
        // Without a cache here, servers with one may still come to need all others.
        None => (HARMLESS_AFTER, TimeDelta::MAX),
    };
    while repair(state, ages).await? == BATCH {}
    Ok(())
}

/// Takes a batch of changes that were left over, older than this or that much ahead of our clock,
/// deletes their tags and marks them; tells how many.
async fn repair(state: &AppState, (older, ahead): (TimeDelta, TimeDelta)) -> Result<i64> {
    let now = state.options.clock.now();
    let mut transaction = state.pool.begin().await?;
    let left = sqlx::query(
        "select at, seq, tags from changes
        where relayed_at is null and (at < $1 or at > $2)
        order by at, seq
        limit $3
        -- Another relay may have the first of them in hand.
        for update skip locked",
    )
    .bind(now - older)
    .bind(now.checked_add_signed(ahead))
    .bind(BATCH)
    .try_map(|row: PgRow| {
        let tags: Vec<String> = row.try_get("tags")?;
        Ok(((row.try_get("at")?, row.try_get("seq")?), tags))
    })
    .fetch_all(&mut *transaction)
    .await?;
    if left.is_empty() {
        return Ok(0);
    }
    let harmless = now - HARMLESS_AFTER;
    let (mut places, mut tags, mut repaired): (Vec<LogPosition>, Vec<Tag>, u64) =
        Default::default();
    for (place, named) in left {
        if place.0 > harmless {
            tags.extend(named.into_iter().map(Tag::from));
            repaired += 1;
        }
        places.push(place);
    }
    tags.sort();
    tags.dedup();
    if state.cache.invalidate(&tags).await == Invalidation::Deferred {
        return Ok(0);
    }
    let taken = places.len() as i64;
    set_relayed(&mut transaction, now, places).await?;
    transaction.commit().await?;
    state.cache.counters().repairs.inc_by(repaired);
    Ok(taken)
}
