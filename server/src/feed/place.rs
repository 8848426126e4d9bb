//! Positions: the order in which entries of the change log are told. Neither their times nor their ids
//! follow the order of commits, so positions are given afterwards, to what is committed, by one at a time.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, postgres::PgRow};

use crate::{cache::relay::LogRun, database::Connection, error::Result, state::AppState};

/// An entry so old is placed although whoever wrote it has not done so.
const LEFT_AFTER: TimeDelta = TimeDelta::seconds(1);
/// Entries that one transaction takes.
const BATCH: usize = 1_000;

/// Marks entries as relayed and places those among them that are not yet.
pub(crate) async fn mark(state: &AppState, runs: &[LogRun]) -> Result<()> {
    place(state, runs, Some(state.options.clock.now())).await
}

/// Places what nobody has: entries of writers that died, or whose tags could not be deleted, or that have
/// no cache.
pub(crate) async fn leftovers(state: &AppState) -> Result<()> {
    loop {
        let now = state.options.clock.now();
        let left = sqlx::query(
            "select at, seq from changes
            where position is null and (at < $1 or at > $2)
            order by at, seq
            limit $3",
        )
        .bind(now - LEFT_AFTER)
        .bind(now + LEFT_AFTER)
        .bind(BATCH as i64)
        .try_map(|row: PgRow| {
            Ok(LogRun {
                at: row.try_get("at")?,
                first: row.try_get("seq")?,
                entries: 1,
            })
        })
        .fetch_all(&mut *state.database.background.acquire().await?)
        .await?;
        if left.is_empty() {
            return Ok(());
        }
        let is_last = left.len() < BATCH;
        place(state, &joined(left), None).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// The same entries in fewer runs: those of one write stand one after the other.
fn joined(entries: Vec<LogRun>) -> Vec<LogRun> {
    let mut runs: Vec<LogRun> = Vec::new();
    for entry in entries {
        match runs.last_mut() {
            Some(run) if run.at == entry.at && run.follows_on(entry.first) => run.entries += 1,
            _ => runs.push(entry),
        }
    }
    runs
}

/// Gives those of the entries a position that have none, in the order of their times, and marks them all
/// where they were relayed at an instant.
async fn place(state: &AppState, runs: &[LogRun], relayed_at: Option<DateTime<Utc>>) -> Result<()> {
    let mut transaction = state.database.background.begin().await?;
    let last = lock(&mut transaction).await?;
    let times: Vec<_> = runs.iter().map(|run| run.at).collect();
    let firsts: Vec<_> = runs.iter().map(|run| run.first).collect();
    let lasts: Vec<_> = runs.iter().map(LogRun::last).collect();
    let placed: i64 = sqlx::query_scalar(
        "with entry as (
            select c.at, c.seq, c.position is null as is_new,
                row_number() over (partition by c.position is null order by c.at, c.seq) as nth
            from changes c
            join unnest($1::timestamptz[], $2::uuid[], $3::uuid[]) as done (at, first, last)
                on c.at = done.at and c.seq between done.first and done.last
            -- These bounds follow; the planner prunes partitions by them alone.
            where c.at between $6 and $7
        ), placed as (
            update changes c
            set relayed_at = coalesce($4, c.relayed_at), position = coalesce(c.position, $5 + entry.nth)
            from entry
            where c.at = entry.at and c.seq = entry.seq and c.at between $6 and $7
            returning entry.is_new
        )
        select count(*) from placed where is_new",
    )
    .bind(&times)
    .bind(&firsts)
    .bind(&lasts)
    .bind(relayed_at)
    .bind(last)
    .bind(times.iter().min())
    .bind(times.iter().max())
    // Planned for these runs and for the log as it is: a plan that was made for a few entries takes minutes
    // for some thousands.
    .persistent(false)
    .fetch_one(&mut *transaction)
    .await?;
    advance(&mut transaction, placed).await?;
    transaction.commit().await?;
    Ok(())
}

/// The last position; nobody else gives any until the transaction ends.
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
