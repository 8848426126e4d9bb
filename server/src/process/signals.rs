//! The signals that stop a server, or make it read its files again.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Counts the signals that stop the server: SIGINT (ctrl-c) and SIGTERM, and SIGHUP for a local server, whose terminal is
/// then gone. To other servers SIGHUP means to read files again.
#[derive(Clone, Debug)]
pub struct Signals {
    stops: watch::Receiver<u32>,
    reloads: watch::Receiver<u32>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen(is_local: bool) -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (stop, stops) = watch::channel(0);
        let (reload, reloads) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let count = tokio::select! {
                    _ = interrupt.recv() => &stop,
                    _ = terminate.recv() => &stop,
                    _ = hangup.recv() => if is_local { &stop } else { &reload },
                };
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { stops, reloads })
    }

    /// Resolves once the server was asked to stop.
    pub async fn first(&self) {
        self.reach(1).await;
    }

    /// Resolves once it was asked a second time.
    pub async fn second(&self) {
        self.reach(2).await;
    }

    /// Resolves each time that the server was asked to read its files again.
    pub async fn reload(&mut self) {
        // The sender lives as long as the runtime.
        let _ = self.reloads.changed().await;
    }

    async fn reach(&self, number: u32) {
        // The sender lives as long as the runtime.
        let _ = self.stops.clone().wait_for(|count| *count >= number).await;
    }
}
