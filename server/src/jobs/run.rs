//! A job in the hands of this server: how far it is, whether it is to stop.

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
        error::{Error, Result},
        extract::Actor,
    },
    store::{Store, database::Connection},
};

/// BypassReason a job stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Cancelled,
    ServerStops,
    /// A part of it failed; what else is under way is finished.
    Failed,
    /// Another server has taken it over, or it was ended by hand.
    Lost,
}

/// How a job comes to no good end.
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
    /// Of a seed job, the rows in one batch.
    pub(crate) batch_rows: i64,
    /// Of an import, how many rows are seen to, and what became of them.
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
    pub(crate) fn request_stop(&self, why: StopReason) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            stop.get_or_insert(why);
            is_first
        });
    }

    /// BypassReason it is to stop, if it is.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        *self.stop.borrow()
    }

    pub(crate) fn check_running(&self) -> Result<(), JobError> {
        self.stopped()
            .map_or(Ok(()), |stop| Err(JobError::Stopped(stop)))
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
        conn: &mut Connection,
        rows_done: u64,
        report: &ImportReport,
    ) -> Result<()> {
        let rows_done = i64::try_from(rows_done).unwrap_or(i64::MAX);
        if queue::mark(conn, (self.id, self.runner), rows_done, report).await? {
            Ok(())
        } else {
            Err(self.ownership_lost())
        }
    }

    /// Stops, for another server has the job.
    pub(super) fn ownership_lost(&self) -> Error {
        self.request_stop(StopReason::Lost);
        Error::refused(Kind::Unavailable, "Another server has the job.")
    }

    /// Says that it lives and how far it is; false where it is lost. Where it was cancelled, it is told to
    /// stop.
    pub(super) async fn heartbeat(&self) -> Result<bool> {
        let told = self.progress().known();
        let cancelled = queue::heartbeat(
            &self.store.database.background,
            (self.id, self.runner),
            told,
        )
        .await?;
        if cancelled == Some(true) {
            self.request_stop(StopReason::Cancelled);
        }
        Ok(cancelled.is_some())
    }
}
