//! Work that goes on beside the requests.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{cache::relay, partitions::Partitions, state::AppState};

/// How often the keeper looks whether partitions are due.
const KEEPER_PERIOD: Duration = Duration::from_secs(3_600);

/// Starts the keeper of the partitions and the relay of the cache.
pub(crate) fn start(state: &AppState) -> [JoinHandle<()>; 2] {
    [
        tokio::spawn(keep_partitions(state.clone())),
        tokio::spawn(relay::run(state.clone())),
    ]
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
