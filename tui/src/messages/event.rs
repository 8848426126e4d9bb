//! What reaches the client and what it wants done: the two ends of [`crate::app::state::App::update`].

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use stockroom_common::{Problem, change::ChangeEvent};
use uuid::Uuid;

use crate::{dialogs::import::Upload, model::entity::Tab, settings::memory::Memory};

/// Everything comes through one channel in this form.
#[derive(Debug)]
pub enum Event {
    Terminal(crossterm::event::Event),
    Reply(Reply),
    Link(Link),
    /// Somebody, we perhaps, has changed something in the shop.
    Change(Box<ChangeEvent>),
    /// What others changed meanwhile was missed, and cannot be told any more.
    Missed,
    /// How things are arranged could not be kept, and why.
    NotRemembered(String),
    /// Text that was in the user's editor, or what went wrong there.
    Edited(Result<String, String>),
    /// The deadline that the application asked for has come.
    Tick,
    /// The system asks us to leave.
    Terminate,
}

/// What the loop does for the application.
#[derive(Debug)]
pub enum Effect {
    Send(Call),
    /// Follows an event stream: each event comes as a reply, and its end as a failure.
    Follow {
        ticket: Ticket,
        path: String,
    },
    /// Writes an answer to a file, which must not be there yet. The reply says how large it is.
    Download {
        ticket: Ticket,
        path: String,
        file: String,
    },
    /// Sends a file. The reply is the job that looks through it.
    Upload {
        ticket: Ticket,
        upload: Upload,
    },
    /// Stops waiting for an answer.
    Cancel(Owner),
    /// Opens text in the user's editor; it comes back as [`Event::Edited`].
    Edit(String),
    /// Puts text on the clipboard.
    Copy(String),
    /// Takes the mouse, or leaves it to the terminal and its own selection.
    Mouse(Mouse),
    /// Keeps in mind that the export of a job is to be saved in that file, in this run or the next.
    Await(Uuid, String),
    /// It is saved, or never will be.
    Forget(Uuid),
    /// Keeps how things are arranged for the next run.
    Remember(Box<Memory>),
    Suspend,
    /// Draws all of the screen anew: something else has written to it.
    Repaint,
    Quit,
}

/// Whose the mouse is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    Ours,
    Terminals,
}

/// A request to the server. One with the same owner supersedes an earlier read.
#[derive(Clone, Debug)]
pub struct Call {
    pub ticket: Ticket,
    pub method: Method,
    /// With its query.
    pub path: String,
    pub body: Option<Value>,
    pub precondition: Precondition,
    /// Whether the server is to read it from the database.
    pub past_cache: bool,
}

/// What must hold of the row that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    None,
    /// It is at this version.
    Version(i64),
    /// There is none.
    Absent,
}

impl Call {
    /// A call without a body and without conditions.
    pub fn new(ticket: Ticket, method: Method, path: impl Into<String>) -> Self {
        Self {
            ticket,
            method,
            path: path.into(),
            body: None,
            precondition: Precondition::None,
            past_cache: false,
        }
    }
}

/// Says whose a reply is. A reply whose run is not the one waited for is dropped.
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
    /// Rows that others changed, read again.
    Touched(Tab),
    Undo,
    Bulk,
    Count(Tab),
    /// The history of the row in the detail pane.
    History(Tab),
    Save,
    /// A form reads its row again.
    Reread,
    Picker,
    /// Jobs that are begun, cancelled, looked for.
    Job,
    /// One that is read with all that is known of its rows.
    Review(Uuid),
    JobEvents,
    Partitions,
    Dashboard,
    /// An export that is begun.
    Export,
    /// One that is saved.
    Download,
    Import,
}

#[derive(Debug)]
pub struct Reply {
    pub ticket: Ticket,
    pub took: Duration,
    pub result: Result<Answer, Failure>,
}

/// What was written to a file, as the body of a reply.
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
    /// How the server came by it, where it says so.
    pub source: Option<Source>,
}

/// Where the server has an answer from: its `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Hit,
    /// From the database, for the cache had it not or no longer.
    Miss,
    /// From the database, for the cache was not asked.
    Bypass,
}

impl Source {
    /// Reads the header (RFC 9211); none for that of another cache alone.
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

    pub const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

impl Answer {
    /// Reads the body.
    ///
    /// # Errors
    /// A sentence, where the server answers something else than what this client knows.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("The server's answer cannot be read: {error}"))
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Failure {
    Refused(Problem),
    /// The request never reached the server.
    Unreachable(String),
    /// It may have: what became of it is not known.
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

/// The state of the connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Connecting,
    Up,
    Down(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_read_from_the_words_of_our_cache() {
        let source = |status| Source::parse(status).map(Source::word);
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
