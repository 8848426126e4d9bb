//! Calls to the server and their replies.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use stockroom_common::Problem;
use uuid::Uuid;

use crate::model::tab::Tab;

/// A request to the server. A read cancels an earlier read of the same owner.
#[derive(Clone, Debug)]
pub struct Call {
    pub ticket: Ticket,
    pub method: Method,
    /// Includes the query string.
    pub path: String,
    pub body: Option<Value>,
    pub precondition: Precondition,
    /// Whether the server must read from the database instead of the cache.
    pub bypass_cache: bool,
}

/// What must be true of the row for the server to do the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    None,
    /// The row is at this version (`If-Match`).
    Version(i64),
    /// The row does not exist yet (`If-None-Match: *`).
    Absent,
}

impl Call {
    /// A call without a body or a precondition.
    pub fn new(ticket: Ticket, method: Method, path: impl Into<String>) -> Self {
        Self {
            ticket,
            method,
            path: path.into(),
            body: None,
            precondition: Precondition::None,
            bypass_cache: false,
        }
    }
}

/// Identifies the call that a reply belongs to. A reply is dropped if its owner waits for another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub owner: Owner,
    pub run: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    List(Tab),
    Delete(Tab),
    Names(Tab),
    /// Reads rows again that others have changed.
    Refresh(Tab),
    Undo,
    Bulk,
    Count(Tab),
    /// Reads the history of the row in the detail pane.
    History(Tab),
    Save,
    /// Reads the row of a form again.
    Reread,
    Picker,
    /// Starts, cancels or looks up a job.
    Job,
    /// Reads a job with the report on its rows.
    Review(Uuid),
    JobEvents,
    Partitions,
    Dashboard,
    /// Starts an export.
    Export,
    /// Saves the file of an export.
    Download,
    Import,
}

#[derive(Debug)]
pub struct Reply {
    pub ticket: Ticket,
    pub took: Duration,
    pub result: Result<Answer, Failure>,
}

impl Reply {
    /// Parses the body of the answer.
    ///
    /// # Errors
    /// If the call failed, or the body cannot be parsed: a message for the user.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        match &self.result {
            Ok(answer) => answer.read(),
            Err(failure) => Err(failure.message().to_owned()),
        }
    }
}

/// The result of a download, as the body of its reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    pub file: String,
    pub bytes: i64,
}

/// A successful response.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub body: Vec<u8>,
    /// The target of the `Link` header with `rel="last"`.
    pub last: Option<String>,
    /// Where the server read the answer from, if its response contains that.
    pub source: Option<Source>,
}

/// Where the server read an answer from, according to `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Hit,
    /// From the database: the cache did not have it.
    Miss,
    /// From the database: the cache was not used.
    Bypass,
}

impl Source {
    /// Parses `Cache-Status` (RFC 9211). `None` if the header only reports on other caches.
    pub fn parse(status: &str) -> Option<Self> {
        let ours = status.split(',').map(str::trim);
        let ours = ours
            .into_iter()
            .find(|entry| entry.starts_with("stockroom"))?;
        let mut parameters = ours.split(';').map(str::trim).skip(1);
        parameters.find_map(|parameter| match parameter {
            "hit" => Some(Self::Hit),
            "fwd=bypass" => Some(Self::Bypass),
            forward if forward.starts_with("fwd=") => Some(Self::Miss),
            _ => None,
        })
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

impl Answer {
    /// Parses the body.
    ///
    /// # Errors
    /// If the body is not what this client expects: a message for the user.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("The server's answer cannot be read: {error}"))
    }
}

/// Why a call has no successful answer.
#[derive(Clone, Debug)]
pub enum Failure {
    Refused(Problem),
    /// The request never reached the server.
    Unreachable(String),
    /// The request may have reached the server; the outcome is unknown.
    NoAnswer(String),
}

impl Failure {
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(problem) => &problem.detail,
            Self::Unreachable(reason) | Self::NoAnswer(reason) => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_read_from_the_words_of_our_cache() {
        let source = |status| Source::parse(status).map(Source::label);
        assert_eq!(source("stockroom; hit; ttl=540"), Some("hit"));
        assert_eq!(
            source("stockroom; fwd=stale; stored; collapsed"),
            Some("miss")
        );
        assert_eq!(source("stockroom; fwd=bypass; detail=off"), Some("bypass"));
        assert_eq!(source("edge; fwd=miss, stockroom; hit; ttl=1"), Some("hit"));
        assert_eq!(source("edge; hit"), None);
    }
}
