//! The change log: what writes did to rows, as the live feed and the history of a row tell it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::document::FieldChange;

/// An entry of the log, as the live feed tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// Grows by one with each entry, in an order in which no entry ever comes to light behind another;
    /// the `id` of the event.
    pub position: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    /// The singular of a resource, or `partition`, or `import` for the end of a long one.
    pub entity: String,
    /// None where many rows were loaded at once.
    pub entity_id: Option<Uuid>,
    pub op: Op,
    /// The version that the row has, or had when it was deleted.
    pub version: Option<i64>,
    /// JSON pointers of the fields that differ.
    pub changed: Vec<String>,
    /// The row as it is now; none where it was deleted.
    pub row: Option<Value>,
    /// Other rows that the write changed along with it, such as the stock of products.
    pub touched: Vec<Touched>,
}

/// A row that was changed along with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    pub entity: String,
    pub id: Uuid,
}

/// An entry of the log, as the history of its row tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub op: Op,
    /// The version that the row got, or had when it was deleted.
    pub version: i64,
    /// What differs, field by field.
    pub changes: Vec<FieldChange>,
    /// The row before; none where it was created.
    pub before: Option<Value>,
    /// The row after; none where it was deleted.
    pub after: Option<Value>,
}

/// The history of a row, the newest entry first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub items: Vec<HistoryEntry>,
    /// The cursor of the entries before these.
    pub next: Option<String>,
    /// What happened before this instant is not told any more; none where the log is whole.
    pub begins_at: Option<DateTime<Utc>>,
}

/// What happened to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Create,
    Update,
    Delete,
    /// A batch of rows loaded at once, told in one entry.
    Seed,
    /// A file of rows restored as they were, told in one entry.
    Import,
    /// A partition was taken off its table, put back, or deleted.
    Archive,
    Restore,
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
        op.ok_or_else(|| format!("`{text}` is no operation"))
    }
}
