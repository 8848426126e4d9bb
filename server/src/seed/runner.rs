//! Works off the queue: takes a job, loads its batches, several at a time, and keeps saying that it
//! lives and how far it is.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use sqlx::Connection;
use stockroom_common::{
    Id,
    change::Op,
    partition::Family,
    seed::{SeedJob, SeedState},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    batch::{Batch, Entity, Part},
    generate::Generator,
    job::{self, Claimed},
    pace::Pace,
    progress::Progress,
};
use crate::{
    cache::Invalidation,
    changes::{self, Change},
    error::{Error, Result},
    state::AppState,
};

/// How often a server looks for a job that nobody told it of.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often it says how far a job is.
const BEAT_EVERY: Duration = Duration::from_millis(250);
/// Batches that are under way at a time: one is generated while others are loaded. A job with a rate
/// is to disturb nobody and does one after the other.
const AT_ONCE: usize = 3;

/// Why a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Cancelled,
    ServerStops,
    /// A batch could not be loaded.
    Failed,
    /// Another server has taken it over, or it was ended by hand.
    Lost,
}

/// Takes job after job until the server stops.
pub(crate) async fn run(state: AppState) {
    let mut stopping = state.stopping.subscribe();
    while !*stopping.borrow() {
        match work_off(&state).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the queue of seed jobs cannot be worked off"),
        }
        tokio::select! {
            () = state.seeding.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// Runs the next job there is to run, until it ends or the server stops; tells whether there was one.
///
/// # Errors
/// Where the database cannot be reached. What goes wrong in the job is written down there.
pub(super) async fn work_off(state: &AppState) -> Result<bool> {
    let runner: Uuid = Id::<SeedJob>::mint(state.options.clock.now(), rand::random()).uuid();
    let Some(claimed) = job::claim(&state.pool, runner).await? else {
        return Ok(false);
    };
    let id = claimed.job.id;
    tracing::info!(%id, "seeding");
    let (ended, error) = match Task::run(state, runner, claimed).await {
        Ok(()) => (SeedState::Done, None),
        Err(Ended::Stopped(Stop::Cancelled)) => (SeedState::Cancelled, None),
        Err(Ended::Stopped(Stop::ServerStops)) => (SeedState::Queued, None),
        Err(Ended::Stopped(Stop::Lost | Stop::Failed)) => return Ok(true),
        Err(Ended::Failed(error)) => {
            tracing::error!(%id, %error, "the seed job failed");
            let told = match error {
                Error::Refused(problem) => problem.detail,
                _ => "The database or the server failed; the server's log says how.".into(),
            };
            let told = format!("{told} The same job, given again, goes on where it stopped.");
            (SeedState::Failed, Some(told))
        }
    };
    let now = state.options.clock.now();
    job::leave(&state.pool, now, (id, runner), ended, error).await?;
    tracing::info!(%id, state = ended.as_str(), "seeding left");
    Ok(true)
}

/// How a job comes to no good end.
#[derive(Debug)]
enum Ended {
    Stopped(Stop),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A job in the hands of this server.
struct Task {
    state: AppState,
    runner: Uuid,
    id: Id<SeedJob>,
    actor: String,
    batch_rows: i64,
    at_once: usize,
    generator: Arc<Generator>,
    pace: Pace,
    progress: Mutex<Progress>,
    stop: watch::Sender<Option<Stop>>,
}

impl Task {
    async fn run(state: &AppState, runner: Uuid, claimed: Claimed) -> Result<(), Ended> {
        let Claimed {
            job,
            actor,
            batch_rows,
        } = claimed;
        let request = job.request.clone();
        let generate = move || Generator::new(&request, request.until.unwrap_or_default());
        let task = Self {
            state: state.clone(),
            runner,
            id: job.id,
            actor,
            batch_rows,
            at_once: job.request.rate.map_or(AT_ONCE, |_| 1),
            generator: Arc::new(tokio::task::spawn_blocking(generate).await?),
            pace: Pace::new(job.request.rate),
            progress: Mutex::new(Progress::new(&job.request)),
            stop: watch::Sender::new(None),
        };
        // Before the first beat, which tells how much of it there is.
        let done = task.find_done().await?;
        let ended = tokio::select! {
            loaded = task.load_all(done) => loaded,
            lost = task.keep_beating() => Err(lost),
        };
        // How far it came in the end.
        match task.beat().await {
            Ok(Some(_)) => ended,
            Ok(None) => Err(Ended::Stopped(Stop::Lost)),
            Err(error) => {
                tracing::warn!(%error, "the seed job cannot say how far it came");
                ended
            }
        }
    }

    async fn load_all(&self, done: HashSet<i64>) -> Result<(), Ended> {
        let partitions = &self.state.partitions;
        // Other servers may have changed them since they were read.
        partitions
            .reload(&mut *self.state.pool.acquire().await?)
            .await?;
        // All at once, before there are rows to vacuum: attaching a partition locks the tables that
        // it refers to.
        partitions
            .ensure_all(&self.state.pool, Family::Orders, self.generator.span())
            .await?;
        // References point back: what refers to an entity waits until that is there.
        for entity in Entity::ALL {
            self.progress().began(entity);
            let parts = self.parts().filter(|part| part.entity == entity);
            self.load_each(parts.filter(|part| !done.contains(&part.number)))
                .await?;
        }
        for table in [
            "categories",
            "products",
            "customers",
            "orders",
            "order_items",
        ] {
            self.go_on()?;
            self.analyze(table).await?;
        }
        Ok(())
    }

    /// Loads some batches at a time. Where one fails or the job is to stop, no other is begun, and those
    /// under way are finished.
    async fn load_each(&self, parts: impl Iterator<Item = Part>) -> Result<(), Ended> {
        let parts = parts.take_while(|_| self.go_on().is_ok());
        let mut loads = stream::iter(parts)
            .map(|part| self.load(part))
            .buffer_unordered(self.at_once);
        let mut first = None;
        while let Some(loaded) = loads.next().await {
            if let Err(error) = loaded {
                self.halt(Stop::Failed);
                first.get_or_insert(error);
            }
        }
        first.map_or_else(|| self.go_on(), Err)
    }

    /// Which batches a server has loaded before.
    async fn find_done(&self) -> Result<HashSet<i64>> {
        let done = job::select_batches(&self.state.pool, self.id).await?;
        let done: HashSet<i64> = done.into_iter().collect();
        if !done.is_empty() {
            let mut progress = self.progress();
            for part in self.parts().filter(|part| done.contains(&part.number)) {
                progress.found(part.entity, part.len());
            }
        }
        Ok(done)
    }

    /// Generates and loads one batch, with its entry in the log and in the list of batches.
    async fn load(&self, part: Part) -> Result<(), Ended> {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = self.pace.wait(part.len()) => {}
            _ = stop.wait_for(Option::is_some) => {}
        }
        self.go_on()?;
        let (generator, state, of) = (self.generator.clone(), self.state.clone(), part.clone());
        let generate = move || Batch::generate(&generator, &state.partitions, &of);
        let batch = tokio::task::spawn_blocking(generate).await??;
        let state = &self.state;
        let mut conn = state.pool.acquire().await?;
        let mut transaction = conn.begin().await?;
        // First of all: where the server that had the job before still loads the same batch, this waits
        // for how that ends.
        let number = (part.number, part.len());
        match job::insert_batch(&mut transaction, self.id, number).await {
            Err(error) if error.is_unique_violation_of("seed_batches_pkey") => {
                transaction.rollback().await?;
                self.progress().loaded(part.entity, part.len());
                return Ok(());
            }
            inserted => inserted?,
        }
        for table in &batch.tables {
            table.load(&mut transaction).await?;
        }
        let change = Change {
            entity: part.entity.name(),
            entity_id: None,
            op: Op::Seed,
            version: None,
            before: None,
            after: Some(serde_json::json!({"job": self.id, "rows": part.len()})),
            tags: part.tags(),
        };
        let now = state.options.clock.now();
        let run = changes::append(&mut transaction, now, &self.actor, &change).await?;
        transaction.commit().await?;
        self.progress().loaded(part.entity, part.len());
        if state.cache.invalidate(&change.tags).await == Invalidation::Done {
            state.relay.push([run]);
        }
        Ok(())
    }

    /// Beats until the job is lost; what else makes it stop is told to the loaders, who finish what
    /// they have begun.
    async fn keep_beating(&self) -> Ended {
        let mut ticks = tokio::time::interval(BEAT_EVERY);
        loop {
            ticks.tick().await;
            if *self.state.stopping.borrow() {
                self.halt(Stop::ServerStops);
            }
            match self.beat().await {
                Ok(Some(false)) => {}
                Ok(Some(true)) => self.halt(Stop::Cancelled),
                Ok(None) => return Ended::Stopped(Stop::Lost),
                // The loaders will find out as well, or it was for a moment.
                Err(error) => tracing::warn!(%error, "the seed job cannot say how far it is"),
            }
        }
    }

    async fn beat(&self) -> Result<Option<bool>> {
        let (told, rows) = {
            let progress = self.progress();
            (progress.told(), progress.rows())
        };
        job::beat(&self.state.pool, (self.id, self.runner), (&told, rows)).await
    }

    /// Begins no more batches; the first reason counts.
    fn halt(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(why);
            is_first
        });
    }

    fn go_on(&self) -> Result<(), Ended> {
        match *self.stop.borrow() {
            None => Ok(()),
            Some(stop) => Err(Ended::Stopped(stop)),
        }
    }

    /// Tells the planner about the new rows, rather than wait until autovacuum does. A table at a
    /// time, for its locks are held until the statement ends.
    async fn analyze(&self, table: &'static str) -> Result<()> {
        let mut transaction = self.state.pool.begin().await?;
        let sql = format!("set local statement_timeout = 0; analyze {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    fn parts(&self) -> impl Iterator<Item = Part> + Send {
        self.generator.parts(self.batch_rows)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
