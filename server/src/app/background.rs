//! Work that goes on beside the requests.

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

/// How often one looks at the clock and at the log.
const WATCH_PERIOD: Duration = Duration::from_secs(60);
/// How long jobs may take to finish what they have begun once the server stops.
const LAST_BATCHES: Duration = Duration::from_secs(10);

/// What runs beside the requests.
pub(crate) struct Background {
    keeper: JoinHandle<()>,
    watch: JoinHandle<()>,
    relay: JoinHandle<()>,
    feed: JoinHandle<()>,
    jobs: JoinHandle<()>,
    job_news: JoinHandle<()>,
}

impl Background {
    /// Starts the keeper of the partitions, the relay of the cache, who reads the change log for those who
    /// follow it, who works off jobs, and who watches over the server itself.
    pub(crate) fn start(state: &AppState) -> Self {
        let store = Store::from_ref(state);
        Self {
            keeper: tokio::spawn(maintenance(store.clone())),
            watch: tokio::spawn(report_problems(store.clone())),
            relay: tokio::spawn(relay::run(store.clone())),
            feed: tokio::spawn(feed::run(store.clone(), state.feed.clone())),
            jobs: tokio::spawn(jobs::run(store.clone(), dispatch)),
            job_news: tokio::spawn(jobs::watch_all(store)),
        }
    }

    /// Ends all of it; jobs get to finish the batches that they have begun.
    pub(crate) async fn stop(mut self) {
        self.keeper.abort();
        self.watch.abort();
        self.relay.abort();
        self.feed.abort();
        self.job_news.abort();
        if tokio::time::timeout(LAST_BATCHES, &mut self.jobs)
            .await
            .is_err()
        {
            tracing::warn!("what jobs have begun did not finish in {LAST_BATCHES:?}");
            self.jobs.abort();
        }
    }
}

async fn maintenance(state: Store) {
    let mut ticks = tokio::time::interval(state.options.sweep_every);
    loop {
        ticks.tick().await;
        // Nothing is deleted by a clock that is wrong.
        if let Err(error) = state.database.check_clock(&state.options.clock).await {
            tracing::warn!(%error, "partitions and jobs are left as they are");
            continue;
        }
        if let Err(error) = retention::keep(&state).await {
            tracing::error!(%error, "the partitions could not be kept");
        }
        if let Err(error) = jobs::forget(&state).await {
            tracing::error!(%error, "old jobs could not be forgotten");
        }
    }
}

/// Says what an operator should know of and no request tells.
async fn report_problems(state: Store) {
    let mut ticks = tokio::time::interval(WATCH_PERIOD);
    let mut reported = 0;
    loop {
        ticks.tick().await;
        if let Err(error @ Error::Clock(_)) = state.database.check_clock(&state.options.clock).await
        {
            tracing::warn!(%error, "this server goes by the clock of the database");
        }
        let lost = state.options.log.as_ref().map_or(0, LogSink::lost);
        if lost > reported {
            tracing::warn!(
                lines = lost - reported,
                "lines of this log were lost: nobody read it, or it could not be written"
            );
            reported = lost;
        }
    }
}
