//! One page of a list.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Rows that a page holds when the caller does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Rows that a page, or a list of ids, may hold at the most.
pub const MAX_LIMIT: u32 = 200;

/// A page; `next` and `prev` are cursors to hand back as they are, none at the end of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<R> {
    pub items: Vec<R>,
    pub next: Option<String>,
    pub prev: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// Rows from before this instant may be missing: their partitions are archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_before: Option<DateTime<Utc>>,
}

impl<R> Page<R> {
    /// All there is.
    pub const fn whole(items: Vec<R>) -> Self {
        Self {
            items,
            next: None,
            prev: None,
            total: None,
            archived_before: None,
        }
    }
}

/// How many rows the whole list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub value: i64,
    /// False where the number is the planner's estimate.
    pub exact: bool,
}

/// What a list says of its total: counting exactly reads every row, so it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    #[default]
    None,
    Estimated,
    Exact,
}

impl Count {
    pub const ALL: &'static [&'static str] = &["none", "estimated", "exact"];
}

impl FromStr for Count {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "estimated" => Ok(Self::Estimated),
            "exact" => Ok(Self::Exact),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize])
    }
}
