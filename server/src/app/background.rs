//! The background tasks of the server.

use std::time::Duration;

use axum::extract::FromRef;
use stockroom_common::LogSink;
use tokio::task::JoinHandle;

use crate::{
    app::{dispatch::dispatch, feed, state::AppState},
    archive::retention,
    http::error::Error,
    jobs,
    store::{Store, log::relay},
};

/// How often the clock and the log are checked.
const WATCH_PERIOD: Duration = Duration::from_secs(60);
/// How long jobs may take to finish their current batches once the server stops.
const LAST_BATCHES: Duration = Duration::from_secs(10);

/// The tasks that run in addition to the requests.
pub(crate) struct Background {
    maintenance: JoinHandle<()>,
    access: JoinHandle<()>,
    watch: JoinHandle<()>,
    relay: JoinHandle<()>,
    feed: JoinHandle<()>,
    jobs: JoinHandle<()>,
    job_watch: JoinHandle<()>,
}

impl Background {
    /// Starts all tasks: the maintenance of partitions and jobs, the reader of tokens, the checks of the server itself, the relay of the
    /// cache, the readers of the change log and of the jobs for event streams, and the job runner.
    pub(crate) fn start(state: &AppState) -> Self {
        let store = Store::from_ref(state);
        Self {
            maintenance: tokio::spawn(maintenance(store.clone())),
            // Viewers, whose tokens may have to be revoked, cannot occupy these connections.
            access: tokio::spawn(state.access.clone().follow(store.database.writes.clone())),
            watch: tokio::spawn(report_problems(store.clone())),
            relay: tokio::spawn(relay::run(store.clone())),
            feed: tokio::spawn(feed::run(store.clone(), state.feed.clone())),
            jobs: tokio::spawn(jobs::run(store.clone(), dispatch)),
            job_watch: tokio::spawn(jobs::watch_all(store)),
        }
    }

    /// Stops all tasks. Jobs may finish the batches that they have begun, within [`LAST_BATCHES`].
    pub(crate) async fn stop(mut self) {
        self.maintenance.abort();
        self.access.abort();
        self.watch.abort();
        self.relay.abort();
        self.feed.abort();
        self.job_watch.abort();
        if tokio::time::timeout(LAST_BATCHES, &mut self.jobs)
            .await
            .is_err()
        {
            tracing::warn!("running batches of jobs did not finish in {LAST_BATCHES:?}");
            self.jobs.abort();
        }
    }
}

async fn maintenance(state: Store) {
    let mut ticks = tokio::time::interval(state.options.sweep_every);
    loop {
        ticks.tick().await;
        // A wrong clock must not decide what is old enough to delete.
        if let Err(error) = state.database.check_clock(&state.options.clock).await {
            tracing::warn!(%error, "maintenance of partitions and jobs is skipped");
            continue;
        }
        if let Err(error) = retention::enforce(&state).await {
            tracing::error!(%error, "the retention policies could not be applied");
        }
        if let Err(error) = jobs::forget(&state).await {
            tracing::error!(%error, "old jobs could not be deleted");
        }
    }
}

/// Logs what an operator should know and no request shows: a wrong clock and lost log lines.
async fn report_problems(state: Store) {
    let mut ticks = tokio::time::interval(WATCH_PERIOD);
    let mut reported = 0;
    loop {
        ticks.tick().await;
        if let Err(error @ Error::Clock(_)) = state.database.check_clock(&state.options.clock).await
        {
            tracing::warn!(%error, "this server uses the clock of the database");
        }
        let lines_lost = state.options.log.as_ref().map_or(0, LogSink::lines_lost);
        if lines_lost > reported {
            tracing::warn!(
                lines = lines_lost - reported,
                "log lines were lost: the reader is too slow, or the log cannot be written"
            );
            reported = lines_lost;
        }
    }
}
