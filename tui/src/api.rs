//! The connection to the server: HTTP calls in, replies out, each in a task of its own.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, StatusCode, header};
use stockroom_common::{Kind, Problem, problem};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
};

use crate::{
    event::{Answer, Call, Event, Failure, Owner, Precondition, Reply, Source, Ticket, Written},
    import::{Upload, Uploaded},
};

/// A call that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(40);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long leaving waits for what was just saved.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// Streams say every 15 s that they live.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Bytes of a file that are sent at once.
const UPLOAD_CHUNK: usize = 1 << 16;
/// More than any answer that we ask for.
const MAX_BODY: usize = 64 << 20;

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Url(String),
    /// A local server's socket.
    Socket(PathBuf),
}

impl Server {
    /// A client for it and the start of its URLs.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn client(&self) -> reqwest::Result<(Client, String)> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("stockroom/", env!("CARGO_PKG_VERSION")));
        match self {
            Self::Url(url) => Ok((builder.build()?, url.trim_end_matches('/').to_owned())),
            Self::Socket(path) => {
                let client = builder.unix_socket(path.as_path()).build()?;
                Ok((client, "http://stockroom.local".into()))
            }
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Socket(_) => f.write_str("local shop"),
        }
    }
}

/// Carries out calls.
pub struct Api {
    client: Client,
    base: String,
    events: UnboundedSender<Event>,
    reads: HashMap<Owner, AbortHandle>,
    writes: JoinSet<()>,
}

impl Api {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(server: &Server, events: UnboundedSender<Event>) -> reqwest::Result<Self> {
        let (client, base) = server.client()?;
        Ok(Self {
            client,
            base,
            events,
            reads: HashMap::new(),
            writes: JoinSet::new(),
        })
    }

    /// Sends a call; its reply comes as an event. A read ends an earlier one of the same owner,
    /// whose answer nobody waits for any more; writes always run to their end.
    pub fn send(&mut self, call: Call) {
        let (client, url) = (self.client.clone(), format!("{}{}", self.base, call.path));
        let events = self.events.clone();
        let (ticket, is_read) = (call.ticket, call.method == Method::GET);
        let call = async move {
            let began = Instant::now();
            let outcome = tokio::time::timeout(TIMEOUT, exchange(&client, url, call)).await;
            let result = outcome.unwrap_or_else(|_| {
                let message = format!("The server did not answer within {TIMEOUT:?}.");
                Err(Failure::NoAnswer(message))
            });
            let took = began.elapsed();
            // Without a receiver the client is leaving.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        };
        if !is_read {
            self.writes.spawn(call);
            return;
        }
        let task = tokio::spawn(call).abort_handle();
        if let Some(earlier) = self.reads.insert(ticket.owner, task) {
            earlier.abort();
        }
    }

    /// Gives up on a read.
    pub fn cancel(&mut self, owner: Owner) {
        if let Some(read) = self.reads.remove(&owner) {
            read.abort();
        }
    }

    /// Follows an event stream, in place of an earlier one of the same owner.
    pub fn follow(&mut self, ticket: Ticket, path: &str) {
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
            let tell = |event: StreamEvent<'_>| {
                let body = event.data.as_bytes().to_vec();
                let answer = Answer {
                    body,
                    ..Answer::default()
                };
                events.send(reply(Ok(answer))).is_ok()
            };
            let failure = stream(&client, url, None, tell).await;
            // Without a receiver the client is leaving.
            let _ = events.send(reply(Err(failure)));
        };
        let task = tokio::spawn(follow).abort_handle();
        if let Some(earlier) = self.reads.insert(ticket.owner, task) {
            earlier.abort();
        }
    }

    /// Writes an answer to a file. It runs to its end, unless the client leaves first.
    pub fn download(&mut self, ticket: Ticket, path: &str, file: String) {
        let (client, url) = (self.client.clone(), format!("{}{path}", self.base));
        let events = self.events.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let result = download(&client, url, file).await;
            let took = began.elapsed();
            // Without a receiver the client is leaving.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        });
    }

    /// Sends a file. Whoever leaves before it has arrived whole has sent nothing.
    pub fn upload(&mut self, ticket: Ticket, upload: Upload) {
        let (client, base) = (self.client.clone(), self.base.clone());
        let events = self.events.clone();
        self.writes.spawn(async move {
            let began = Instant::now();
            let result = send_file(&client, &base, upload).await;
            let took = began.elapsed();
            // Without a receiver the client is leaving.
            let _ = events.send(Event::Reply(Reply {
                ticket,
                took,
                result,
            }));
        });
    }

    /// Waits for writes that are on their way, but not for long.
    pub async fn finish(&mut self) {
        let all = async { while self.writes.join_next().await.is_some() {} };
        // A server that takes longer has the request by now.
        let _ = tokio::time::timeout(FINISH_LIMIT, all).await;
    }
}

pub(crate) async fn exchange(client: &Client, url: String, call: Call) -> Result<Answer, Failure> {
    let mut request = client.request(call.method, url);
    if let Ok(actor) = std::env::var("USER") {
        request = request.header("stockroom-actor", actor);
    }
    request = match call.precondition {
        Precondition::None => request,
        Precondition::Version(version) => {
            request.header(header::IF_MATCH, format!("\"{version}\""))
        }
        Precondition::Absent => request.header(header::IF_NONE_MATCH, "*"),
    };
    if call.past_cache {
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
            let message = "The server's answer is far too large.";
            return Err(Failure::NoAnswer(message.into()));
        }
    }
    if status.is_success() {
        return Ok(Answer { body, last, source });
    }
    Err(refusal(status, is_problem, &body))
}

