//! Jobs in the database: the queue, which server runs which job, and its progress.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow, types::Json};
use stockroom_common::{
    Id, Kind, Problem,
    bulk::ImportReport,
    document,
    job::{Job, JobKind, JobRequest, JobState, Step},
};
use uuid::Uuid;

use super::{outcome::Outcome, progress::Progress};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    store::database::{Connection, Pool},
};

/// Seconds without a heartbeat after which a running job is taken over. The clock of the database counts, because those
/// of servers differ.
const ABANDONED_AFTER: f64 = 15.0;
/// Chunks of files that one statement deletes.
pub(super) const MAX_CHUNKS: i64 = 64;

pub(crate) const COLUMNS: &str = "id, state, request, actor, on_behalf_of, progress, report, file_bytes, problem, \
    created_at, finished_at";
/// The columns of jobs in a list, without the parts that only a request for one job returns.
const LISTED: &str = "id, state, request - 'ids' as request, actor, on_behalf_of, progress, \
    report || '{\"refused\": []}' as report, file_bytes, problem - 'errors' as problem, created_at, \
    finished_at";
/// Maximum jobs of a kind that run or wait.
const MAX_WAITING: i64 = 32;
/// Maximum jobs in a list: unfinished ones, and ended ones.
const MAX_UNFINISHED: i64 = 1_000;
const MAX_ENDED: i64 = 100;

/// A job to put into the queue.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: Actor,
    pub(crate) request: JobRequest,
    /// For a seed job, the seed and the rows per batch.
    pub(crate) seed: Option<(u32, i64)>,
    /// The size of the received file, if any.
    pub(crate) file_bytes: Option<i64>,
}

/// A job that this server has claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) job: Job,
    pub(super) batch_rows: Option<i64>,
    pub(super) rows_done: i64,
    /// How many times it was taken over from a server that did not finish it.
    pub(super) taken_over: i32,
}

/// Puts a job into the queue.
///
/// # Errors
/// 429 if too many jobs of its kind run or wait already.
pub(crate) async fn insert(conn: &mut Connection, new: NewJob) -> Result<Job> {
    let kind = new.request.kind();
    let waiting: i64 = sqlx::query_scalar(
        "select count(*) from jobs where kind = $1 and state in ('queued', 'running')",
    )
    .bind(kind.as_str())
    .fetch_one(&mut *conn)
    .await?;
    if waiting >= MAX_WAITING {
        let detail = format!(
            "{waiting} jobs of this kind ({}) are waiting already. Wait until some are done, or \
            cancel them.",
            kind.as_str()
        );
        return Err(Error::refused(Kind::TooMany, detail));
    }
    let job = Job {
        id: Id::mint(new.at, rand::random()),
        state: JobState::Queued,
        progress: Progress::of(&new.request).steps(),
        request: new.request,
        actor: new.actor.name,
        on_behalf_of: new.actor.on_behalf_of,
        report: None,
        file_bytes: new.file_bytes,
        problem: None,
        created_at: new.at,
        finished_at: None,
    };
    sqlx::query(
        "insert into jobs (id, seed, request, state, progress, cancel_requested, created_at, beat_at,
            actor, on_behalf_of, batch_rows, file_bytes)
        values ($1, $2, $3, $4, $5, false, $6, $6, $7, $8, $9, $10)",
    )
    .bind(job.id.uuid())
    .bind(new.seed.map(|(seed, _)| i64::from(seed)))
    .bind(Json(&job.request))
    .bind(job.state.as_str())
    .bind(Json(&job.progress))
    .bind(new.at)
    .bind(&job.actor)
    .bind(&job.on_behalf_of)
    .bind(new.seed.map(|(_, batch_rows)| batch_rows))
    .bind(job.file_bytes)
    .execute(conn)
    .await?;
    Ok(job)
}

pub(super) async fn select(pool: &Pool, id: Id<Job>) -> Result<Option<Job>> {
    let sql = format!("select {COLUMNS} from jobs where id = $1");
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .try_map(|row| from_row(&row))
        .fetch_optional(&mut *pool.acquire().await?)
        .await?;
    Ok(job)
}

