//! Ends an import or another write of many rows if its caller disconnects, its job is stopped, the server stops, or it
//! takes too long.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::AbortHandle};

use crate::{
    jobs::Run,
    process::{interrupted::Interrupted, lifecycle::Phase},
    store::Store,
};

/// Maximum duration of an import or another write of many rows.
const MAX_TIME: Duration = Duration::from_secs(4 * 3_600);

/// Watches one import until it is dropped.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pub(crate) interrupted: Interrupted,
    watcher: AbortHandle,
}

/// Held by the request handler while the caller waits for the response.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Closed with the request, whether it was answered or its caller has disconnected.
    _end: oneshot::Sender<()>,
}

impl Interrupt {
    /// For an import whose caller waits for the response.
    pub(crate) fn of_caller(store: &Store) -> (Self, Waiting) {
        let (end, gone) = oneshot::channel();
        let gone = async {
            // Nothing is ever sent: this ends when the sender is dropped.
            let _ = gone.await;
            "The caller has disconnected."
        };
        (Self::watch(store, gone), Waiting { _end: end })
    }

    /// For an import that runs as a job.
    pub(crate) fn of_job(run: &Arc<Run>) -> Self {
        let of = run.clone();
        let stopped = async move {
            of.until_stopped().await;
            "The job was stopped."
        };
        Self::watch(&run.store, stopped)
    }

    fn watch(store: &Store, ended: impl Future<Output = &'static str> + Send + 'static) -> Self {
        let interrupted = Interrupted::default();
        let (store, flag) = (store.clone(), interrupted.clone());
        let watcher = tokio::spawn(async move {
            flag.set(tokio::select! {
                why = ended => why,
                () = store.lifecycle.until(Phase::Over) => "The server is stopping.",
                () = tokio::time::sleep(MAX_TIME) => "It took more than four hours. Send less at a time.",
            });
        });
        Self {
            interrupted,
            watcher: watcher.abort_handle(),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}
