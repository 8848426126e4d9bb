//! Work that goes on beside the requests.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{cache::relay, state::AppState};

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
        let now = state.options.clock.now();
        if let Err(error) = state.partitions.make_ahead(&state.pool, now).await {
            tracing::error!(%error, "partitions could not be made ahead");
        }
    }
}
