//! The life of a seed job, in the database and in the task that runs it.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Duration, Utc};
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgRow, types::Json};
use stockroom_common::{
    Id, Kind,
    change::Op,
    partition::Family,
    seed::{NewSeedJob, SeedJob, SeedProgress, SeedState},
};

use super::{
    batch::{Batch, Entity, Part},
    generate::Generator,
};
use crate::{
    cache::Invalidation,
    changes::{self, Change},
    error::{Error, Result},
    extract::Actor,
    state::AppState,
};

/// A running job that has not loaded a batch for so long has lost its server.
const ABANDONED_AFTER: Duration = Duration::seconds(60);

const COLUMNS: &str = "id, state, request, progress, error, created_at, finished_at";

/// Writes a new job, unless one runs or the seed was used.
pub(super) async fn insert(
    pool: &PgPool,
    now: DateTime<Utc>,
    request: NewSeedJob,
) -> Result<SeedJob> {
    fail_abandoned(pool, now).await?;
    let used: bool = sqlx::query_scalar(
        "select exists (select from seed_jobs where seed = $1 and rows_loaded > 0)",
    )
    .bind(i64::from(request.seed))
    .fetch_one(pool)
    .await?;
    if used {
        let message = format!(
            "the data of seed {} is in the shop; take another",
            request.seed
        );
        return Err(Error::field(Kind::Conflict, "/seed", "duplicate", message));
    }
    let job = SeedJob {
        id: Id::mint(now, rand::random()),
        state: SeedState::Running,
        progress: Entity::ALL.map(|entity| progress(entity, &request)).into(),
        request,
        error: None,
        created_at: now,
        finished_at: None,
    };
    sqlx::query(
        "insert into seed_jobs (id, seed, request, state, progress, rows_loaded,
            cancel_requested, created_at, beat_at)
        values ($1, $2, $3, $4, $5, 0, false, $6, $6)",
    )
    .bind(job.id.uuid())
    .bind(i64::from(job.request.seed))
    .bind(Json(&job.request))
    .bind(job.state.as_str())
    .bind(Json(&job.progress))
    .bind(now)
    .execute(pool)
    .await
    .map_err(|error| {
        let error = Error::from(error);
        if error.is_unique_violation_of("seed_jobs_running_key") {
            return Error::refused(
                Kind::Conflict,
                "A seed job is running; wait for it or cancel it.",
            );
        }
        error
    })?;
    Ok(job)
}

pub(super) async fn select(pool: &PgPool, id: Id<SeedJob>) -> Result<Option<SeedJob>> {
    let sql = select_sql("where id = $1");
    let job = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id.uuid())
        .try_map(|row| from_row(&row))
        .fetch_optional(pool)
        .await?;
    Ok(job)
}

pub(super) async fn select_latest(pool: &PgPool) -> Result<Vec<SeedJob>> {
    let sql = select_sql("order by created_at desc, id desc limit 100");
    let jobs = sqlx::query(sqlx::AssertSqlSafe(sql))
        .try_map(|row| from_row(&row))
        .fetch_all(pool)
        .await?;
    Ok(jobs)
}

pub(super) async fn is_running(pool: &PgPool, now: DateTime<Utc>) -> Result<bool> {
    fail_abandoned(pool, now).await?;
    let running =
        sqlx::query_scalar("select exists (select from seed_jobs where state = 'running')")
            .fetch_one(pool)
            .await?;
    Ok(running)
}

pub(super) async fn request_cancel(pool: &PgPool, id: Id<SeedJob>) -> Result<()> {
    sqlx::query("update seed_jobs set cancel_requested = true where id = $1 and state = 'running'")
        .bind(id.uuid())
        .execute(pool)
        .await?;
    Ok(())
}

/// Ends jobs whose server died.
pub(super) async fn fail_abandoned(pool: &PgPool, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update seed_jobs
        set state = 'failed', error = 'the server that ran it has stopped', finished_at = $1
        where state = 'running' and beat_at < $2",
    )
    .bind(now)
    .bind(now - ABANDONED_AFTER)
    .execute(pool)
    .await?;
    Ok(())
}

/// Runs a job to its end and writes down how it ended.
pub(super) async fn run(state: AppState, actor: Actor, job: SeedJob, until: DateTime<Utc>) {
    let id = job.id;
    tracing::info!(%id, "seeding");
    // One connection for its whole life: a server that stops waits until it is given back.
    let mut conn = match state.pool.acquire().await {
        Ok(conn) => conn,
        Err(error) => return tracing::error!(%id, %error, "the seed job could not begin"),
    };
    let (ended, error) = match load(&state, actor, job, until, &mut conn).await {
        Ok(ended) => (ended, None),
        Err(error) => {
            tracing::error!(%id, %error, "the seed job failed");
            let told = match error {
                Error::Refused(problem) => problem.detail,
                _ => "The database or the server failed; the server's log says how.".into(),
            };
            (SeedState::Failed, Some(told))
        }
    };
    let now = state.options.clock.now();
    if let Err(error) = finish(&mut conn, id, now, ended, error).await {
        tracing::error!(%id, %error, "the end of the seed job could not be written down");
    }
    tracing::info!(%id, state = ended.as_str(), "seeding ended");
}

async fn load(
    state: &AppState,
    actor: Actor,
    job: SeedJob,
    until: DateTime<Utc>,
    conn: &mut PgConnection,
) -> Result<SeedState> {
    let request = job.request.clone();
    let generator = tokio::task::spawn_blocking(move || Generator::new(&request, until)).await?;
    let mut task = Task {
        actor,
        job,
        generator: Arc::new(generator),
        entity_since: Instant::now(),
    };
    let ended = task.load_all(state, conn).await?;
    for table in [
        "categories",
        "products",
        "customers",
        "orders",
        "order_items",
    ] {
        task.beat(conn, state.options.clock.now()).await?;
        analyze(conn, table).await?;
    }
    Ok(ended)
}

