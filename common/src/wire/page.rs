//! One page of a list.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Rows on a page if the caller sets no limit.
pub const DEFAULT_LIMIT: u32 = 50;
/// Maximum number of rows on a page, or of ids in a list of ids.
pub const MAX_LIMIT: u32 = 200;

/// A page. `next` and `prev` are opaque cursors for the pages after and before it, none at the ends of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<R> {
    pub items: Vec<R>,
    pub next: Option<String>,
    pub prev: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// Rows from before this instant may be missing, because their partitions are archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_before: Option<DateTime<Utc>>,
}

impl<R> Page<R> {
    /// A page with the whole list.
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

/// The number of rows in the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub value: i64,
    /// False if the number is the planner's estimate.
    pub exact: bool,
}

/// How a list reports its total. An exact count reads every row, so the caller must request it.
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
