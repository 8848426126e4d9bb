//! What time it is: one answer for all servers of a database.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use chrono::{DateTime, Datelike, Months, NaiveDate, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};

/// Tells the time; tests pass their own.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Given(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>),
    /// The time of the database, kept by a counter of this machine that nobody sets. What is kept is how many
    /// microseconds the one is ahead of the other.
    Database(Arc<AtomicI64>),
}

impl Clock {
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(now)))
    }

    /// The time of the machine, until it is set by the database: servers whose clocks differ, or
    /// jump, must not disagree about what is now.
    pub fn system() -> Self {
        let clock = Self(Source::Database(Arc::default()));
        clock.follow(Utc::now());
        clock
    }

    /// Sets the clock by the database's; a clock that was given stays as it is.
    pub(crate) fn follow(&self, database: DateTime<Utc>) {
        if let Source::Database(ahead) = &self.0 {
            ahead.store(database.timestamp_micros() - uptime_micros(), Relaxed);
        }
    }

    /// Whether it follows the database's.
    pub(crate) const fn is_system(&self) -> bool {
        matches!(self.0, Source::Database(_))
    }

    /// Now, in the microseconds that PostgreSQL keeps, so that what is logged equals what is stored.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::Given(now) => now().trunc_subsecs(6),
            Source::Database(ahead) => {
                let micros = uptime_micros() + ahead.load(Relaxed);
                DateTime::from_timestamp_micros(micros).unwrap_or_default()
            }
        }
    }
}

/// Time since the machine was started, sleep included where the system counts it.
fn uptime_micros() -> i64 {
    #[cfg(target_os = "linux")]
    const COUNTER: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const COUNTER: ClockId = ClockId::Monotonic;
    let uptime = clock_gettime(COUNTER);
    uptime.tv_sec * 1_000_000 + uptime.tv_nsec / 1_000
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The first instant of the month of `at`, or of the month that many later.
pub(crate) fn month_start(at: DateTime<Utc>, months_later: u32) -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(at.year(), at.month(), 1).unwrap_or_default();
    midnight(first + Months::new(months_later))
}

pub(crate) fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_utc() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let instant = at("2026-11-24T09:30:00Z");
        assert_eq!(month_start(instant, 0), at("2026-11-01T00:00:00Z"));
        assert_eq!(month_start(instant, 3), at("2027-02-01T00:00:00Z"));
    }
}
