//! Seed jobs in the database: the queue, who runs what, which batches are in the shop.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row, postgres::PgRow, types::Json};
use stockroom_common::{
    Id, Kind,
    seed::{NewSeedJob, SeedJob, SeedProgress, SeedState},
};
use uuid::Uuid;

use super::{batch, progress::Progress};
use crate::error::{Error, Result};

/// A running job whose server has not said for so many seconds that it lives is taken over. By the clock
/// of the database: those of servers differ.
const ABANDONED_AFTER: f64 = 15.0;

const COLUMNS: &str = "id, state, request, progress, error, created_at, finished_at";

/// A job that this server has taken.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) job: SeedJob,
    pub(super) actor: String,
    pub(super) batch_rows: i64,
}

/// Writes a new job into the queue, unless the seed is taken.
pub(super) async fn insert(
    pool: &PgPool,
    now: DateTime<Utc>,
    actor: &str,
    request: NewSeedJob,
) -> Result<SeedJob> {
    let job = SeedJob {
        id: Id::mint(now, rand::random()),
        state: SeedState::Queued,
        progress: Progress::new(&request).told(),
        request,
        error: None,
        created_at: now,
        finished_at: None,
    };
    sqlx::query(
        "insert into seed_jobs (id, seed, request, state, progress, rows_loaded,
            cancel_requested, created_at, beat_at, actor, batch_rows)
        values ($1, $2, $3, $4, $5, 0, false, $6, $6, $7, $8)",
    )
    .bind(job.id.uuid())
    .bind(i64::from(job.request.seed))
    .bind(Json(&job.request))
    .bind(job.state.as_str())
    .bind(Json(&job.progress))
    .bind(now)
    .bind(actor)
    .bind(batch::size(&job.request))
    .execute(pool)
    .await
    .map_err(|error| taken(error, job.request.seed))?;
    Ok(job)
}

/// The job that began with this seed, if it was cancelled or failed with rows in the shop.
pub(super) async fn select_given_up(pool: &PgPool, seed: u32) -> Result<Option<SeedJob>> {
    let sql = select_sql(
        "where seed = $1 and state in ('cancelled', 'failed')
            and exists (select from seed_batches where job_id = seed_jobs.id)
        order by created_at desc limit 1",
    );
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(i64::from(seed))
        .try_map(|row| from_row(&row))
        .fetch_optional(pool)
        .await?;
    Ok(job)
}

/// Puts a job that was given up back into the queue; it goes on where it stopped.
pub(super) async fn take_up(
    pool: &PgPool,
    given_up: &SeedJob,
    request: NewSeedJob,
) -> Result<SeedJob> {
    let seed = request.seed;
    if !request.gives_the_rows_of(&given_up.request) {
        let message = format!(
            "seed {seed} began with other sizes, of which rows are in the shop; give the same to go \
             on with it, or take another seed"
        );
        return Err(Error::field(Kind::Conflict, "/seed", "duplicate", message));
    }
    let sql = format!(
        "update seed_jobs
        set state = 'queued', request = $2, error = null, finished_at = null, cancel_requested = false
        where id = $1 and state in ('cancelled', 'failed')
        returning {COLUMNS}"
    );
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(given_up.id.uuid())
        .bind(Json(&request))
        .try_map(|row| from_row(&row))
        .fetch_optional(pool)
        .await
        .map_err(|error| taken(error, seed))?;
    job.ok_or_else(|| duplicate(seed))
}

pub(super) async fn select(pool: &PgPool, id: Id<SeedJob>) -> Result<Option<SeedJob>> {
    let sql = select_sql("where id = $1");
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .try_map(|row| from_row(&row))
        .fetch_optional(pool)
        .await?;
    Ok(job)
}

pub(super) async fn select_latest(pool: &PgPool) -> Result<Vec<SeedJob>> {
    let sql = select_sql("order by created_at desc, id desc limit 100");
    let jobs = sqlx::query(AssertSqlSafe(sql))
        .try_map(|row| from_row(&row))
        .fetch_all(pool)
        .await?;
    Ok(jobs)
}

pub(super) async fn is_any_unfinished(pool: &PgPool) -> Result<bool> {
    let is_any = sqlx::query_scalar(
        "select exists (select from seed_jobs where state in ('queued', 'running'))",
    )
    .fetch_one(pool)
    .await?;
    Ok(is_any)
}

