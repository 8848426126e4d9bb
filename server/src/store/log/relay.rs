//! The relay: deletes the tags of changes whose writer could not, because the store was away or the
//! server died between its commit and its answer. Every server runs one; they share the work.

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

/// How often what writers have done themselves is written down.
const MARK_PERIOD: Duration = Duration::from_millis(250);
/// So many of those periods between two looks for changes that were left over.
const POLL_INTERVAL: u32 = 2;
/// A change so young may still be on its way through its writer. Clocks of servers differ a little;
/// what seems to come from the future is not waited for.
const GRACE: TimeDelta = TimeDelta::seconds(1);
/// No answer from before such a change can be alive: it has outlived every entry, and every load
/// that was under way.
const HARMLESS_AFTER: TimeDelta = TimeDelta::minutes(15);
/// Changes that one transaction takes.
const BATCH: i64 = 500;

/// Works until it is aborted.
pub(crate) async fn run(store: Store) {
    let mut ticks = tokio::time::interval(MARK_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        if let Err(error) = mark_relayed(&store).await {
            // They stay as they were; the next look takes them for left over and deletes once more.
            tracing::warn!(%error, "changes could not be marked as relayed");
        }
        if tick % POLL_INTERVAL != 0 {
            continue;
        }
        if let Err(error) = look(&store).await {
            tracing::warn!(%error, "the relay could not look at the change log");
        }
        if let Err(error) = position::assign_stale(&store).await {
            tracing::warn!(%error, "changes could not be given their positions");
        }
    }
}

/// Writes down what writers have done. Also done once more when the server stops.
pub(crate) async fn mark_relayed(store: &Store) -> Result<()> {
    loop {
        let done = store.relay.take();
        if done.is_empty() {
            return Ok(());
        }
        position::mark_relayed(store, &done).await?;
    }
}

/// Leaves their positions alone: who gives some holds the lock for it before any entry, and this one
/// holds the entries already.
async fn set_relayed(conn: &mut Connection, now: DateTime<Utc>, runs: &[LogRun]) -> Result<()> {
    let times: Vec<_> = runs.iter().map(|run| run.at).collect();
    let firsts: Vec<_> = runs.iter().map(|run| run.first).collect();
    let lasts: Vec<_> = runs.iter().map(LogRun::last).collect();
    sqlx::query(
        "update changes c set relayed_at = $4
        from unnest($1::timestamptz[], $2::uuid[], $3::uuid[]) as done (at, first, last)
        where c.at = done.at and c.seq between done.first and done.last
            -- These bounds follow; the planner prunes partitions by them alone.
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

async fn look(store: &Store) -> Result<()> {
    let ages = match store.cache.is_up() {
        Some(true) => (GRACE, GRACE),
        Some(false) => return Ok(()),
        // Without a cache here, servers with one may still come to need all others.
        None => (HARMLESS_AFTER, TimeDelta::MAX),
    };
    while repair(store, ages).await? == BATCH {}
    Ok(())
}

/// Takes a batch of changes that were left over, older than this or that much ahead of our clock,
/// deletes their tags and marks them; tells how many.
async fn repair(store: &Store, (older, ahead): (TimeDelta, TimeDelta)) -> Result<i64> {
    let now = store.options.clock.now();
    let mut transaction = store.database.background.begin().await?;
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
