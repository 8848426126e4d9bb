//! Seed jobs in the database: which seeds are taken, and which batches are loaded.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, types::Json};
use stockroom_common::{
    Id, Kind,
    job::{Job, JobRequest},
    seed::NewSeedJob,
};

use super::batch;
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    jobs::{self, COLUMNS, NewJob, from_row},
    store::database::{Connection, Pool},
};

/// Queues a new job. 409 if the seed is taken.
pub(super) async fn insert(
    pool: &Pool,
    at: DateTime<Utc>,
    actor: &Actor,
    request: NewSeedJob,
) -> Result<Job> {
    let seed = request.seed;
    let new = NewJob {
        at,
        actor: actor.clone(),
        seed: Some((seed, batch::size(&request))),
        request: JobRequest::Seed(request),
        file_bytes: None,
    };
    let inserted = jobs::insert(&mut *pool.acquire().await?, new).await;
    inserted.map_err(|error| taken(error, seed))
}

/// The latest cancelled or failed job with this seed that has loaded rows.
pub(super) async fn select_abandoned(pool: &Pool, seed: u32) -> Result<Option<Job>> {
    let sql = format!(
        "select {COLUMNS} from jobs where seed = $1 and state in ('cancelled', 'failed')
            and exists (select from seed_batches where job_id = jobs.id)
        order by created_at desc limit 1"
    );
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(i64::from(seed))
        .try_map(|row| from_row(&row))
        .fetch_optional(&mut *pool.acquire().await?)
        .await?;
    Ok(job)
}

/// Puts a cancelled or failed job back into the queue. It continues with the missing batches.
pub(super) async fn resume(
    pool: &Pool,
    (abandoned, began_with): (&Job, &NewSeedJob),
    request: NewSeedJob,
) -> Result<Job> {
    let seed = request.seed;
    if !request.generates_same_rows(began_with) {
        let message = format!(
            "seed {seed} was started with other sizes; use the same sizes to continue it, or \
            another seed"
        );
        return Err(Error::field(Kind::Conflict, "/seed", "duplicate", message));
    }
    let sql = format!(
        "update jobs
        set state = 'queued', request = $2, problem = null, finished_at = null, cancel_requested = false
        where id = $1 and state in ('cancelled', 'failed')
        returning {COLUMNS}"
    );
    let job = sqlx::query(AssertSqlSafe(sql))
        .bind(abandoned.id.uuid())
        .bind(Json(JobRequest::Seed(request)))
        .try_map(|row| from_row(&row))
        .fetch_optional(&mut *pool.acquire().await?)
        .await
        .map_err(|error| taken(error.into(), seed))?;
    job.ok_or_else(|| duplicate(seed))
}

/// The numbers of the loaded batches.
pub(super) async fn select_batches(pool: &Pool, id: Id<Job>) -> Result<Vec<i64>> {
    let numbers = sqlx::query_scalar("select number from seed_batches where job_id = $1")
        .bind(id.uuid())
        .fetch_all(&mut *pool.acquire().await?)
        .await?;
    Ok(numbers)
}

/// Records that a batch is loaded, in the transaction that loads it.
pub(super) async fn insert_batch(
    conn: &mut Connection,
    id: Id<Job>,
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

fn taken(error: Error, seed: u32) -> Error {
    if error.is_unique_violation_of("jobs_seed_key") {
        duplicate(seed)
    } else {
        error
    }
}

fn duplicate(seed: u32) -> Error {
    let message = format!(
        "the data of seed {seed} is in the shop already, or being loaded; use another seed"
    );
    Error::field(Kind::Conflict, "/seed", "duplicate", message)
}
