//! The result of a job that succeeds.

use stockroom_common::bulk::ImportReport;

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) report: Option<ImportReport>,
    pub(crate) file_bytes: Option<i64>,
}
