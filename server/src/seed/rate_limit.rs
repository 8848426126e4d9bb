//! Limits a job to the requested rate.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Schedules batches so that the average number of rows per second does not exceed the rate.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// Rows per second; none for no limit.
    rate: Option<u32>,
    next: Mutex<Instant>,
}

impl RateLimit {
    pub(super) fn new(rate: Option<u32>) -> Self {
        let next = Mutex::new(Instant::now());
        Self { rate, next }
    }

    /// Waits until this many rows may be loaded.
    pub(super) async fn wait(&self, rows: i64) {
        let Some(rate) = self.rate else {
            return;
        };
        tokio::time::sleep_until(self.reserve(rate, rows)).await;
    }

    fn reserve(&self, rate: u32, rows: i64) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // Unused time is lost: no burst makes up for a slow start.
        let turn = (*next).max(Instant::now());
        *next = turn + Duration::from_secs_f64(rows as f64 / f64::from(rate.max(1)));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_as_far_apart_as_the_rows_before_them_take() {
        let pace = RateLimit::new(Some(1_000));
        let turns: Vec<Instant> = [250, 500, 1].map(|rows| pace.reserve(1_000, rows)).into();
        assert_eq!(turns[1] - turns[0], Duration::from_millis(250));
        assert_eq!(turns[2] - turns[1], Duration::from_millis(500));
    }
}
