//! Watches over an import or another write of many rows: it ends where nobody waits for it any more, its job is to
//! stop, the server stops, or it takes too long.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::AbortHandle};

use crate::{
    jobs::Run,
    process::{interrupted::Interrupted, lifecycle::Phase},
    store::Store,
};

/// How long an import may take.
const MAX_TIME: Duration = Duration::from_secs(4 * 3_600);

/// Watches over one import as long as it is held.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pub(crate) interrupted: Interrupted,
    watcher: AbortHandle,
}

/// Held by whoever waits for the answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Closed with the request, whether it was answered or its caller has gone.
    _end: oneshot::Sender<()>,
}

impl Interrupt {
    /// For an import that somebody waits for.
    pub(crate) fn of_caller(store: &Store) -> (Self, Waiting) {
        let (end, gone) = oneshot::channel();
        let gone = async {
            // Nothing is ever sent.
            let _ = gone.await;
            "Nobody waits for the answer any more."
        };
        (Self::watch(store, gone), Waiting { _end: end })
    }

    /// For an import that is a job.
    pub(crate) fn of_job(run: &Arc<Run>) -> Self {
        let of = run.clone();
        let stopped = async move {
            of.until_stopped().await;
            "The job is to stop."
        };
        Self::watch(&run.store, stopped)
    }

    fn watch(store: &Store, ended: impl Future<Output = &'static str> + Send + 'static) -> Self {
        let interrupted = Interrupted::default();
        let (store, flag) = (store.clone(), interrupted.clone());
        let watcher = tokio::spawn(async move {
            flag.set(tokio::select! {
                why = ended => why,
                () = store.lifecycle.until(Phase::Over) => "The server stops.",
                () = tokio::time::sleep(MAX_TIME) => "It took more than four hours; send less at a time.",
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
