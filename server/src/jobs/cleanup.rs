//! Deletes what jobs leave behind: files that have expired, and old jobs.

use chrono::{DateTime, TimeDelta, Utc};

use super::queue::MAX_CHUNKS;
use crate::{
    http::error::{Error, Result},
    store::database::Pool,
};

/// How long the file of a job is kept after the job has ended.
const KEEP_FILES: TimeDelta = TimeDelta::days(1);
/// How long a job is kept after it has ended. Seed jobs are kept for ever: they show which data is in the shop.
const KEEP_JOBS: TimeDelta = TimeDelta::days(30);

/// Deletes the chunks of files that no job needs any more, [`MAX_CHUNKS`] per statement: a file may have thousands.
pub(super) async fn sweep(pool: &Pool) -> Result<()> {
    let delete = async || {
        let deleted = sqlx::query(
            "delete from job_pieces where (job_id, number) in (
                select job_id, number from job_pieces join jobs on jobs.id = job_id
                where file_bytes is null and state in ('done', 'cancelled', 'failed')
                limit $1
            )",
        )
        .bind(MAX_CHUNKS)
        .execute(&mut *pool.acquire().await?)
        .await?;
        Ok::<_, Error>(deleted.rows_affected())
    };
    while delete().await? > 0 {}
    Ok(())
}

/// Deletes the files and then the jobs that ended long ago.
pub(super) async fn forget(pool: &Pool, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update jobs set file_bytes = null where file_bytes is not null and finished_at < $1",
    )
    .bind(now - KEEP_FILES)
    .execute(&mut *pool.acquire().await?)
    .await?;
    sweep(pool).await?;
    sqlx::query(
        "delete from jobs where kind <> 'seed' and finished_at < $1
            and not exists (select from job_pieces where job_id = jobs.id)",
    )
    .bind(now - KEEP_JOBS)
    .execute(&mut *pool.acquire().await?)
    .await?;
    Ok(())
}
