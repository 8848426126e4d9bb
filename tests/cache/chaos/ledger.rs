//! What was acknowledged, and so what a reader may rely on.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The newest values of one thing that grows with each write: a version, a time, a count.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Known>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Acknowledged, and its tags deleted.
    pub(super) acknowledged: i64,
    /// Acknowledged, but its tags left to the relay.
    pub(super) deferred: Option<(i64, Instant)>,
    /// How many were deferred, of what is counted.
    late: i64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            acknowledged: i64::MIN,
            deferred: None,
            late: 0,
        }
    }
}

impl Ledger {
    /// What is known now; a read that starts after this must see it.
    pub(super) fn known(&self) -> Known {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledge(&self, value: i64, is_deferred: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_deferred {
            let earlier = known.deferred.map_or(i64::MIN, |(value, _)| value);
            known.deferred = Some((value.max(earlier), Instant::now()));
        } else {
            known.acknowledged = known.acknowledged.max(value);
        }
        // What was acknowledged whole later has ended what was left of it.
        let newest = known.acknowledged;
        known.deferred.take_if(|(deferred, _)| *deferred <= newest);
    }

    /// Counts one more. Two that are counted may have been written in the other order, so that one that
    /// was deferred is no part of what must be seen.
    pub(super) fn count(&self, is_deferred: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_deferred {
            known.late += 1;
            known.deferred = Some((known.acknowledged.max(0) + known.late, Instant::now()));
        } else {
            known.acknowledged = known.acknowledged.max(0) + 1;
        }
    }
}
