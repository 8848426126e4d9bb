//! A limit for every wait: a test fails with what it waited for, instead of hanging.

use std::time::{Duration, Instant};

/// The latest time at which an awaited condition must hold.
pub struct Deadline {
    what: &'static str,
    at: Instant,
}

impl Deadline {
    pub fn new(what: &'static str, seconds: u64) -> Self {
        let at = Instant::now() + Duration::from_secs(seconds);
        Self { what, at }
    }

    /// # Panics
    /// If the time is over.
    #[track_caller]
    pub fn check(&self) {
        assert!(Instant::now() < self.at, "waited in vain for {}", self.what);
    }
}
