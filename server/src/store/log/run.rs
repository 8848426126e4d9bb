//! Runs of entries in the change log, and the queue of runs that are still to be marked as relayed.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Most entries that [`RelayQueue::take`] returns at once, unless a single run is longer.
const MARKED_AT_ONCE: usize = 5_000;

/// Consecutive entries of one write: they have the same instant, and their ids count up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRun {
    pub(crate) at: DateTime<Utc>,
    pub(crate) first: Uuid,
    pub(crate) entries: usize,
}

impl LogRun {
    /// Whether `seq` is the next id after this run.
    pub(crate) fn follows_on(&self, seq: Uuid) -> bool {
        self.first.as_u128() + self.entries as u128 == seq.as_u128()
    }

    /// The id of the last entry.
    pub(crate) fn last(&self) -> Uuid {
        Uuid::from_u128(self.first.as_u128() + self.entries.saturating_sub(1) as u128)
    }
}

/// Changes whose tags are deleted but that are not marked as relayed yet. The relay marks them later, so that no
/// response waits for it.
#[derive(Debug, Default)]
pub(crate) struct RelayQueue(Mutex<Vec<LogRun>>);

impl RelayQueue {
    pub(crate) fn push(&self, runs: impl IntoIterator<Item = LogRun>) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.extend(runs);
    }

    /// Removes and returns the oldest runs; empty if none are left.
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
