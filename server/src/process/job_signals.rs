//! What those who put jobs into the queue, work them off and follow them have to tell each other on this server.

use std::sync::Arc;

use stockroom_common::job::Job;
use tokio::sync::{Notify, watch};

#[derive(Debug, Default)]
pub(crate) struct JobSignals {
    /// There is one more in the queue.
    pub(crate) queued: Notify,
    /// Somebody wants to know of all jobs, or there is one more.
    pub(crate) asked: Notify,
    /// All jobs as they were seen last, while anybody listens.
    pub(crate) seen: watch::Sender<Option<Arc<Vec<Job>>>>,
}

impl JobSignals {
    /// Says that there is a job in the queue.
    pub(crate) fn notify(&self) {
        self.queued.notify_one();
        self.asked.notify_one();
    }
}
