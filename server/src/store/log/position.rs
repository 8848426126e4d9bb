//! Positions: the order in which readers get the entries of the change log. Neither the times nor the ids of entries
//! follow the order of commits, so positions are assigned after the commit, by one transaction at a time.
//!
//! Locks are always taken in the same order: the row of `feed`, then entries.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::LogRun;
use crate::{
    http::error::Result,
    store::{Store, database::Connection},
};

/// An entry older than this gets its position from any server, because its writer has not placed it.
const STALE_AFTER: TimeDelta = TimeDelta::seconds(1);
/// Most entries that [`assign_stale`] places in one transaction.
const BATCH: usize = 1_000;
/// Most runs in one statement.
const RUNS: usize = 200;

/// Marks entries as relayed, and assigns positions to those that have none yet.
pub(crate) async fn mark_relayed(store: &Store, runs: &[LogRun]) -> Result<()> {
    assign_positions(store, runs, Some(store.options.clock.now())).await
}

/// Assigns positions to entries that their writers have not placed: the writer died, could not delete its tags, or
/// has no cache. An entry dated in the future comes from a server whose clock is ahead, and is placed as well.
pub(crate) async fn assign_stale(store: &Store) -> Result<()> {
    loop {
        let now = store.options.clock.now();
        let left = sqlx::query(
            "select at, seq from changes
            where position is null and (at < $1 or at > $2)
            order by at, seq
            limit $3",
        )
        .bind(now - STALE_AFTER)
        .bind(now + STALE_AFTER)
        .bind(BATCH as i64)
        .try_map(|row| run_of_one(&row))
        .fetch_all(&mut *store.database.background.acquire().await?)
        .await?;
        if left.is_empty() {
            return Ok(());
        }
        let is_last = left.len() < BATCH;
        assign_positions(store, &left, None).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// The same entries in fewer runs: joins neighbours of the same write, whose ids are consecutive.
fn joined(runs: Vec<LogRun>) -> Vec<LogRun> {
    let mut joined: Vec<LogRun> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if last.at == run.at && last.follows_on(run.first) => {
                last.entries += run.entries;
            }
            _ => joined.push(run),
        }
    }
    joined
}

fn run_of_one(row: &PgRow) -> sqlx::Result<LogRun> {
    Ok(LogRun {
        at: row.try_get("at")?,
        first: row.try_get("seq")?,
        entries: 1,
    })
}

/// Assigns positions to those of the entries that have none, in the order of their times. If `relayed_at` is given,
/// also marks all of them as relayed.
///
/// Entries are matched by the first and last id of their run, not one by one, and at most [`RUNS`] runs go into one
/// statement. This bounds the work even if the planner misjudges the size of the log: a join of single entries takes
/// minutes if it expects a few and finds ten thousand.
async fn assign_positions(
    store: &Store,
    runs: &[LogRun],
    relayed_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|run| (run.at, run.first));
    let runs = joined(runs);
    let mut transaction = store.database.background.begin().await?;
    let mut last = lock(&mut transaction).await?;
    for runs in runs.chunks(RUNS) {
        let new = joined(select_new(&mut transaction, runs).await?);
        let placed = write_positions(&mut transaction, &new, last, relayed_at).await?;
        let entries: usize = runs.iter().map(|run| run.entries).sum();
        if let Some(relayed_at) = relayed_at.filter(|_| placed < entries as i64) {
            write_relayed(&mut transaction, runs, relayed_at).await?;
        }
        advance(&mut transaction, placed).await?;
        last += placed;
    }
    transaction.commit().await?;
    Ok(())
}

/// The entries of the runs that have no position, each as its own run, in the order of their times.
async fn select_new(conn: &mut Connection, runs: &[LogRun]) -> Result<Vec<LogRun>> {
    let ends = Ends::of(runs);
    let new = sqlx::query(
        "select c.at, c.seq from changes c
        join unnest($1::timestamptz[], $2::uuid[], $3::uuid[]) as run (at, first, last)
            on c.at = run.at and c.seq between run.first and run.last
        -- Redundant, but the planner prunes partitions only by these bounds.
        where c.at between $4 and $5 and c.position is null
        order by c.at, c.seq",
    )
    .bind(&ends.times)
    .bind(&ends.firsts)
    .bind(&ends.lasts)
    .bind(ends.times.first())
    .bind(ends.times.last())
    // Not prepared: the plan depends on the instants, which decide the partitions.
    .persistent(false)
    .try_map(|row| run_of_one(&row))
    .fetch_all(conn)
    .await?;
    Ok(new)
}

