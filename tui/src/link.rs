//! Holds `GET /v1/session` open, so that the client knows at once when its server goes and a local
//! server knows that it has a client. It comes back by itself.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    api::{self, Server},
    event::{Event, Link},
    local::LocalServer,
};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Keeps the session until the client leaves, starting the local server where there is one to start.
pub(crate) async fn hold(
    server: Server,
    local: Option<LocalServer>,
    events: UnboundedSender<Event>,
) {
    let mut retry = FIRST_RETRY;
    loop {
        let ended = match ensure(local.as_ref()).await {
            Ok(()) => attach(&server, &events, &mut retry).await,
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
async fn attach(server: &Server, events: &UnboundedSender<Event>, retry: &mut Duration) -> String {
    let Ok((client, base)) = server.client() else {
        return "TLS cannot be set up.".into();
    };
    let sent = client.get(format!("{base}/v1/session")).send().await;
    let mut response = match sent.and_then(reqwest::Response::error_for_status) {
        Ok(response) => response,
        Err(error) => match error.status() {
            Some(status) => return format!("The server answers {status}; is it Stockroom?"),
            None => return api::unreachable(error).message().to_owned(),
        },
    };
    let mut is_up = false;
    loop {
        let Ok(chunk) = tokio::time::timeout(api::SILENCE, response.chunk()).await else {
            return "The server has fallen silent.".into();
        };
        match chunk {
            Ok(Some(_)) if !is_up => {
                is_up = true;
                *retry = FIRST_RETRY;
                let _ = events.send(Event::Link(Link::Up));
            }
            Ok(Some(_)) => {}
            Ok(None) => return "The server has stopped.".into(),
            Err(error) => return api::unreachable(error).message().to_owned(),
        }
    }
}
