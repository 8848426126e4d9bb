//! A job that this server runs: its progress, and whether it must stop.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stockroom_common::{Id, Kind, bulk::ImportReport, job::Job};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    progress::Progress,
    queue::{self, Claimed},
};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    store::{Store, database::Connection},
};

/// Why a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Cancelled,
    ServerStops,
    /// A part of the job failed. Work that has begun is finished.
    Failed,
    /// Another server has taken the job over, or someone ended it by hand.
    Lost,
}

/// Why a job does not succeed.
#[derive(Debug)]
pub(crate) enum JobError {
    Stopped(StopReason),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(crate) struct Run {
    pub(crate) store: Store,
    pub(crate) id: Id<Job>,
    pub(crate) actor: Actor,
    /// For a seed job, the rows per batch.
    pub(crate) batch_rows: i64,
    /// For an import, the number of rows processed so far. `report` has their outcome.
    pub(crate) rows_done: u64,
    pub(crate) report: ImportReport,
    pub(super) runner: Uuid,
    progress: Mutex<Progress>,
    stop: watch::Sender<Option<StopReason>>,
}

impl Run {
    pub(super) fn new(store: &Store, runner: Uuid, claimed: Claimed) -> Self {
        Self {
            store: store.clone(),
            id: claimed.job.id,
            actor: Actor {
                name: claimed.job.actor,
                on_behalf_of: claimed.job.on_behalf_of,
            },
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

    /// Requests that the job begin nothing more. The first reason counts.
    pub(crate) fn request_stop(&self, why: StopReason) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(why);
            is_first
        });
    }

    /// Why the job must stop, if it must.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        *self.stop.borrow()
    }

    pub(crate) fn check_running(&self) -> Result<(), JobError> {
        self.stopped()
            .map_or(Ok(()), |stop| Err(JobError::Stopped(stop)))
    }

    /// Resolves when a stop is requested.
    pub(crate) async fn until_stopped(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.stop.subscribe().wait_for(Option::is_some).await;
    }

    /// Saves the number of processed rows, in the transaction that writes these rows.
    ///
    /// # Errors
    /// 503 if another server has the job: then the rows must not be written.
    pub(crate) async fn save_rows_done(
        &self,
        conn: &mut Connection,
        rows_done: u64,
        report: &ImportReport,
    ) -> Result<()> {
        let rows_done = i64::try_from(rows_done).unwrap_or(i64::MAX);
        if queue::save_rows_done(conn, (self.id, self.runner), rows_done, report).await? {
            Ok(())
        } else {
            Err(self.ownership_lost())
        }
    }

    /// Stops this run because another server has the job.
    pub(super) fn ownership_lost(&self) -> Error {
        self.request_stop(StopReason::Lost);
        Error::refused(Kind::Unavailable, "Another server has the job.")
    }

    /// Saves a heartbeat with the progress, and requests a stop if the job was cancelled. Returns `false` if another
    /// server has the job.
    pub(super) async fn heartbeat(&self) -> Result<bool> {
        let progress = self.progress().known();
        let cancelled = queue::heartbeat(
            &self.store.database.background,
            (self.id, self.runner),
            progress,
        )
        .await?;
        if cancelled == Some(true) {
            self.request_stop(StopReason::Cancelled);
        }
        Ok(cancelled.is_some())
    }
}
