//! Keeps `GET /v1/session` open, so that the client notices at once when its server stops, and a local server knows
//! that it has a client. Also follows `GET /v1/changes`. Both reconnect automatically; the changes resume where they
//! ended.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use stockroom_common::{Kind, access::WhoAmI, change::ChangeEvent};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    io::{
        api::{self, StreamEvent},
        local::LocalServer,
        server::Http,
    },
    messages::{
        call::{Call, Failure, Owner, Ticket},
        event::{Event, Link},
    },
};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// A session without any data for this long has failed: the server sends a heartbeat every 2 s.
const SILENCE: Duration = Duration::from_secs(7);
/// If the stream of changes does not open within this time, the link counts as up without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps the session open until the client quits. Starts the local server if `local` is given and none runs. Retries
/// after each failure; the pause doubles from 250 ms to at most 5 s.
pub(crate) async fn keep_connected(
    http: Http,
    local: Option<LocalServer>,
    events: UnboundedSender<Event>,
) {
    let mut retry = FIRST_RETRY;
    let mut last_change = None;
    loop {
        // From before the token is sent: a login in the meantime must not be missed.
        let mut changed = pin!(http.credentials.changed());
        let ended = match ensure(local.as_ref()).await {
            Ok(()) => {
                tokio::select! {
                    ended = attach(&http, &events, &mut retry, &mut last_change) => ended,
                    () = &mut changed => Ended::NewToken,
                }
            }
            Err(reason) => Ended::Lost(reason),
        };
        let can_log_in = local.is_none() && !http.credentials.is_fixed();
        let link = match ended {
            Ended::NewToken => continue,
            Ended::Refused(reason) if local.is_some() => {
                // The folder may have been replaced, and with it the token.
                http.credentials.refused();
                Link::Down(reason)
            }
            Ended::Refused(reason) if can_log_in => Link::LoggedOut(reason),
            Ended::Refused(reason) | Ended::Lost(reason) => Link::Down(reason),
        };
        let is_logged_out = matches!(link, Link::LoggedOut(_));
        if events.send(Event::Link(link)).is_err() {
            return;
        }
        if is_logged_out {
            changed.await;
            retry = FIRST_RETRY;
            continue;
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

/// Why a session ended.
enum Ended {
    /// The server does not accept the token.
    Refused(String),
    /// The user has logged in with another token.
    NewToken,
    Lost(String),
}

/// Opens the session and keeps it open until the connection ends; returns why it ended.
async fn attach(
    http: &Http,
    events: &UnboundedSender<Event>,
    retry: &mut Duration,
    last_change: &mut Option<String>,
) -> Ended {
    let sent = http.request(Method::GET, "/v1/session").send().await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => return Ended::Lost(api::unreachable(error).message().to_owned()),
    };
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        if http.credentials.token().is_none() {
            return Ended::Refused("The server needs a token.".into());
        }
        let body = response.bytes().await.unwrap_or_default();
        return Ended::Refused(api::refusal(status, true, &body).message().to_owned());
    }
    if !status.is_success() {
        let body = response.bytes().await.unwrap_or_default();
        return Ended::Lost(match api::refusal(status, true, &body) {
            Failure::Refused(problem) if !problem.is(Kind::Internal) => problem.detail,
            _ => format!("The server answered {status}; is it Stockroom?"),
        });
    }
    if let Err(ended) = next_chunk(&mut response).await {
        return Ended::Lost(ended);
    }
    *retry = FIRST_RETRY;
    let session = async {
        loop {
            if let Err(ended) = next_chunk(&mut response).await {
                return ended;
            }
        }
    };
    // The link need not wait for the answer.
    let identity = async {
        if let Some(identity) = identify(http).await {
            // Sending fails only if the client is quitting.
            let _ = events.send(Event::Identity(identity));
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = session => Ended::Lost(ended),
        ended = identity => ended,
        () = follow_changes(http, events, last_change) => {
            Ended::Lost("The client is closing.".into())
        }
    }
}

/// Asks the server who the user is to it.
async fn identify(http: &Http) -> Option<WhoAmI> {
    // Nothing waits for this call by its ticket.
    let ticket = Ticket {
        owner: Owner::Job,
        run: 0,
    };
    let call = Call::new(ticket, Method::GET, "/v1/whoami");
    let asked = tokio::time::timeout(PATIENCE, api::exchange(http, call)).await;
    asked.ok()?.ok()?.read().ok()
}

async fn next_chunk(response: &mut reqwest::Response) -> Result<(), String> {
    match tokio::time::timeout(SILENCE, response.chunk()).await {
        Ok(Ok(Some(_))) => Ok(()),
        Ok(Ok(None)) => Err("The server has stopped.".into()),
        Ok(Err(error)) => Err(api::unreachable(error).message().to_owned()),
        Err(_) => Err("The server stopped responding.".into()),
    }
}

/// Sends the changes in the shop as events until the client quits. `last` is the position from which to resume. The
/// link is up once the stream is open: data that is read from then on is followed without a gap.
async fn follow_changes(http: &Http, events: &UnboundedSender<Event>, last: &mut Option<String>) {
    let mut retry = FIRST_RETRY;
    let is_up = AtomicBool::new(false);
    loop {
        let after = last.clone();
        let mut is_open = false;
        let following = api::stream(
            http,
            "/v1/changes",
            after.as_deref(),
            |event: StreamEvent<'_>| {
                retry = FIRST_RETRY;
                if !std::mem::replace(&mut is_open, true) {
                    begin(events, &is_up, after.is_some());
                }
                if let Some(id) = event.id {
                    *last = Some(id.to_owned());
                }
                // Ignore events that are not changes: they are for newer clients.
                match serde_json::from_str::<ChangeEvent>(event.data) {
                    Ok(change) => events.send(Event::Change(Box::new(change))).is_ok(),
                    Err(_) => !events.is_closed(),
                }
            },
        );
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
            // The server can no longer resume from this position.
            *last = None;
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// Handles the start of the stream: marks the link as up. If it was up already and the stream does not resume from a
/// position, requests a reload, because changes before the start of the stream were missed.
fn begin(events: &UnboundedSender<Event>, is_up: &AtomicBool, goes_on: bool) {
    if !up(events, is_up) && !goes_on {
        let _ = events.send(Event::Missed);
    }
}

/// Marks the link as up, unless it is already; returns whether it was not. A server that does not stream changes can
/// still be used.
fn up(events: &UnboundedSender<Event>, is_up: &AtomicBool) -> bool {
    let is_news = !is_up.swap(true, Ordering::Relaxed);
    if is_news {
        // Sending fails only if the client is quitting.
        let _ = events.send(Event::Link(Link::Up));
    }
    is_news
}