/// Those of these jobs that exist, as in a list.
pub(super) async fn select_listed(pool: &Pool, ids: &[Id<Job>]) -> Result<Vec<Job>> {
    let sql = format!("select {LISTED} from jobs where id = any($1)");
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let jobs = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .try_map(|row| from_row(&row))
        .fetch_all(&mut *pool.acquire().await?)
        .await?;
    Ok(jobs)
}

/// The unfinished jobs of these kinds, and the last hundred that have ended, newest first.
pub(super) async fn select_latest(pool: &Pool, kinds: &[JobKind]) -> Result<Vec<Job>> {
    let sql = format!(
        "(select {LISTED} from jobs where kind = any($1) and state in ('queued', 'running')
            order by created_at desc limit $2)
        union all
        (select {LISTED} from jobs where kind = any($1) and state not in ('queued', 'running')
            order by created_at desc limit $3)
        order by created_at desc, id desc"
    );
    let jobs = sqlx::query(AssertSqlSafe(sql))
        .bind(names(kinds))
        .bind(MAX_UNFINISHED)
        .bind(MAX_ENDED)
        .try_map(|row| from_row(&row))
        .fetch_all(&mut *pool.acquire().await?)
        .await?;
    Ok(jobs)
}

pub(super) async fn is_any_unfinished(pool: &Pool) -> Result<bool> {
    let is_any =
        sqlx::query_scalar("select exists (select from jobs where state in ('queued', 'running'))")
            .fetch_one(&mut *pool.acquire().await?)
            .await?;
    Ok(is_any)
}

pub(super) async fn request_cancel(pool: &Pool, id: Id<Job>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update jobs
        set cancel_requested = true,
            state = case state when 'queued' then 'cancelled' else state end,
            finished_at = case state when 'queued' then $2 end
        where id = $1 and state in ('queued', 'running')",
    )
    .bind(id.uuid())
    .bind(now)
    .execute(&mut *pool.acquire().await?)
    .await?;
    Ok(())
}

/// Puts a finished dry run of an import back into the queue, to be applied in the name of `actor`. `None` if the job is
/// not a finished dry run whose file is still stored.
pub(super) async fn apply(pool: &Pool, id: Id<Job>, actor: &Actor) -> Result<Option<Job>> {
    let sql = format!(
        "update jobs
        set state = 'queued', finished_at = null, report = null, actor = $2, on_behalf_of = $3,
            cancel_requested = false, taken_over = 0,
            progress = (
                select jsonb_agg(step || '{{\"done\": 0, \"total\": null, \"rows_per_second\": 0, \"eta_seconds\": null}}')
                from jsonb_array_elements(progress) as steps (step)
            ),
            request = request || '{{\"dry_run\": false}}'
        where id = $1 and kind = 'import' and (request->>'dry_run')::boolean and state = 'done'
            and file_bytes is not null
        returning {COLUMNS}"
    );
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .bind(&actor.name)
        .bind(&actor.on_behalf_of)
        .try_map(|row| from_row(&row))
        .fetch_optional(&mut *pool.acquire().await?)
        .await?;
    Ok(job)
}

/// Claims the next job of one of these kinds: one whose server sends no heartbeat any more, or else the first in the
/// queue while no other of its kind runs.
pub(super) async fn claim(pool: &Pool, runner: Uuid, kinds: &[JobKind]) -> Result<Option<Claimed>> {
    let sql = format!(
        "update jobs set state = 'running', runner = $1, beat_at = now(),
            taken_over = case state when 'running' then taken_over + 1 else taken_over end
        where id = (
            select id from jobs
            where kind = any($3) and (
                state = 'running' and beat_at < now() - $2 * interval '1 second'
                or state = 'queued' and not exists (
                    select from jobs as others where others.state = 'running' and others.kind = jobs.kind
                )
            )
            order by state desc, created_at, id limit 1
            for update skip locked
        )
        returning {COLUMNS}, batch_rows, rows_done, taken_over"
    );
    let claimed = sqlx::query(AssertSqlSafe(sql))
        .bind(runner)
        .bind(ABANDONED_AFTER)
        .bind(names(kinds))
        .try_map(|row: PgRow| {
            Ok(Claimed {
                job: from_row(&row)?,
                batch_rows: row.try_get("batch_rows")?,
                rows_done: row.try_get("rows_done")?,
                taken_over: row.try_get("taken_over")?,
            })
        })
        .fetch_optional(&mut *pool.acquire().await?)
        .await
        .map_err(Error::from);
    match claimed {
        // Another server was faster. The unique index allows one running job of a kind.
        Err(error) if error.is_unique_violation_of("jobs_running_key") => Ok(None),
        claimed => claimed,
    }
}

