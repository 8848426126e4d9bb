//! Attached clients: each holds `GET /v1/session` or the feed of changes open. A client notices at once when its server
//! stops, and a local server notices when its last client has left.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

use crate::{http::error::Result, jobs, process::lifecycle::Phase, store::Store};

/// How long a server that was started for a client waits for it to attach.
const FIRST_CLIENT: Duration = Duration::from_secs(30);
/// How long it keeps running after the last client has left: the next may be about to attach.
const AFTER_LAST: Duration = Duration::from_secs(2);

/// The keep-alive interval. Without keep-alives, a client shows within a few seconds that its server is gone.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The number of attached clients.
#[derive(Debug, Default)]
pub(crate) struct Sessions(watch::Sender<usize>);

impl Sessions {
    /// Resolves once no client has been attached for a while, no job runs or waits, and no transfer is in progress.
    pub(crate) async fn wait_until_idle(&self, store: &Store) {
        let mut attached = self.0.subscribe();
        let mut grace = FIRST_CLIENT;
        loop {
            let came = attached.wait_for(|&count| count > 0);
            let came = tokio::time::timeout(grace, came).await.is_ok();
            grace = AFTER_LAST;
            if came {
                // The sender lives in `self`, so this cannot fail.
                let _ = attached.wait_for(|&count| count == 0).await;
            } else if !store.is_transferring() && !jobs::is_busy(&store.database.background).await {
                return;
            }
        }
    }
}

/// Counts as one attached client until it is dropped.
pub(crate) struct ClientGuard(Arc<Sessions>);

impl ClientGuard {
    pub(crate) fn new(sessions: Arc<Sessions>) -> Self {
        sessions.0.send_modify(|count| *count += 1);
        Self(sessions)
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// `GET /v1/session`: an event stream with one event, `attached`, and then only keep-alive comments.
pub(crate) async fn attach(
    State(store): State<Store>,
    State(sessions): State<Arc<Sessions>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let permit = store.streams.take()?;
    let attached = ClientGuard::new(sessions);
    let hello = stream::iter([Ok(Event::default().event("attached").data(""))]);
    let until_stop = async move {
        let (_attached, _permit) = (attached, permit);
        store.lifecycle.until(Phase::Stopping).await;
    };
    let rest = stream::once(until_stop).filter_map(|()| async { None });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(hello.chain(rest)).keep_alive(keep_alive))
}
