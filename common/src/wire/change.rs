//! The change log: what writes did to rows, as the live feed and the history of a row report it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{access::author, document::FieldChange};

/// An entry of the log in the live feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// Grows by one with each entry; an entry never appears after one with a higher position. The `id` of the event.
    pub position: i64,
    pub at: DateTime<Utc>,
    /// The name of the token, or of the part of the server, that made the change.
    pub actor: String,
    /// For whom, if the request said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The singular name of a resource, `partition`, or `import` for the end of a long import.
    pub entity: String,
    /// None if many rows were changed at once.
    pub entity_id: Option<Uuid>,
    pub op: Op,
    /// The version of the row after the write, or its last version if it was deleted.
    pub version: Option<i64>,
    /// JSON pointers of the fields that differ.
    pub changed: Vec<String>,
    /// The row after the write; none if it was deleted.
    pub row: Option<Value>,
    /// Other rows that the same write changed, such as products whose stock moved.
    pub touched: Vec<TouchedRow>,
}

impl ChangeEvent {
    /// The author, for people.
    pub fn author(&self) -> String {
        author(&self.actor, self.on_behalf_of.as_deref())
    }
}

/// A row that was changed by a write to another row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedRow {
    pub entity: String,
    pub id: Uuid,
}

/// An entry of the log in the history of its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub at: DateTime<Utc>,
    /// The name of the token, or of the part of the server, that made the change.
    pub actor: String,
    /// For whom, if the request said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    pub op: Op,
    /// The version of the row after the write, or its last version if it was deleted.
    pub version: i64,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// The row before the write; none if it was created.
    pub before: Option<Value>,
    /// The row after the write; none if it was deleted.
    pub after: Option<Value>,
}

impl HistoryEntry {
    /// The author, for people.
    pub fn author(&self) -> String {
        author(&self.actor, self.on_behalf_of.as_deref())
    }
}

/// The history of a row, newest entry first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub items: Vec<HistoryEntry>,
    /// The cursor of the page with the entries before these.
    pub next: Option<String>,
    /// Entries from before this instant are no longer kept; none if the log is complete.
    pub begins_at: Option<DateTime<Utc>>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Create,
    Update,
    Delete,
    /// A batch of rows loaded at once, in one entry.
    Seed,
    /// A file of rows restored unchanged, in one entry.
    Import,
    /// A partition was archived.
    Archive,
    /// An archived partition was restored.
    Restore,
    /// An archived partition was deleted.
    Drop,
}

impl Op {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Seed => "seed",
            Self::Import => "import",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Drop => "drop",
        }
    }
}

impl std::str::FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [
            Self::Create,
            Self::Update,
            Self::Delete,
            Self::Seed,
            Self::Import,
            Self::Archive,
            Self::Restore,
            Self::Drop,
        ];
        let op = known.into_iter().find(|op| op.as_str() == text);
        op.ok_or_else(|| format!("`{text}` is not an operation"))
    }
}