/// Saves a heartbeat and, if given, the progress. Returns whether the job was cancelled; `None` if another server has
/// the job.
pub(super) async fn heartbeat(
    pool: &Pool,
    (id, runner): (Id<Job>, Uuid),
    progress: Option<Vec<Step>>,
) -> Result<Option<bool>> {
    let cancelled = sqlx::query_scalar(
        "update jobs set progress = coalesce($3, progress), beat_at = now()
        where id = $1 and runner = $2 and state = 'running'
        returning cancel_requested",
    )
    .bind(id.uuid())
    .bind(runner)
    .bind(progress.map(Json))
    .fetch_optional(&mut *pool.acquire().await?)
    .await?;
    Ok(cancelled)
}

/// Saves the number of processed rows, in the transaction that writes these rows. Returns `false` if another server has
/// the job.
pub(super) async fn save_rows_done(
    conn: &mut Connection,
    (id, runner): (Id<Job>, Uuid),
    rows_done: i64,
    report: &ImportReport,
) -> Result<bool> {
    let saved = sqlx::query(
        "update jobs set rows_done = $3, report = $4
        where id = $1 and runner = $2 and state = 'running'",
    )
    .bind(id.uuid())
    .bind(runner)
    .bind(rows_done)
    .bind(storable(report))
    .execute(conn)
    .await?;
    Ok(saved.rows_affected() > 0)
}

/// Saves the state in which this server leaves the job: ended, or back in the queue.
pub(super) async fn release(
    pool: &Pool,
    now: DateTime<Utc>,
    (id, runner): (Id<Job>, Uuid),
    state: JobState,
    (outcome, problem): (&Outcome, Option<&Problem>),
) -> Result<()> {
    let mut transaction = pool.begin().await?;
    let left = sqlx::query(
        "update jobs set state = $3, problem = $4, finished_at = $5, runner = null,
            report = coalesce($6, report),
            file_bytes = case
                -- Rows that are in the shop are no longer needed in a file.
                when $3 = 'done' and kind = 'import' and not (request->>'dry_run')::boolean then null
                else coalesce($7, file_bytes)
            end
        where id = $1 and runner = $2 and state = 'running'",
    )
    .bind(id.uuid())
    .bind(runner)
    .bind(state.as_str())
    .bind(problem.map(storable))
    .bind(state.is_final().then_some(now))
    .bind(outcome.report.as_ref().map(storable))
    .bind(outcome.file_bytes)
    .execute(&mut *transaction)
    .await?;
    // The saved batches of a cancelled or failed seed job show where to continue. A finished job needs none.
    if state == JobState::Done && left.rows_affected() > 0 {
        sqlx::query("delete from seed_batches where job_id = $1")
            .bind(id.uuid())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Replaces NUL characters, which the database cannot store. Callers may send them, and refusals repeat them.
fn storable(of: &impl Serialize) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
            Value::Array(elements) => elements.iter_mut().for_each(clean),
            Value::Object(members) => members.values_mut().for_each(clean),
            _ => {}
        }
    }
    let mut value = document::to_value(of);
    clean(&mut value);
    value
}

fn names(kinds: &[JobKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.as_str()).collect()
}

pub(crate) fn from_row(row: &PgRow) -> sqlx::Result<Job> {
    let state: String = row.try_get("state")?;
    let Json(request) = row.try_get("request")?;
    let Json(progress) = row.try_get("progress")?;
    let report: Option<Json<ImportReport>> = row.try_get("report")?;
    let problem: Option<Json<Problem>> = row.try_get("problem")?;
    let decode = |error: String| sqlx::Error::Decode(error.into());
    Ok(Job {
        id: Id::new(row.try_get("id")?),
        state: state.parse().map_err(decode)?,
        request,
        actor: row.try_get("actor")?,
        on_behalf_of: row.try_get("on_behalf_of")?,
        progress,
        report: report.map(|Json(report)| report),
        file_bytes: row.try_get("file_bytes")?,
        problem: problem.map(|Json(problem)| problem),
        created_at: row.try_get("created_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