struct Task {
    actor: Actor,
    job: SeedJob,
    generator: Arc<Generator>,
    entity_since: Instant,
}

impl Task {
    async fn load_all(&mut self, state: &AppState, conn: &mut PgConnection) -> Result<SeedState> {
        let mut entity = None;
        let parts = self.generator.parts();
        // All at once, before there are rows to vacuum: attaching a partition locks the tables that
        // it refers to.
        state
            .partitions
            .ensure_all(&state.pool, Family::Orders, self.generator.span())
            .await?;
        for part in parts {
            if entity.replace(part.entity) != Some(part.entity) {
                self.entity_since = Instant::now();
            }
            let (generator, of) = (self.generator.clone(), part.clone());
            let on = state.clone();
            let generate = move || Batch::generate(&generator, &on.partitions, &of);
            let batch = tokio::task::spawn_blocking(generate).await??;
            let now = state.options.clock.now();
            if self.load(state, conn, now, &part, batch).await? {
                return Ok(SeedState::Cancelled);
            }
            if *state.stopping.borrow() {
                return Err(Error::refused(Kind::Unavailable, "The server was stopped."));
            }
        }
        Ok(SeedState::Done)
    }

    /// Loads one batch with its log entry and the job's progress; tells whether to stop.
    async fn load(
        &mut self,
        state: &AppState,
        conn: &mut PgConnection,
        now: DateTime<Utc>,
        part: &Part,
        batch: Batch,
    ) -> Result<bool> {
        let mut transaction = conn.begin().await?;
        for table in &batch.tables {
            let mut copy = transaction.copy_in_raw(&table.statement).await?;
            copy.send(table.bytes.as_slice()).await?;
            copy.finish().await?;
        }
        let change = Change {
            entity: part.entity.name(),
            entity_id: None,
            op: Op::Seed,
            version: None,
            before: None,
            after: Some(serde_json::json!({"job": self.job.id, "rows": part.len()})),
            tags: part.tags(),
        };
        let place = changes::append(&mut transaction, now, &self.actor.0, &change).await?;
        self.progress(part);
        let cancelled = self.beat(&mut transaction, now).await?;
        transaction.commit().await?;
        if state.cache.invalidate(&change.tags).await == Invalidation::Done {
            state.relay.push([place]);
        }
        Ok(cancelled)
    }

    fn progress(&mut self, part: &Part) {
        let progress = &mut self.job.progress[part.entity as usize];
        progress.done += part.len();
        let seconds = self.entity_since.elapsed().as_secs_f64().max(1e-3);
        progress.rows_per_second = (progress.done as f64 / seconds).round();
        let left = (progress.total - progress.done) as f64;
        progress.eta_seconds = Some((left / progress.rows_per_second.max(1.0)).ceil());
    }

    /// Writes down that the job lives and how far it is; tells whether to stop.
    async fn beat(&self, conn: &mut PgConnection, now: DateTime<Utc>) -> Result<bool> {
        let loaded: i64 = self.job.progress.iter().map(|progress| progress.done).sum();
        let cancelled = sqlx::query_scalar(
            "update seed_jobs set progress = $2, rows_loaded = $3, beat_at = $4
            where id = $1 and state = 'running'
            returning cancel_requested",
        )
        .bind(self.job.id.uuid())
        .bind(Json(&self.job.progress))
        .bind(loaded)
        .bind(now)
        .fetch_optional(conn)
        .await?;
        cancelled.ok_or_else(|| {
            Error::refused(Kind::Conflict, "The job took so long that it was given up.")
        })
    }
}

async fn finish(
    conn: &mut PgConnection,
    id: Id<SeedJob>,
    now: DateTime<Utc>,
    state: SeedState,
    error: Option<String>,
) -> Result<()> {
    sqlx::query(
        "update seed_jobs set state = $2, error = $3, finished_at = $4
        where id = $1 and state = 'running'",
    )
    .bind(id.uuid())
    .bind(state.as_str())
    .bind(error)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Tells the planner about the new rows, rather than wait until autovacuum does. A table at a time,
/// for its locks are held until the statement ends.
async fn analyze(conn: &mut PgConnection, table: &'static str) -> Result<()> {
    sqlx::raw_sql("set statement_timeout = 0")
        .execute(&mut *conn)
        .await?;
    let sql = sqlx::AssertSqlSafe(format!("analyze {table}"));
    sqlx::raw_sql(sql).execute(&mut *conn).await?;
    sqlx::raw_sql("reset statement_timeout")
        .execute(conn)
        .await?;
    Ok(())
}

fn progress(entity: Entity, request: &NewSeedJob) -> SeedProgress {
    SeedProgress {
        entity: entity.path().into(),
        done: 0,
        total: entity.rows(request),
        rows_per_second: 0.0,
        eta_seconds: None,
    }
}

fn select_sql(tail: &str) -> String {
    format!("select {COLUMNS} from seed_jobs {tail}")
}

fn from_row(row: &PgRow) -> sqlx::Result<SeedJob> {
    let state: String = row.try_get("state")?;
    let Json(request) = row.try_get("request")?;
    let Json(progress) = row.try_get("progress")?;
    let state = match state.as_str() {
        "running" => SeedState::Running,
        "done" => SeedState::Done,
        "cancelled" => SeedState::Cancelled,
        _ => SeedState::Failed,
    };
    Ok(SeedJob {
        id: Id::new(row.try_get("id")?),
        state,
        request,
        progress,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
