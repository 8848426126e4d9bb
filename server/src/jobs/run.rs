//! A job in the hands of this server: how far it is, whether it is to stop.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sqlx::PgConnection;
use stockroom_common::{
    Id, Kind,
    bulk::ImportReport,
    job::{Job, JobRequest, Step},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::queue::{self, Claimed};
use crate::{
    error::{Error, Result},
    extract::Actor,
    seed,
    state::AppState,
};

/// Why a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    ServerStops,
    /// A part of it failed; what else is under way is finished.
    Failed,
    /// Another server has taken it over, or it was ended by hand.
    Lost,
}

/// How a job comes to no good end.
#[derive(Debug)]
pub(crate) enum Ended {
    Stopped(Stop),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a job leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) report: Option<ImportReport>,
    pub(crate) file_bytes: Option<i64>,
}

pub(crate) struct Run {
    pub(crate) state: AppState,
    pub(crate) id: Id<Job>,
    pub(crate) actor: Actor,
    /// Of a seed job, the rows in one batch.
    pub(crate) batch_rows: i64,
    /// Of an import, how many rows are seen to, and what became of them.
    pub(crate) rows_done: u64,
    pub(crate) report: ImportReport,
    pub(super) runner: Uuid,
    progress: Mutex<Progress>,
    stop: watch::Sender<Option<Stop>>,
}

impl Run {
    pub(super) fn new(state: &AppState, runner: Uuid, claimed: Claimed) -> Self {
        Self {
            state: state.clone(),
            id: claimed.job.id,
            actor: Actor(claimed.job.actor),
            batch_rows: claimed.batch_rows.unwrap_or(1),
            rows_done: claimed.rows_done.unsigned_abs(),
            report: claimed.job.report.unwrap_or_default(),
            runner,
            progress: Mutex::new(Progress::of(&claimed.job.request)),
            stop: watch::Sender::new(None),
        }
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins nothing more; the first reason counts.
    pub(crate) fn halt(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(why);
            is_first
        });
    }

    /// Why it is to stop, if it is.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    pub(crate) fn go_on(&self) -> Result<(), Ended> {
        self.stopped()
            .map_or(Ok(()), |stop| Err(Ended::Stopped(stop)))
    }

    /// Ready once it is to stop.
    pub(crate) async fn until_stopped(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.stop.subscribe().wait_for(Option::is_some).await;
    }

    /// Writes down, in the transaction that writes its rows, that so many are seen to.
    ///
    /// # Errors
    /// 503 where the job is no longer this server's: then the rows must not be written.
    pub(crate) async fn mark(
        &self,
        conn: &mut PgConnection,
        rows_done: u64,
        report: &ImportReport,
    ) -> Result<()> {
        let rows_done = i64::try_from(rows_done).unwrap_or(i64::MAX);
        match queue::mark(conn, (self.id, self.runner), rows_done, report).await? {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    /// Stops, for another server has the job.
    pub(super) fn lost(&self) -> Error {
        self.halt(Stop::Lost);
        Error::refused(Kind::Unavailable, "Another server has the job.")
    }

    /// Says that it lives and how far it is; false where it is lost. Where it was cancelled, it is told to
    /// stop.
    pub(super) async fn beat(&self) -> Result<bool> {
        let told = self.progress().known();
        let cancelled = queue::beat(&self.state.pool, (self.id, self.runner), told).await?;
        if cancelled == Some(true) {
            self.halt(Stop::Cancelled);
        }
        Ok(cancelled.is_some())
    }
}

/// The steps of a job, and since when each is worked on.
#[derive(Debug)]
pub(crate) struct Progress {
    counts: Vec<Count>,
    /// Whether this server knows how far the job is: another may have had it before.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Count {
    step: String,
    done: i64,
    total: Option<i64>,
    /// Done before this server took the job.
    found: i64,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Progress {
    /// A job of which nothing is done yet.
    pub(super) fn of(request: &JobRequest) -> Self {
        let unknown = |steps: &[&str]| {
            steps
                .iter()
                .map(|step| ((*step).to_owned(), None))
                .collect()
        };
        let steps: Vec<(String, Option<i64>)> = match request {
            JobRequest::Seed(request) => seed::steps(request),
            JobRequest::Import(_) => unknown(&["reading", "writing"]),
            JobRequest::Export(request) => unknown(&[&request.resource]),
            JobRequest::Partitions(request) => {
                vec![("partitions".into(), Some(request.names.len() as i64))]
            }
        };
        let counts = steps.into_iter().map(|(step, total)| Count {
            step,
            done: 0,
            total,
            found: 0,
            since: None,
            until: None,
        });
        Self {
            counts: counts.collect(),
            is_known: false,
        }
    }

    fn at(&mut self, step: usize) -> &mut Count {
        self.is_known = true;
        &mut self.counts[step]
    }

    /// Counts what was done already.
    pub(crate) fn found(&mut self, step: usize, done: i64) {
        let count = self.at(step);
        count.done += done;
        count.found += done;
    }

    /// Begins a step, where it is not begun yet.
    pub(crate) fn began(&mut self, step: usize) {
        self.at(step).since.get_or_insert_with(Instant::now);
    }

    /// Begins a step anew.
    pub(crate) fn restart(&mut self, step: usize) {
        let count = self.at(step);
        (count.done, count.found) = (0, 0);
        (count.since, count.until) = (Some(Instant::now()), None);
    }

    pub(crate) fn expect(&mut self, step: usize, total: i64) {
        self.at(step).total = Some(total);
    }

    pub(crate) fn done(&mut self, step: usize, done: i64) {
        let count = self.at(step);
        count.done += done;
        // An estimate may be met on the way.
        count.until = (Some(count.done) == count.total).then(Instant::now);
    }

    /// Ends a step: what was done is all there was.
    pub(crate) fn ended(&mut self, step: usize) -> i64 {
        let count = self.at(step);
        count.total = Some(count.done);
        count.until.get_or_insert_with(Instant::now);
        count.done
    }

    pub(super) fn told(&self) -> Vec<Step> {
        self.counts.iter().map(Count::told).collect()
    }

    /// The same, where this server knows it.
    pub(super) fn known(&self) -> Option<Vec<Step>> {
        self.is_known.then(|| self.told())
    }
}

impl Count {
    fn told(&self) -> Step {
        let rate = self.rate();
        let left = self.total.map(|total| (total - self.done).max(0) as f64);
        let left = left.filter(|_| rate > 0.0);
        Step {
            step: self.step.clone(),
            done: self.done,
            total: self.total,
            rows_per_second: rate.round(),
            eta_seconds: left.map(|left| (left / rate).ceil()),
        }
    }

    /// Rows a second since this server began with them.
    fn rate(&self) -> f64 {
        let Some(since) = self.since else {
            return 0.0;
        };
        let until = self.until.unwrap_or_else(Instant::now);
        let seconds = until.duration_since(since).as_secs_f64().max(1e-3);
        (self.done - self.found) as f64 / seconds
    }
}
