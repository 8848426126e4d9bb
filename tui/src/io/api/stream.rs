//! Server-sent events, in the form that the server uses: each event has one line of data.

use reqwest::Method;

use super::{MAX_BODY, SILENCE, refusal, unreachable};
use crate::{io::server::Http, messages::call::Failure};

/// An event of a stream. An event without data only contains the position from which to resume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEvent<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) data: &'a str,
}

/// Reads an event stream, starting after the event with the id `after`. Passes each event to `on_event` until that returns
/// false. Returns why the stream ended.
pub(crate) async fn stream(
    http: &Http,
    path: &str,
    after: Option<&str>,
    mut on_event: impl FnMut(StreamEvent<'_>) -> bool,
) -> Failure {
    let mut request = http.request(Method::GET, path);
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
            return Failure::NoAnswer("The server stopped responding.".into());
        };
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return unreachable(error),
        };
        for line in lines.take(&chunk) {
            if let Some(value) = line.strip_prefix("data:") {
                data = Some(value.trim_start().to_owned());
            } else if let Some(value) = line.strip_prefix("id:") {
                id = Some(value.trim_start().to_owned());
            } else if line.is_empty() && (id.is_some() || data.is_some()) {
                let (id, data) = (id.take(), data.take().unwrap_or_default());
                let event = StreamEvent {
                    id: id.as_deref(),
                    data: &data,
                };
                if !on_event(event) {
                    return Failure::NoAnswer("The reader is gone.".into());
                }
            }
        }
        if lines.0.len() > MAX_BODY {
            break;
        }
    }
    Failure::NoAnswer("The server closed the stream.".into())
}

/// The bytes of a stream after its last complete line.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Appends a chunk of the stream; returns the lines that are now complete.
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
}
