//! Holds `GET /v1/session` open, so that the client knows at once when its server goes and a local
//! server knows that it has a client, and follows `GET /v1/changes` beside it. Both come back by
//! themselves; the changes where they ended.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::Client;
use stockroom_common::{Kind, change::ChangeEvent};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    io::{
        api::{self, Server, StreamEvent},
        local::LocalServer,
    },
    messages::{
        call::Failure,
        event::{Event, Link},
    },
};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The session says every 2 s that the server lives.
const SILENCE: Duration = Duration::from_secs(7);
/// How long the link waits for the stream of changes to open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps the session until the client leaves, starting the local server where there is one to start.
pub(crate) async fn hold(
    server: Server,
    local: Option<LocalServer>,
    events: UnboundedSender<Event>,
) {
    let mut retry = FIRST_RETRY;
    let mut last_change = None;
    loop {
        let ended = match ensure(local.as_ref()).await {
            Ok(()) => attach(&server, &events, &mut retry, &mut last_change).await,
            Err(reason) => reason,
        };
        if events.send(Event::Link(Link::Down(ended))).is_err() {
            return;
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

async fn ensure(local: Option<&LocalServer>) -> Result<(), String> {
    match local {
        Some(local) => local.ensure().await,
        None => Ok(()),
    }
}

/// Attaches and stays until the connection ends; says why it did.
async fn attach(
    server: &Server,
    events: &UnboundedSender<Event>,
    retry: &mut Duration,
    last_change: &mut Option<String>,
) -> String {
    let Ok((client, base)) = server.client() else {
        return "TLS cannot be set up.".into();
    };
    let sent = client.get(format!("{base}/v1/session")).send().await;
    let mut response = match sent.and_then(reqwest::Response::error_for_status) {
        Ok(response) => response,
        Err(error) => match error.status() {
            Some(status) => return format!("The server answered {status}; is it Stockroom?"),
            None => return api::unreachable(error).message().to_owned(),
        },
    };
    let first = next_chunk(&mut response).await;
    if let Err(ended) = first {
        return ended;
    }
    *retry = FIRST_RETRY;
    let session = async {
        loop {
            if let Err(ended) = next_chunk(&mut response).await {
                return ended;
            }
        }
    };
    tokio::select! {
        ended = session => ended,
        () = follow_changes(&client, &base, events, last_change) => "The client is closing.".into(),
    }
}

async fn next_chunk(response: &mut reqwest::Response) -> Result<(), String> {
    match tokio::time::timeout(SILENCE, response.chunk()).await {
        Ok(Ok(Some(_))) => Ok(()),
        Ok(Ok(None)) => Err("The server has stopped.".into()),
        Ok(Err(error)) => Err(api::unreachable(error).message().to_owned()),
        Err(_) => Err("The server stopped responding.".into()),
    }
}

/// Tells what happens in the shop, as long as somebody listens. `last` is where it goes on. The link is up
/// once the stream is open: what is read from then on is followed without a gap.
async fn follow_changes(
    client: &Client,
    base: &str,
    events: &UnboundedSender<Event>,
    last: &mut Option<String>,
) {
    let mut retry = FIRST_RETRY;
    let is_up = AtomicBool::new(false);
    loop {
        let url = format!("{base}/v1/changes");
        let after = last.clone();
        let mut is_open = false;
        let following = api::stream(client, url, after.as_deref(), |event: StreamEvent<'_>| {
            retry = FIRST_RETRY;
            if !std::mem::replace(&mut is_open, true) {
                begin(events, &is_up, after.is_some());
            }
            if let Some(id) = event.id {
                *last = Some(id.to_owned());
            }
            // Something that is no change is left to newer clients.
            match serde_json::from_str::<ChangeEvent>(event.data) {
                Ok(change) => events.send(Event::Change(Box::new(change))).is_ok(),
                Err(_) => !events.is_closed(),
            }
        });
        let ended = {
            tokio::pin!(following);
            tokio::select! {
                ended = &mut following => ended,
                () = tokio::time::sleep(PATIENCE) => {
                    up(events, &is_up);
                    following.await
                }
            }
        };
        if events.is_closed() {
            return;
        }
        up(events, &is_up);
        if let Failure::Refused(problem) = &ended
            && problem.is(Kind::Gone)
        {
            // Where to go on from is not known any more.
            *last = None;
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// The stream has begun: the link is up, or what was missed before the stream began is to be read again.
fn begin(events: &UnboundedSender<Event>, is_up: &AtomicBool, goes_on: bool) {
    if !up(events, is_up) && !goes_on {
        let _ = events.send(Event::Missed);
    }
}

/// The link is up, if it is not yet: a server that does not tell what happens is a server all the same.
fn up(events: &UnboundedSender<Event>, is_up: &AtomicBool) -> bool {
    let is_news = !is_up.swap(true, Ordering::Relaxed);
    if is_news {
        // Without a receiver the client is leaving.
        let _ = events.send(Event::Link(Link::Up));
    }
    is_news
}
