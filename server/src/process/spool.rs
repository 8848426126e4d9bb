//! Space on this server's disk for uploaded files.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::Semaphore;

/// Maximum number of concurrent uploads.
const MAX_UPLOADS: usize = 8;

/// Space for uploaded files, shared by all requests. `used` and `limit` are in bytes.
#[derive(Debug)]
pub(crate) struct SpoolSpace {
    pub(crate) uploads: Semaphore,
    pub(crate) used: Arc<AtomicU64>,
    pub(crate) limit: u64,
}

impl SpoolSpace {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            uploads: Semaphore::new(MAX_UPLOADS),
            used: Arc::default(),
            limit,
        }
    }
}
