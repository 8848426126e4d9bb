//! ClientGuard clients: each holds `GET /v1/session`, or the feed of changes, open. A client learns at once when its server
//! goes; a local server learns when its last client has gone.

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

/// How long a server that was started for a client waits for it.
const FIRST_CLIENT: Duration = Duration::from_secs(30);
/// How long it stays when the last one has gone: the next may be on its way.
const AFTER_LAST: Duration = Duration::from_secs(2);

/// How often a client hears that its server lives: it tells people within a few seconds when that ends.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How many clients are attached.
#[derive(Debug, Default)]
pub(crate) struct Sessions(watch::Sender<usize>);

impl Sessions {
    /// Ready once no client has been attached for a while and no job runs or
    /// waits.
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

/// Counts one client as long as it lives.
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

/// `GET /v1/session`: an event stream that says `attached` and then only keeps the line alive.
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
