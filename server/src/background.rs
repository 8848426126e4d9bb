//! Work that goes on beside the requests.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{cache::relay, feed, jobs, partitions::Partitions, state::AppState};

/// How often the keeper looks whether partitions are due, and jobs old.
const KEEPER_PERIOD: Duration = Duration::from_secs(3_600);
/// How long jobs may take to finish what they have begun once the server stops.
const LAST_BATCHES: Duration = Duration::from_secs(10);

/// What runs beside the requests.
pub(crate) struct Background {
    keeper: JoinHandle<()>,
    relay: JoinHandle<()>,
    feed: JoinHandle<()>,
    jobs: JoinHandle<()>,
    job_news: JoinHandle<()>,
}

impl Background {
    /// Starts the keeper of the partitions, the relay of the cache, who reads the change log for those who
    /// follow it, and who works off jobs.
    pub(crate) fn start(state: &AppState) -> Self {
        Self {
            keeper: tokio::spawn(keep_house(state.clone())),
            relay: tokio::spawn(relay::run(state.clone())),
            feed: tokio::spawn(feed::run(state.clone())),
            jobs: tokio::spawn(jobs::run(state.clone())),
            job_news: tokio::spawn(jobs::watch_all(state.clone())),
        }
    }

    /// Ends all of it; jobs get to finish the batches that they have begun.
    pub(crate) async fn stop(mut self) {
        self.keeper.abort();
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

async fn keep_house(state: AppState) {
    let mut ticks = tokio::time::interval(KEEPER_PERIOD);
    loop {
        ticks.tick().await;
        if let Err(error) = Partitions::keep(&state).await {
            tracing::error!(%error, "the partitions could not be kept");
        }
        if let Err(error) = jobs::forget(&state).await {
            tracing::error!(%error, "old jobs could not be forgotten");
        }
    }
}