pub(super) async fn request_cancel(
    pool: &PgPool,
    id: Id<SeedJob>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "update seed_jobs
        set cancel_requested = true,
            state = case state when 'queued' then 'cancelled' else state end,
            finished_at = case state when 'queued' then $2 end
        where id = $1 and state in ('queued', 'running')",
    )
    .bind(id.uuid())
    .bind(now)
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes the job that is to run next: one whose server is gone, or the first of the queue while none
/// runs.
pub(super) async fn claim(pool: &PgPool, runner: Uuid) -> Result<Option<Claimed>> {
    let sql = format!(
        "update seed_jobs set state = 'running', runner = $1, beat_at = now()
        where id = (
            select id from seed_jobs
            where state = 'running' and beat_at < now() - $2 * interval '1 second'
                or state = 'queued' and not exists (select from seed_jobs where state = 'running')
            order by state desc, created_at, id limit 1
            for update skip locked
        )
        returning {COLUMNS}, actor, batch_rows"
    );
    let claimed = sqlx::query(AssertSqlSafe(sql))
        .bind(runner)
        .bind(ABANDONED_AFTER)
        .try_map(|row: PgRow| {
            Ok(Claimed {
                job: from_row(&row)?,
                actor: row.try_get("actor")?,
                batch_rows: row.try_get("batch_rows")?,
            })
        })
        .fetch_optional(pool)
        .await
        .map_err(Error::from);
    match claimed {
        // Another server was quicker: one job runs at a time.
        Err(error) if error.is_unique_violation_of("seed_jobs_running_key") => Ok(None),
        claimed => claimed,
    }
}

/// Says that the job lives and how far it is; tells whether it is to stop, none where it is no longer
/// this server's.
pub(super) async fn beat(
    pool: &PgPool,
    (id, runner): (Id<SeedJob>, Uuid),
    (progress, rows): (&[SeedProgress], i64),
) -> Result<Option<bool>> {
    let cancelled = sqlx::query_scalar(
        "update seed_jobs set progress = $3, rows_loaded = $4, beat_at = now()
        where id = $1 and runner = $2 and state = 'running'
        returning cancel_requested",
    )
    .bind(id.uuid())
    .bind(runner)
    .bind(Json(progress))
    .bind(rows)
    .fetch_optional(pool)
    .await?;
    Ok(cancelled)
}

/// Writes down how this server has left the job: ended, or back in the queue.
pub(super) async fn leave(
    pool: &PgPool,
    now: DateTime<Utc>,
    (id, runner): (Id<SeedJob>, Uuid),
    state: SeedState,
    error: Option<String>,
) -> Result<()> {
    let mut transaction = pool.begin().await?;
    let left = sqlx::query(
        "update seed_jobs set state = $3, error = $4, finished_at = $5, runner = null
        where id = $1 and runner = $2 and state = 'running'",
    )
    .bind(id.uuid())
    .bind(runner)
    .bind(state.as_str())
    .bind(error)
    .bind(state.is_final().then_some(now))
    .execute(&mut *transaction)
    .await?;
    // Where another has the job by now, they are for that one to know.
    if state == SeedState::Done && left.rows_affected() > 0 {
        sqlx::query("delete from seed_batches where job_id = $1")
            .bind(id.uuid())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The numbers of the batches that are in the shop.
pub(super) async fn select_batches(pool: &PgPool, id: Id<SeedJob>) -> Result<Vec<i64>> {
    let numbers = sqlx::query_scalar("select number from seed_batches where job_id = $1")
        .bind(id.uuid())
        .fetch_all(pool)
        .await?;
    Ok(numbers)
}

/// Writes down that a batch is in the shop, in the transaction that loads it.
pub(super) async fn insert_batch(
    conn: &mut PgConnection,
    id: Id<SeedJob>,
    (number, rows): (i64, i64),
) -> Result<()> {
    sqlx::query("insert into seed_batches (job_id, number, rows) values ($1, $2, $3)")
        .bind(id.uuid())
        .bind(number)
        .bind(rows)
        .execute(conn)
        .await?;
    Ok(())
}

fn taken(error: sqlx::Error, seed: u32) -> Error {
    let error = Error::from(error);
    match error.is_unique_violation_of("seed_jobs_seed_key") {
        true => duplicate(seed),
        false => error,
    }
}

fn duplicate(seed: u32) -> Error {
    let message = format!("the data of seed {seed} is in the shop or on its way; take another");
    Error::field(Kind::Conflict, "/seed", "duplicate", message)
}

fn select_sql(tail: &str) -> String {
    format!("select {COLUMNS} from seed_jobs {tail}")
}

fn from_row(row: &PgRow) -> sqlx::Result<SeedJob> {
    let state: String = row.try_get("state")?;
    let Json(request) = row.try_get("request")?;
    let Json(progress) = row.try_get("progress")?;
    let decode = |error: String| sqlx::Error::Decode(error.into());
    Ok(SeedJob {
        id: Id::new(row.try_get("id")?),
        state: state.parse().map_err(decode)?,
        request,
        progress,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
