//! The HTTP connection to the server. Each call runs in its own task, and its reply arrives as an event.

mod files;
mod stream;

use std::{
    borrow::Cow,
    net::IpAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode, Url, header};
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
    messages::{
        call::{Answer, Call, Failure, Precondition, Reply, Source, Ticket},
        event::Event,
    },
    model::intent::Upload,
};

/// A call that takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(40);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// Maximum bytes of an actor's name that the server accepts.
const MAX_ACTOR: usize = 200;
/// How long the client waits for writes in progress when it quits.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// A stream without any data for this long has failed: the server sends a heartbeat every 15 s.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Maximum bytes of an answer; larger than any answer that the client requests.
const MAX_BODY: usize = 64 << 20;

/// The address of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Url(String),
    /// The Unix socket of a local server.
    Socket(PathBuf),
}

impl Server {
    /// The full address, which identifies the server. It may contain a password.
    pub fn address(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Socket(path) => path.display().to_string(),
        }
    }

    /// An HTTP client for the server, and the common start of its URLs.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn client(&self) -> reqwest::Result<(Client, String)> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // Shorter than the server waits for the next request. Otherwise the client could sometimes send a
            // request on a connection that the server is just closing.
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("stockroom/", env!("CARGO_PKG_VERSION")));
        match self {
            // To a proxy, a loopback address means the proxy's own machine.
            Self::Url(url) if is_loopback(url) => {
                let client = builder.no_proxy().build()?;
                Ok((client, url.trim_end_matches('/').to_owned()))
            }
            Self::Url(url) => Ok((builder.build()?, url.trim_end_matches('/').to_owned())),
            Self::Socket(path) => {
                let client = builder.unix_socket(path.as_path()).build()?;
                Ok((client, "http://localhost".into()))
            }
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_userinfo(url)),
            Self::Socket(_) => f.write_str("local shop"),
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let host = host.trim_end_matches('.');
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let ip = ip.map(|ip| ip.to_canonical());
    host == "localhost" || host.ends_with(".localhost") || ip.is_some_and(|ip| ip.is_loopback())
}

/// The URL without its user name and password, so that it can be shown.
pub(crate) fn without_userinfo(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL, but the user may have entered it as one, with a password.
        return url.rsplit_once('@').map_or(url, |(_, host)| host).into();
    };
    let authority = match Url::parse(url) {
        Ok(_) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        // A slash in the password makes the URL invalid. The error message shows the URL, so look for `@` in all of it.
        Err(_) => rest,
    };
    match authority.rsplit_once('@') {
        Some((userinfo, _)) => format!("{scheme}://{}", &rest[userinfo.len() + 1..]).into(),
        None => url.into(),
    }
}

/// Executes calls.
pub struct Api {
    client: Client,
    base: String,
    events: UnboundedSender<Event>,
    writes: JoinSet<()>,
}

impl Api {
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(server: &Server, events: UnboundedSender<Event>) -> reqwest::Result<Self> {
        let (client, base) = server.client()?;
        Ok(Self {
            client,
            base,
            events,
            writes: JoinSet::new(),
        })
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
        let (client, url) = (self.client.clone(), format!("{}{}", self.base, call.path));
        let events = self.events.clone();
        async move {
            let (ticket, began) = (call.ticket, Instant::now());
            let outcome = tokio::time::timeout(TIMEOUT, exchange(&client, url, call)).await;
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
        let (client, url) = (self.client.clone(), format!("{}{path}", self.base));
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
            let failure = stream(&client, url, None, on_event).await;
            // Sending fails only if the client is quitting.
            let _ = events.send(reply(Err(failure)));
        };
        tokio::spawn(follow).abort_handle()
    }

    /// Downloads an answer to a file. The download runs to completion unless the client quits first.
    pub fn download(&self, ticket: Ticket, path: &str, file: String) {
        let (client, url) = (self.client.clone(), format!("{}{path}", self.base));
        let events = self.events.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = download(&client, url, file).await;
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
        let (client, url) = (self.client.clone(), format!("{}{}", self.base, upload.path));
        let events = self.events.clone();
        self.writes.spawn(async move {
            let began = Instant::now();
            let result = upload_file(&client, url, &upload.file).await;
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

pub(crate) async fn exchange(client: &Client, url: String, call: Call) -> Result<Answer, Failure> {
    let mut request = client.request(call.method, url);
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
    fn urls_are_shown_without_passwords() {
        for (url, shown) in [
            ("http://ada:s3cret@host:7878/x", "http://host:7878/x"),
            ("https://ada@host", "https://host"),
            ("http://host/a@b", "http://host/a@b"),
            ("http://a:b@c@host", "http://host"),
            ("http://ada:s3/cr@et@host", "http://host"),
            ("nonsense", "nonsense"),
            ("ada:s3cret@host:7878", "host:7878"),
        ] {
            assert_eq!(without_userinfo(url), shown);
            assert_eq!(Server::Url(url.into()).to_string(), shown);
        }
    }

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
