//! Work that goes on beside the requests.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{cache::relay, feed, partitions::Partitions, seed, state::AppState};

/// How often the keeper looks whether partitions are due.
const KEEPER_PERIOD: Duration = Duration::from_secs(3_600);
/// How long the batches of a seed job may take to finish once the server stops.
const LAST_BATCHES: Duration = Duration::from_secs(10);

/// What runs beside the requests.
pub(crate) struct Background {
    keeper: JoinHandle<()>,
    relay: JoinHandle<()>,
    feed: JoinHandle<()>,
    seeding: JoinHandle<()>,
}

impl Background {
    /// Starts the keeper of the partitions, the relay of the cache, who reads the change log for those who follow it, and who works off seed jobs.
    pub(crate) fn start(state: &AppState) -> Self {
        Self {
            keeper: tokio::spawn(keep_partitions(state.clone())),
            relay: tokio::spawn(relay::run(state.clone())),
            feed: tokio::spawn(feed::run(state.clone())),
            seeding: tokio::spawn(seed::run(state.clone())),
        }
    }

    /// Ends all of it; a seed job gets to finish the batches that it has begun.
    pub(crate) async fn stop(mut self) {
        self.keeper.abort();
        self.relay.abort();
        self.feed.abort();
        if tokio::time::timeout(LAST_BATCHES, &mut self.seeding)
            .await
            .is_err()
        {
            tracing::warn!("the batches of a seed job did not finish in {LAST_BATCHES:?}");
            self.seeding.abort();
        }
    }
}

async fn keep_partitions(state: AppState) {
    let mut ticks = tokio::time::interval(KEEPER_PERIOD);
    loop {
        ticks.tick().await;
        if let Err(error) = Partitions::keep(&state).await {
            tracing::error!(%error, "the partitions could not be kept");
        }
    }
}
