//! Reads a stream of server-sent events, one event at a time.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

/// How long to wait for an event before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event. An event without data has only an id.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: Option<i64>,
    pub name: String,
    pub data: Value,
}

#[derive(Debug)]
pub struct Events {
    response: Response,
    text: String,
}

impl Events {
    #[track_caller]
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event, or `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                if let Some(event) = event {
                    return Some(event);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("no event came").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event that has data.
    pub async fn next_with_data(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("the stream has ended");
            if !event.data.is_null() {
                return event;
            }
        }
    }
}

fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().map(str::trim_start)
    };
    let (id, data) = (field("id:"), field("data:"));
    if id.is_none() && data.is_none() {
        return None;
    }
    Some(Event {
        id: id.map(|id| id.parse().unwrap()),
        name: field("event:").unwrap_or_default().to_owned(),
        data: data.map_or(Value::Null, |data| serde_json::from_str(data).unwrap()),
    })
}
