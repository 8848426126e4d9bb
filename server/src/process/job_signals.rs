//! Signals between the tasks of this server that enqueue, run and follow jobs.

use std::sync::Arc;

use stockroom_common::job::Job;
use tokio::sync::{Notify, watch};

#[derive(Debug, Default)]
pub(crate) struct JobSignals {
    /// Notified when a job was added to the queue.
    pub(crate) queued: Notify,
    /// Notified when a caller starts to follow all jobs, or a job was added.
    pub(crate) wake_watcher: Notify,
    /// All jobs as last read from the queue; `None` while nobody follows them.
    pub(crate) latest: watch::Sender<Option<Arc<Vec<Job>>>>,
}

impl JobSignals {
    /// Signals that a job was added to the queue.
    pub(crate) fn notify(&self) {
        self.queued.notify_one();
        self.wake_watcher.notify_one();
    }
}
