//! How a server leaves: first it says that it will, then it takes no connections any more and ends the streams
//! that have no end of their own, and in the end it breaks off what is left.

use tokio::sync::watch;

/// How far it has come. Each phase follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// It answers everything, but `/readyz` tells load balancers to look elsewhere.
    Leaving,
    /// No new connections; requests and exports under way go on.
    Stopping,
    /// What is still under way is broken off.
    Over,
}

#[derive(Debug)]
pub(crate) struct Lifecycle(watch::Sender<Phase>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Lifecycle {
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let is_later = phase > *current;
            *current = phase.max(*current);
            is_later
        });
    }

    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        *self.0.borrow() >= phase
    }

    /// Ready once the phase is reached.
    pub(crate) async fn until(&self, phase: Phase) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .0
            .subscribe()
            .wait_for(|current| *current >= phase)
            .await;
    }
}
