//! Many rows written by one call: an array of them, or a file.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Problem, document};

/// Rows that one call may write at the most.
pub const MAX_ROWS: usize = 10_000;

/// Refused rows that the report on a file names.
pub const MAX_REFUSED: usize = 1_000;

/// What a row that fails means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Nothing is written.
    #[default]
    RejectAll,
    /// The others are.
    RejectFailed,
}

/// What has become of the rows of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkReport {
    pub created: usize,
    pub updated: usize,
    /// Were as they were to be.
    pub unchanged: usize,
    #[serde(default)]
    pub deleted: usize,
    pub failed: usize,
    /// One for each row, in their order.
    pub rows: Vec<BulkRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRow {
    pub outcome: Outcome,
    /// None where the row failed.
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

/// A row that is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowToDelete {
    pub id: Uuid,
    /// The version that the caller has seen; any where it is not said.
    #[serde(
        default,
        deserialize_with = "document::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub version: Option<i64>,
}

/// What has become of the rows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub created: u64,
    pub updated: u64,
    /// Were as they were to be.
    pub unchanged: u64,
    pub failed: u64,
    /// The first [`MAX_REFUSED`] of those that failed.
    pub refused: Vec<ImportRow>,
}

/// A row of a file and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    /// Where it begins, from 1.
    pub line: u64,
    #[serde(flatten)]
    pub row: BulkRow,
}

impl ImportReport {
    /// Adds what has become of the next row.
    pub fn push(&mut self, row: &ImportRow) {
        *match row.row.outcome {
            Outcome::Created => &mut self.created,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            // No file deletes anything.
            Outcome::Deleted | Outcome::Failed => &mut self.failed,
        } += 1;
        if row.row.outcome == Outcome::Failed && self.refused.len() < MAX_REFUSED {
            self.refused.push(row.clone());
        }
    }
}

impl BulkReport {
    /// Adds what has become of the next row.
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