/// Assigns the positions after `last` to the entries of the runs, none of which may have a position; returns the
/// number of entries.
async fn write_positions(
    conn: &mut Connection,
    runs: &[LogRun],
    last: i64,
    relayed_at: Option<DateTime<Utc>>,
) -> Result<i64> {
    if runs.is_empty() {
        return Ok(0);
    }
    let ends = Ends::of(runs);
    let mut position = last + 1;
    let mut firsts = Vec::with_capacity(runs.len());
    for run in runs {
        firsts.push(position);
        position += run.entries as i64;
    }
    // The ids of a run count up, so the offset of an entry is the difference of its id to the first. The low 32 bits
    // are enough for that; adding 2^32 (4294967296) before the modulo corrects an overflow of these bits.
    let lows = runs.iter().map(|run| i64::from(run.first.as_u128() as u32));
    sqlx::query(
        "update changes c
        set relayed_at = coalesce($6, c.relayed_at),
            position = run.position
                + (('x' || right(c.seq::text, 8))::bit(32)::bigint - run.low + 4294967296) % 4294967296
        from unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
            as run (at, first, last, position, low)
        where c.at = run.at and c.seq between run.first and run.last
            and c.at between $7 and $8",
    )
    .bind(&ends.times)
    .bind(&ends.firsts)
    .bind(&ends.lasts)
    .bind(&firsts)
    .bind(lows.collect::<Vec<i64>>())
    .bind(relayed_at)
    .bind(ends.times.first())
    .bind(ends.times.last())
    .persistent(false)
    .execute(conn)
    .await?;
    Ok(position - last - 1)
}

/// Marks the entries as relayed that are not marked yet: those that already had a position.
async fn write_relayed(
    conn: &mut Connection,
    runs: &[LogRun],
    relayed_at: DateTime<Utc>,
) -> Result<()> {
    let ends = Ends::of(runs);
    sqlx::query(
        "update changes c
        set relayed_at = $4
        from unnest($1::timestamptz[], $2::uuid[], $3::uuid[]) as run (at, first, last)
        where c.at = run.at and c.seq between run.first and run.last
            and c.at between $5 and $6 and c.relayed_at is null",
    )
    .bind(&ends.times)
    .bind(&ends.firsts)
    .bind(&ends.lasts)
    .bind(relayed_at)
    .bind(ends.times.first())
    .bind(ends.times.last())
    .persistent(false)
    .execute(conn)
    .await?;
    Ok(())
}

/// Runs as arrays to bind, in the order of their times.
struct Ends {
    times: Vec<DateTime<Utc>>,
    firsts: Vec<Uuid>,
    lasts: Vec<Uuid>,
}

impl Ends {
    fn of(runs: &[LogRun]) -> Self {
        Self {
            times: runs.iter().map(|run| run.at).collect(),
            firsts: runs.iter().map(|run| run.first).collect(),
            lasts: runs.iter().map(LogRun::last).collect(),
        }
    }
}

/// Locks the row of `feed` and returns the last position. The lock is held until the commit, so a reader that sees a
/// position sees all entries before it. The counter is in a row, not in a sequence, so that positions have no gaps.
async fn lock(conn: &mut Connection) -> Result<i64> {
    let last = sqlx::query_scalar("select position from feed where id = 1 for update");
    Ok(last.fetch_one(conn).await?)
}

async fn advance(conn: &mut Connection, placed: i64) -> Result<()> {
    if placed > 0 {
        sqlx::query("update feed set position = position + $1 where id = 1")
            .bind(placed)
            .execute(conn)
            .await?;
    }
    Ok(())
}
