//! The body of every refusal: RFC 9457 `application/problem+json`.

use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Maximum length of a pointer in bytes. Callers can send long texts, and refusals repeat them.
const MAX_POINTER: usize = 200;
/// Maximum length of a message in bytes, for the same reason.
const MAX_TEXT: usize = 500;

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A refusal. `errors` lists the invalid fields, if fields are the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable URN, one for each [`Kind`].
    #[serde(rename = "type")]
    pub type_uri: String,
    pub title: String,
    pub status: u16,
    /// What went wrong and what to do about it, for people.
    pub detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, slug, title) = kind.row();
        Self {
            type_uri: format!("urn:stockroom:problem:{slug}"),
            title: title.into(),
            status,
            detail: cut(detail.into(), 2 * MAX_TEXT),
            errors: Vec::new(),
        }
    }

    /// A problem with these fields. Its detail is the first of the errors.
    pub fn fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => String::new(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        Self {
            errors,
            ..Self::new(kind, detail)
        }
    }

    /// Whether this is a problem of `kind`.
    pub fn is(&self, kind: Kind) -> bool {
        self.type_uri.ends_with(&format!(":{}", kind.row().1))
    }
}

/// An error in one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// A JSON pointer into the body (`/items/0/quantity`), or `?name` for a query parameter.
    pub pointer: String,
    /// A stable code for programs: `required`, `too_long`, `out_of_range`, `duplicate`, ….
    pub code: String,
    /// The explanation for people.
    pub message: String,
    /// The line of the file, from 1, if the error is in a file. The pointer then refers to the row on that line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl FieldError {
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            pointer: cut(pointer.into(), MAX_POINTER),
            code: code.into(),
            message: cut(message.into(), MAX_TEXT),
            line: None,
        }
    }

    /// The same error, on this line of a file.
    pub fn at_line(self, line: u64) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.pointer.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// Why a request is refused. `Kind::row` is the table of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read: bad JSON, an unknown field or parameter, a wrong type.
    Unreadable,
    /// The token is missing, or not accepted.
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Timeout,
    /// The request conflicts with other data.
    Conflict,
    /// It existed once, and is now archived or deleted.
    Gone,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    /// The request was meant for a server with another name.
    Misdirected,
    /// The request can be read but breaks a rule.
    Invalid,
    PreconditionRequired,
    /// The maximum number of its kind is already in progress.
    TooMany,
    Internal,
    /// A required part is unavailable or busy. Nothing was done, and the same request may succeed later.
    Unavailable,
    /// A write was started, and it cannot be determined whether it was done.
    OutcomeUnknown,
}

impl Kind {
    /// The status, the last part of `type`, and the title.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Unreadable => (400, "unreadable", "The request cannot be read"),
            Self::Unauthenticated => (401, "unauthenticated", "A token is needed"),
            Self::Forbidden => (403, "forbidden", "That is not allowed"),
            Self::NotFound => (404, "not-found", "It does not exist"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "That cannot be done here"),
            Self::Timeout => (408, "timeout", "The request arrived too slowly"),
            Self::Conflict => (409, "conflict", "It conflicts with other data"),
            Self::Gone => (410, "gone", "It is no longer here"),
            Self::PreconditionFailed => (412, "precondition-failed", "The row has changed"),
            Self::TooLarge => (413, "too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                (415, "unsupported-media-type", "The body has the wrong type")
            }
            Self::Misdirected => (
                421,
                "misdirected",
                "The request was meant for another server",
            ),
            Self::Invalid => (422, "invalid", "The document breaks a rule"),
            Self::PreconditionRequired => {
                (428, "precondition-required", "A precondition is missing")
            }
            Self::TooMany => (429, "too-many", "Too many requests"),
            Self::Internal => (500, "internal", "The server failed"),
            Self::Unavailable => (503, "unavailable", "The service is unavailable"),
            Self::OutcomeUnknown => (
                504,
                "outcome-unknown",
                "The outcome of the write is unknown",
            ),
        }
    }

    pub const fn status(self) -> u16 {
        self.row().0
    }
}
