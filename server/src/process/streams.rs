//! How many event streams may be open.

use std::sync::Arc;

use stockroom_common::Kind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::error::{Error, Result};

/// Each has a connection, and memory in the kernel.
const MAX_STREAMS: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

impl Streams {
    /// The right to hold one open.
    ///
    /// # Errors
    /// 503 where as many are open as may be.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let detail = format!(
                "{MAX_STREAMS} event streams are open, as many as may be; close some, or follow another server."
            );
            Error::refused(Kind::Unavailable, detail)
        })
    }
}
