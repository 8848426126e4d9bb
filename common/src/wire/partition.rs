//! Partitions: the tables by date in which orders and the change log are stored.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A partition of the orders with their lines, or of the change log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Such as `orders_2026_11`.
    pub name: String,
    pub family: Family,
    /// The first instant of the range.
    pub from: DateTime<Utc>,
    /// The first instant after the range.
    pub to: DateTime<Utc>,
    pub state: PartitionState,
    /// Rows, as estimated by the planner; 0 until the table is first analysed.
    pub rows: i64,
    /// Lines of the orders, estimated in the same way; 0 for the change log.
    pub lines: i64,
    /// Size on disk in bytes, without the indexes.
    pub bytes: i64,
    pub index_bytes: i64,
    /// When the partition was archived or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<DateTime<Utc>>,
}

/// Tables that are partitioned at the same instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Orders and their lines.
    Orders,
    /// The change log.
    Changes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    Attached,
    /// Detached, but kept as tables.
    Archived,
    /// Detached and deleted.
    Dropped,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::Orders, Self::Changes];

    /// The name of the family, which is its main table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Changes => "changes",
        }
    }
}

impl PartitionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Archived => "archived",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for PartitionState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Attached, Self::Archived, Self::Dropped];
        let state = known.into_iter().find(|state| state.as_str() == text);
        state.ok_or_else(|| format!("`{text}` is not a state of a partition"))
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let family = Self::ALL.into_iter().find(|family| family.as_str() == text);
        family.ok_or_else(|| format!("`{text}` is not a family of partitions"))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