/// Writes the body of an answer to a file that is not there yet; what is not whole is not left behind.
async fn download(client: &Client, url: String, file: String) -> Result<Answer, Failure> {
    let mut response = client.get(url).send().await.map_err(unreachable)?;
    let status = response.status();
    if !status.is_success() {
        let body = response.bytes().await.map_err(unreachable)?;
        return Err(refusal(status, true, &body));
    }
    let failed = |error: std::io::Error| {
        let problem = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{file} is there already; choose another name.")
            }
            _ => format!("{file} cannot be written: {error}."),
        };
        Failure::NoAnswer(problem)
    };
    if tokio::fs::try_exists(&file).await.map_err(failed)? {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    // Whoever leaves meanwhile leaves something behind that cannot be taken for the whole.
    let part = format!("{file}.part");
    let mut out = tokio::fs::File::create(&part).await.map_err(failed)?;
    let mut bytes = 0;
    let written = async {
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes += chunk.len() as i64;
            out.write_all(&chunk).await.map_err(failed)?;
        }
        out.flush().await.map_err(failed)?;
        tokio::fs::rename(&part, &file).await.map_err(failed)
    };
    if let Err(failure) = written.await {
        let _ = tokio::fs::remove_file(&part).await;
        return Err(failure);
    }
    let body = serde_json::to_vec(&Written { file, bytes }).unwrap_or_default();
    Ok(Answer {
        body,
        ..Answer::default()
    })
}

/// Sends a file to be imported; reads what has become of it, however long that takes.
async fn send_file(client: &Client, base: &str, upload: Upload) -> Result<Answer, Failure> {
    let path = match upload.file.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(&upload.file),
    };
    let file = tokio::fs::File::open(&path)
        .await
        .map_err(|error| Failure::NoAnswer(format!("{} cannot be read: {error}.", upload.file)))?;
    let chunks = futures_util::stream::try_unfold(file, |mut file| async {
        let mut chunk = vec![0; UPLOAD_CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
    });
    let mut request = client.post(format!("{base}{}", upload.path()));
    if let Ok(actor) = std::env::var("USER") {
        request = request.header("stockroom-actor", actor);
    }
    let body = reqwest::Body::wrap_stream(chunks);
    let response = request.body(body).send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        return Err(refusal(status, true, &body));
    }
    let report = serde_json::from_slice(&body).map_err(|error| {
        Failure::NoAnswer(format!("The server's answer cannot be read: {error}"))
    })?;
    let body = serde_json::to_vec(&Uploaded { upload, report }).unwrap_or_default();
    Ok(Answer {
        body,
        ..Answer::default()
    })
}

/// An event of a stream; one without data only tells where to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEvent<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) data: &'a str,
}

/// Reads an event stream, after the event with that id, and tells each event as long as somebody
/// listens; says why it ended. The server's events are one line of data each.
pub(crate) async fn stream(
    client: &Client,
    url: String,
    after: Option<&str>,
    mut tell: impl FnMut(StreamEvent<'_>) -> bool,
) -> Failure {
    let mut request = client.get(url);
    if let Some(id) = after {
        request = request.header("last-event-id", id);
    }
    let mut response = match request.send().await {
        Ok(response) if response.status().is_success() => response,
        Ok(response) => {
            let status = response.status();
            let body = response.bytes().await.unwrap_or_default();
            return refusal(status, true, &body);
        }
        Err(error) => return unreachable(error),
    };
    let mut lines = Lines::default();
    let (mut id, mut data): (Option<String>, Option<String>) = (None, None);
    loop {
        let Ok(chunk) = tokio::time::timeout(SILENCE, response.chunk()).await else {
            return Failure::NoAnswer("The server has fallen silent.".into());
        };
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return unreachable(error),
        };
        for line in lines.take(&chunk) {
            if let Some(told) = line.strip_prefix("data:") {
                data = Some(told.trim_start().to_owned());
            } else if let Some(told) = line.strip_prefix("id:") {
                id = Some(told.trim_start().to_owned());
            } else if line.is_empty() && (id.is_some() || data.is_some()) {
                let (id, data) = (id.take(), data.take().unwrap_or_default());
                let event = StreamEvent {
                    id: id.as_deref(),
                    data: &data,
                };
                if !tell(event) {
                    return Failure::NoAnswer("Nobody listens any more.".into());
                }
            }
        }
        if lines.0.len() > MAX_BODY {
            break;
        }
    }
    Failure::NoAnswer("The server has ended the stream.".into())
}

/// What is left of a stream after its last whole line.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Takes more of the stream; gives the lines that are whole now.
    fn take(&mut self, chunk: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(chunk);
        let end = self
            .0
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.0.drain(..end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().map(str::to_owned).collect()
    }
}

fn refusal(status: StatusCode, is_problem: bool, body: &[u8]) -> Failure {
    let problem = serde_json::from_slice(body).ok().filter(|_| is_problem);
    Failure::Refused(problem.unwrap_or_else(|| {
        let message = format!("The server answered {status} and did not say why.");
        Problem {
            status: status.as_u16(),
            ..Problem::new(Kind::Internal, message)
        }
    }))
}

/// The innermost cause says it best: `connection refused`.
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

/// The target of `rel="last"` among the `Link` headers.
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
    fn lines_are_whole_however_the_stream_is_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"event: job\nda"), ["event: job"]);
        assert_eq!(lines.take(b"ta: {\"name\": \"\xc3"), [""; 0]);
        assert_eq!(
            lines.take(b"\xa4\"}\r\n\n"),
            ["data: {\"name\": \"\u{e4}\"}", ""]
        );
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
