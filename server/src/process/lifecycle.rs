//! The phases of a shutdown: announce it, stop accepting and finish what is in progress, then cut off the rest.

use tokio::sync::watch;

/// The phases, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// All requests are served, but `/readyz` returns 503, so that load balancers use other servers.
    Leaving,
    /// No new connections; event streams end; requests and exports in progress continue.
    Stopping,
    /// What is still in progress is cut off.
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

    /// Resolves when the phase is reached.
    pub(crate) async fn until(&self, phase: Phase) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .0
            .subscribe()
            .wait_for(|current| *current >= phase)
            .await;
    }
}
