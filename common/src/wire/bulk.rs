//! Many rows written by one call: an array, or a file.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Problem, document};

/// Maximum number of rows in one call.
pub const MAX_ROWS: usize = 10_000;

/// Maximum number of refused rows in the report of an import.
pub const MAX_REFUSED: usize = 1_000;

/// How a failed row affects the other rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Nothing is written.
    #[default]
    RejectAll,
    /// The other rows are written.
    RejectFailed,
}

/// The outcome of the rows of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkReport {
    pub created: usize,
    pub updated: usize,
    /// Rows that already had the requested values.
    pub unchanged: usize,
    #[serde(default)]
    pub deleted: usize,
    pub failed: usize,
    /// One entry for each row, in the order of the request.
    pub rows: Vec<BulkRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRow {
    pub outcome: Outcome,
    /// None if the row failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Why the row failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    Deleted,
    Failed,
}

/// A row to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowToDelete {
    pub id: Uuid,
    /// The version that the caller has seen. If absent, the row is deleted whatever its version.
    #[serde(
        default,
        deserialize_with = "document::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub version: Option<i64>,
}

/// The outcome of the rows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub created: u64,
    pub updated: u64,
    /// Rows that already had the requested values.
    pub unchanged: u64,
    pub failed: u64,
    /// The first [`MAX_REFUSED`] failed rows.
    pub refused: Vec<ImportRow>,
}

/// A row of a file and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    /// The line in which the row begins, counted from 1.
    pub line: u64,
    #[serde(flatten)]
    pub row: BulkRow,
}

impl ImportReport {
    /// Adds the outcome of the next row.
    pub fn push(&mut self, row: &ImportRow) {
        *match row.row.outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            // An import never deletes a row.
            Outcome::Deleted | Outcome::Failed => &mut self.failed,
        } += 1;
        if row.row.outcome == Outcome::Failed && self.refused.len() < MAX_REFUSED {
            self.refused.push(row.clone());
        }
    }
}

impl BulkReport {
    /// Adds the outcome of the next row.
    pub fn push(&mut self, row: BulkRow) {
        *match row.outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Deleted => &mut self.deleted,
            Outcome::Failed => &mut self.failed,
        } += 1;
        self.rows.push(row);
    }
}
