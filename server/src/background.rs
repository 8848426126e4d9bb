//! Work that goes on beside the requests.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::state::AppState;

/// How often the keeper looks whether partitions are due.
const KEEPER_PERIOD: Duration = Duration::from_secs(3_600);

/// Starts the keeper of the partitions.
pub(crate) fn start(state: &AppState) -> JoinHandle<()> {
    let state = state.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(KEEPER_PERIOD);
        loop {
            ticks.tick().await;
            let now = state.options.clock.now();
            if let Err(error) = state.partitions.make_ahead(&state.pool, now).await {
                tracing::error!(%error, "partitions could not be made ahead");
            }
        }
    })
}
