//! Room on this server's disk for files on their way in.

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::Semaphore;

/// Files that are received at a time.
const MAX_UPLOADS: usize = 8;

/// Room for files that were received, shared by all requests.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) uploads: Semaphore,
    pub(crate) used: Arc<AtomicU64>,
    pub(crate) limit: u64,
}

impl Spool {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            uploads: Semaphore::new(MAX_UPLOADS),
            used: Arc::default(),
            limit,
        }
    }
}
