//! The relay: deletes the cache tags of changes whose writer could not, because the cache store was unreachable or the
//! server died between the commit and the response. Every server runs a relay; they share the work.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, postgres::PgRow};
use tokio::time::MissedTickBehavior;

use super::{LogRun, position};
use crate::{
    http::error::Result,
    store::{
        Store,
        cache::{Invalidation, Tag},
        database::Connection,
    },
};

/// How often the changes whose tags their writers have deleted are marked as relayed.
const MARK_PERIOD: Duration = Duration::from_millis(250);
/// Number of [`MARK_PERIOD`]s between two searches for changes that are not relayed.
const POLL_INTERVAL: u32 = 2;
/// A change dated less than this before or after our clock is left to its writer, which may still be busy with it;
/// the clocks of servers differ a little. One dated further in the future is repaired without waiting.
const GRACE: TimeDelta = TimeDelta::seconds(1);
/// No response cached before a change this old can still exist: every cache entry has expired, and every load that was
/// in progress has ended.
const HARMLESS_AFTER: TimeDelta = TimeDelta::minutes(15);
/// Most changes that one transaction repairs.
const BATCH: i64 = 500;

/// Runs until it is aborted.
pub(crate) async fn run(store: Store) {
    let mut ticks = tokio::time::interval(MARK_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        if let Err(error) = mark_relayed(&store).await {
            // They stay unmarked, so the next search finds them and deletes their tags again.
            tracing::warn!(%error, "changes could not be marked as relayed");
        }
        if tick % POLL_INTERVAL != 0 {
            continue;
        }
        if let Err(error) = repair_all(&store).await {
            tracing::warn!(%error, "the relay could not read the change log");
        }
        if let Err(error) = position::assign_stale(&store).await {
            tracing::warn!(%error, "positions could not be assigned to changes");
        }
    }
}

/// Marks the changes whose tags this server's writers have deleted. Called once more when the server stops.
pub(crate) async fn mark_relayed(store: &Store) -> Result<()> {
    loop {
        let done = store.relay.take();
        if done.is_empty() {
            return Ok(());
        }
        position::mark_relayed(store, &done).await?;
    }
}

/// Marks the entries as relayed. It must not assign positions: that requires the row of `feed` to be locked before any
/// entry. Here the entries are already locked, so locking the row now could deadlock.
async fn set_relayed(conn: &mut Connection, now: DateTime<Utc>, runs: &[LogRun]) -> Result<()> {
    let times: Vec<_> = runs.iter().map(|run| run.at).collect();
    let firsts: Vec<_> = runs.iter().map(|run| run.first).collect();
    let lasts: Vec<_> = runs.iter().map(LogRun::last).collect();
    sqlx::query(
        "update changes c set relayed_at = $4
        from unnest($1::timestamptz[], $2::uuid[], $3::uuid[]) as done (at, first, last)
        where c.at = done.at and c.seq between done.first and done.last
            -- Redundant, but the planner prunes partitions only by these bounds.
            and c.at between $5 and $6",
    )
    .bind(&times)
    .bind(&firsts)
    .bind(&lasts)
    .bind(now)
    .bind(times.iter().min())
    .bind(times.iter().max())
    .execute(conn)
    .await?;
    Ok(())
}

/// Repairs changes that are not relayed, batch by batch. Ends with the first batch that is not full, or if the cache
/// store does not answer.
async fn repair_all(store: &Store) -> Result<()> {
    let ages = match store.cache.is_up() {
        Some(true) => (GRACE, GRACE),
        Some(false) => return Ok(()),
        // This server has no cache, but others may: mark only changes that are too old to matter to them.
        None => (HARMLESS_AFTER, TimeDelta::MAX),
    };
    while repair(store, ages).await? == BATCH {}
    Ok(())
}

/// Deletes the tags of a batch of changes that are not relayed and marks them; returns how many. The batch holds
/// changes at least `older` behind or `ahead` of our clock.
async fn repair(store: &Store, (older, ahead): (TimeDelta, TimeDelta)) -> Result<i64> {
    let now = store.options.clock.now();
    let mut transaction = store.database.background.begin().await?;
    let left = sqlx::query(
        "select at, seq, tags from changes
        where relayed_at is null and (at < $1 or at > $2)
        order by at, seq
        limit $3
        -- Another relay may be repairing some of them.
        for update skip locked",
    )
    .bind(now - older)
    .bind(now.checked_add_signed(ahead))
    .bind(BATCH)
    .try_map(|row: PgRow| {
        let tags: Vec<String> = row.try_get("tags")?;
        let run = LogRun {
            at: row.try_get("at")?,
            first: row.try_get("seq")?,
            entries: 1,
        };
        Ok((run, tags))
    })
    .fetch_all(&mut *transaction)
    .await?;
    if left.is_empty() {
        return Ok(0);
    }
    let harmless = now - HARMLESS_AFTER;
    let (mut runs, mut tags, mut repaired): (Vec<LogRun>, Vec<Tag>, u64) = Default::default();
    for (run, named) in left {
        if run.at > harmless {
            tags.extend(named.into_iter().map(Tag::from));
            repaired += 1;
        }
        runs.push(run);
    }
    tags.sort();
    tags.dedup();
    if store.cache.invalidate(&tags).await == Invalidation::Deferred {
        return Ok(0);
    }
    let taken = runs.len() as i64;
    set_relayed(&mut transaction, now, &runs).await?;
    transaction.commit().await?;
    store.cache.counters().repairs.inc_by(repaired);
    Ok(taken)
}
