//! What ends an import or another write of many rows before its time: nobody waits for it any more, its job is to stop, the server stops, or it
//! takes too long. Whatever reads its file looks here, for a small file may unpack to hours of work.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use stockroom_common::Kind;
use tokio::{sync::oneshot, task::AbortHandle};

use crate::{
    error::{Error, Result},
    jobs::Run,
    lifecycle::Phase,
    state::AppState,
};

/// How long an import may take.
const MAX_TIME: Duration = Duration::from_secs(4 * 3_600);

/// Says whether an import is to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupted(Arc<OnceLock<&'static str>>);

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// # Errors
    /// 503 with the reason.
    pub(crate) fn check(&self) -> Result<()> {
        let why = self.0.get();
        why.map_or(Ok(()), |why| Err(Error::refused(Kind::Unavailable, *why)))
    }

    fn set(&self, why: &'static str) {
        // The first reason counts.
        let _ = self.0.set(why);
    }
}

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
    pub(crate) fn of_caller(state: &AppState) -> (Self, Waiting) {
        let (end, gone) = oneshot::channel();
        let gone = async {
            // Nothing is ever sent.
            let _ = gone.await;
            "Nobody waits for the answer any more."
        };
        (Self::watch(state, gone), Waiting { _end: end })
    }

    /// For an import that is a job.
    pub(super) fn of_job(run: &Arc<Run>) -> Self {
        let of = run.clone();
        let stopped = async move {
            of.until_stopped().await;
            "The job is to stop."
        };
        Self::watch(&run.state, stopped)
    }

    fn watch(state: &AppState, ended: impl Future<Output = &'static str> + Send + 'static) -> Self {
        let interrupted = Interrupted::default();
        let (state, flag) = (state.clone(), interrupted.clone());
        let watcher = tokio::spawn(async move {
            flag.set(tokio::select! {
                why = ended => why,
                () = state.lifecycle.until(Phase::Over) => "The server stops.",
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
