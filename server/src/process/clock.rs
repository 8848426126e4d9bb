//! The current time, the same for all servers of a database.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use chrono::{DateTime, Datelike, Months, NaiveDate, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};

/// A source of the current time. Tests supply their own.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Given(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>),
    /// The time of the database, derived from this machine's uptime counter, which nobody can set. The value is the
    /// difference between the two, in microseconds.
    Database(Arc<AtomicI64>),
}

impl Clock {
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(now)))
    }

    /// Starts with the time of this machine, until `Clock::follow` sets it to that of the database:
    /// servers must agree on the current time even if their system clocks differ or jump.
    pub fn system() -> Self {
        let clock = Self(Source::Database(Arc::default()));
        clock.follow(Utc::now());
        clock
    }

    /// Sets the clock to the time of the database. Does nothing to a clock that a test supplied.
    pub(crate) fn follow(&self, database: DateTime<Utc>) {
        if let Source::Database(ahead) = &self.0 {
            ahead.store(database.timestamp_micros() - uptime_micros(), Relaxed);
        }
    }

    /// Whether the clock follows that of the database.
    pub(crate) const fn is_system(&self) -> bool {
        matches!(self.0, Source::Database(_))
    }

    /// The current time in microseconds, the precision of PostgreSQL, so that logged times equal stored ones.
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

/// Microseconds since the machine was started. Includes time in sleep on Linux; elsewhere that depends on the system.
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

/// The first instant of the month that is `months_later` months after that of `at`, in UTC.
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
