//! One entry of the change log: what a write did to a row.

use serde::{Deserialize, Serialize};

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
