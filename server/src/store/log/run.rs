//! Entries of the change log as those write them: runs of one instant, and which of them are seen to.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Entries that one statement marks.
const MARKED_AT_ONCE: usize = 5_000;

/// Entries that stand in the log one after the other: of one instant, their ids counted up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRun {
    pub(crate) at: DateTime<Utc>,
    pub(crate) first: Uuid,
    pub(crate) entries: usize,
}

impl LogRun {
    /// Whether an entry with that id would stand right behind these.
    pub(crate) fn follows_on(&self, seq: Uuid) -> bool {
        self.first.as_u128() + self.entries as u128 == seq.as_u128()
    }

    /// The id of the last entry.
    pub(crate) fn last(&self) -> Uuid {
        Uuid::from_u128(self.first.as_u128() + self.entries.saturating_sub(1) as u128)
    }
}

/// Changes whose tags are deleted and which are yet to be marked so, off the answer's path.
#[derive(Debug, Default)]
pub(crate) struct Done(Mutex<Vec<LogRun>>);

impl Done {
    pub(crate) fn push(&self, runs: impl IntoIterator<Item = LogRun>) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.extend(runs);
    }

    /// Some of them; none where there are no more.
    pub(crate) fn take(&self) -> Vec<LogRun> {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = 0;
        let taken = done.iter().take_while(|run| {
            let is_first = entries == 0;
            entries += run.entries;
            is_first || entries <= MARKED_AT_ONCE
        });
        let taken = taken.count();
        done.drain(..taken).collect()
    }
}
