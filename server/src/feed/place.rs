//! Positions: the order in which entries of the change log are told. Neither their times nor their ids
//! follow the order of commits, so positions are given afterwards, to what is committed, by one at a time.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::{cache::relay::LogRun, error::Result, state::AppState};

/// An entry so old is placed although whoever wrote it has not done so.
const LEFT_AFTER: TimeDelta = TimeDelta::seconds(1);
/// Entries that one transaction takes.
const BATCH: i64 = 1_000;

/// Marks entries as relayed and places those among them that are not yet.
pub(crate) async fn mark(state: &AppState, runs: &[LogRun]) -> Result<()> {
    let mut transaction = state.pool.begin().await?;
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
        ), marked as (
            update changes c set relayed_at = $4, position = coalesce(c.position, $5 + entry.nth)
            from entry
            where c.at = entry.at and c.seq = entry.seq and c.at between $6 and $7
            returning entry.is_new
        )
        select count(*) from marked where is_new",
    )
    .bind(&times)
    .bind(&firsts)
    .bind(&lasts)
    .bind(state.options.clock.now())
    .bind(last)
    .bind(times.iter().min())
    .bind(times.iter().max())
    .fetch_one(&mut *transaction)
    .await?;
    advance(&mut transaction, placed).await?;
    transaction.commit().await?;
    Ok(())
}

/// Places what nobody has: entries of writers that died, or whose tags could not be deleted, or that have
/// no cache.
pub(crate) async fn leftovers(state: &AppState) -> Result<()> {
    while leftover(state, state.options.clock.now()).await? == BATCH {}
    Ok(())
}

async fn leftover(state: &AppState, now: DateTime<Utc>) -> Result<i64> {
    let mut conn = state.pool.acquire().await?;
    // A look that takes no lock: mostly there is nothing.
    let any = sqlx::query_scalar(
        "select exists (
            select from changes where position is null and (at < $1 or at > $2))",
    );
    let (before, after) = (now - LEFT_AFTER, now + LEFT_AFTER);
    if !any.bind(before).bind(after).fetch_one(&mut *conn).await? {
        return Ok(0);
    }
    drop(conn);
    let mut transaction = state.pool.begin().await?;
    let last = lock(&mut transaction).await?;
    let placed: i64 = sqlx::query_scalar(
        "with entry as (
            select at, seq, row_number() over (order by at, seq) as nth
            from (
                select at, seq from changes
                where position is null and (at < $1 or at > $2)
                order by at, seq
                limit $4
            ) as left_over
        ), placed as (
            update changes c set position = $3 + entry.nth
            from entry
            where c.at = entry.at and c.seq = entry.seq
            returning 1
        )
        select count(*) from placed",
    )
    .bind(before)
    .bind(after)
    .bind(last)
    .bind(BATCH)
    .fetch_one(&mut *transaction)
    .await?;
    advance(&mut transaction, placed).await?;
    transaction.commit().await?;
    Ok(placed)
}

/// The last position; nobody else gives any until the transaction ends.
async fn lock(conn: &mut PgConnection) -> Result<i64> {
    let last = sqlx::query_scalar("select position from feed where id = 1 for update");
    Ok(last.fetch_one(conn).await?)
}

async fn advance(conn: &mut PgConnection, placed: i64) -> Result<()> {
    if placed > 0 {
        sqlx::query("update feed set position = position + $1 where id = 1")
            .bind(placed)
            .execute(conn)
            .await?;
    }
    Ok(())
}
