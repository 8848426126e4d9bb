//! The HTTP connection to the server. Each call runs in its own task, and its reply arrives as an event.

mod files;
mod stream;

use std::time::{Duration, Instant};

use reqwest::{StatusCode, header};
use stockroom_common::{Kind, Problem, problem};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
};

pub(crate) use self::{
    files::{download, download_to, upload_file},
    stream::{StreamEvent, stream},
};
use crate::{
    io::server::Http,
    messages::{
        call::{Answer, Call, Failure, Precondition, Reply, Source, Ticket},
        event::Event,
    },
    model::intent::Upload,
};

/// A call that takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Maximum bytes of an actor's name that the server accepts.
const MAX_ACTOR: usize = 200;
/// How long the client waits for writes in progress when it quits.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// A stream without any data for this long has failed: the server sends a heartbeat every 15 s.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Maximum bytes of an answer; larger than any answer that the client requests.
const MAX_BODY: usize = 64 << 20;

/// Executes calls.
pub struct Api {
    http: Http,
    events: UnboundedSender<Event>,
    writes: JoinSet<()>,
}

impl Api {
    pub fn new(http: Http, events: UnboundedSender<Event>) -> Self {
        Self {
            http,
            events,
            writes: JoinSet::new(),
        }
    }

    /// Sends a call that only reads; its reply arrives as an event, unless the read is aborted.
    pub fn read(&self, call: Call) -> AbortHandle {
        tokio::spawn(self.reply_to(call)).abort_handle()
    }

    /// Sends a call that writes; its reply arrives as an event.
    pub fn write(&mut self, call: Call) {
        let call = self.reply_to(call);
        self.writes.spawn(call);
    }

    fn reply_to(&self, call: Call) -> impl Future<Output = ()> + use<> {
        let http = self.http.clone();
        let events = self.events.clone();
        async move {
            let (ticket, began) = (call.ticket, Instant::now());
            let outcome = tokio::time::timeout(TIMEOUT, exchange(&http, call)).await;
            let result = outcome.unwrap_or_else(|_| {
                let message = format!("The server did not answer within {TIMEOUT:?}.");
                Err(Failure::NoAnswer(message))
            });
            let took = began.elapsed();
            // Sending fails only if the client is quitting.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        }
    }

    /// Follows an event stream. Each event arrives as a reply; the end of the stream arrives as a failure.
    pub fn follow(&self, ticket: Ticket, path: &str) -> AbortHandle {
        let (http, path) = (self.http.clone(), path.to_owned());
        let events = self.events.clone();
        let follow = async move {
            let began = Instant::now();
            let reply = |result| {
                let took = began.elapsed();
                Event::Reply(Reply {
                    ticket,
                    took,
                    result,
                })
            };
            let on_event = |event: StreamEvent<'_>| {
                let body = event.data.as_bytes().to_vec();
                let answer = Answer {
                    body,
                    ..Answer::default()
                };
                events.send(reply(Ok(answer))).is_ok()
            };
            let failure = stream(&http, &path, None, on_event).await;
            // Sending fails only if the client is quitting.
            let _ = events.send(reply(Err(failure)));
        };
        tokio::spawn(follow).abort_handle()
    }

    /// Downloads an answer to a file. The download runs to completion unless the client quits first.
    pub fn download(&self, ticket: Ticket, path: &str, file: String) {
        let (http, path) = (self.http.clone(), path.to_owned());
        let events = self.events.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = download(&http, &path, file).await;
            let took = began.elapsed();
            // Sending fails only if the client is quitting.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        });
    }

