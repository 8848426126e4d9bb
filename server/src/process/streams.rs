//! Limit for open event streams.

use std::sync::Arc;

use stockroom_common::Kind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::error::{Error, Result};

/// Maximum number of open event streams. Each holds a connection, and memory in the kernel.
const MAX_STREAMS: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

impl Streams {
    /// Returns a permit, to be held while a stream is open.
    ///
    /// # Errors
    /// 503 if the maximum number of streams is open.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let detail = format!(
                "All {MAX_STREAMS} event streams are in use. Close some, or use another server."
            );
            Error::refused(Kind::Unavailable, detail)
        })
    }
}