    /// Uploads a file. If the client quits before the upload is complete, the server does nothing with the file.
    pub fn upload(&mut self, ticket: Ticket, upload: Upload) {
        let http = self.http.clone();
        let events = self.events.clone();
        self.writes.spawn(async move {
            let began = Instant::now();
            let result = upload_file(&http, &upload.path, &upload.file).await;
            let took = began.elapsed();
            // Sending fails only if the client is quitting.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        });
    }

    /// Waits for writes in progress, but only for a short time.
    pub async fn finish(&mut self) {
        let all = async { while self.writes.join_next().await.is_some() {} };
        // After this time the server has received the requests; it completes them without the client.
        let _ = tokio::time::timeout(FINISH_LIMIT, all).await;
    }
}

pub(crate) async fn exchange(http: &Http, call: Call) -> Result<Answer, Failure> {
    let mut request = http.request(call.method, &call.path);
    if let Some(actor) = actor() {
        request = request.header("stockroom-actor", actor);
    }
    request = match call.precondition {
        Precondition::None => request,
        Precondition::Version(version) => {
            request.header(header::IF_MATCH, format!("\"{version}\""))
        }
        Precondition::Absent => request.header(header::IF_NONE_MATCH, "*"),
    };
    if call.bypass_cache {
        request = request.header(header::CACHE_CONTROL, "no-cache");
    }
    if let Some(body) = call.body {
        request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
    }
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(problem::MEDIA_TYPE.as_bytes()));
    let last = last_link(response.headers());
    let source = response.headers().get("cache-status");
    let source = source.and_then(|status| Source::parse(status.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            let message = "The server's answer is too large.";
            return Err(Failure::NoAnswer(message.into()));
        }
    }
    if status.is_success() {
        return Ok(Answer { body, last, source });
    }
    Err(refusal(status, is_problem, &body))
}

/// A failure on this machine, such as a file that cannot be read.
pub(crate) fn local(detail: String) -> Failure {
    Failure::Refused(Problem::new(Kind::Unreadable, detail))
}

pub(crate) fn refusal(status: StatusCode, is_problem: bool, body: &[u8]) -> Failure {
    let problem = serde_json::from_slice(body).ok().filter(|_| is_problem);
    Failure::Refused(problem.unwrap_or_else(|| {
        let message = format!("The server answered {status} without a reason.");
        Problem {
            status: status.as_u16(),
            ..Problem::new(Kind::Internal, message)
        }
    }))
}

/// The name of the user for the change history, in a form that the server accepts.
fn actor() -> Option<String> {
    actor_of(&std::env::var("USER").ok()?)
}

fn actor_of(user: &str) -> Option<String> {
    let mut actor = String::new();
    for c in user.trim().chars().filter(|c| !c.is_control()) {
        if actor.len() + c.len_utf8() > MAX_ACTOR {
            break;
        }
        actor.push(c);
    }
    Some(actor).filter(|actor| !actor.is_empty())
}

/// Turns a connection error into a failure. Its message contains the innermost cause, which is the most helpful one:
/// `connection refused`.
pub(crate) fn unreachable(error: reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        return Failure::Unreachable(format!("The server cannot be reached: {cause}."));
    }
    Failure::NoAnswer(format!("The connection to the server broke: {cause}."))
}

/// The target of the `Link` header with `rel="last"`.
fn last_link(headers: &header::HeaderMap) -> Option<String> {
    let links = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|link| link.to_str().ok());
    links.flat_map(|link| link.split(',')).find_map(|link| {
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"last\"").then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_user_may_write() {
        assert_eq!(actor_of("ada").as_deref(), Some("ada"));
        assert_eq!(actor_of("a\nb\u{7}").as_deref(), Some("ab"));
        assert_eq!(actor_of(" \n"), None);
        assert_eq!(actor_of(&"é".repeat(150)).unwrap().len(), MAX_ACTOR);
    }

    #[test]
    fn the_last_page_is_found_among_the_links() {
        let mut headers = header::HeaderMap::new();
        let links = [
            "</v1/orders>; rel=\"first\"",
            "</v1/orders?cursor=x>; rel=\"last\"",
        ];
        for link in links {
            headers.append(header::LINK, link.parse().unwrap());
        }
        assert_eq!(last_link(&headers).as_deref(), Some("/v1/orders?cursor=x"));
    }
}
