//! How long partitions stay attached, and which deletions have been announced.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Days, Months, Utc};

/// Written as `keep`, `archive:36m` or `drop:90d`; the unit is `d` (days), `w` (weeks) or `m` (months).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    Keep,
    /// Archives a partition once all of it is that old.
    Archive(Age),
    /// Deletes a partition once all of it is that old, even if it was archived before.
    Drop(Age),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Days(u32),
    Weeks(u32),
    Months(u32),
}

impl Age {
    /// The instant that is this long before `now`; `None` if it is outside the range of dates.
    pub(crate) fn before(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Days(days) => now.checked_sub_days(Days::new(days.into())),
            Self::Weeks(weeks) => now.checked_sub_days(Days::new(u64::from(weeks) * 7)),
            Self::Months(months) => now.checked_sub_months(Months::new(months)),
        }
    }
}

/// The names of the partitions that the log has announced for deletion by the next sweep. Kept in memory only: after a
/// restart, a deletion is announced again before it happens.
#[derive(Debug, Default)]
pub(crate) struct Announced(Mutex<BTreeSet<String>>);

impl Announced {
    /// Records the announcement for this partition; returns whether it was announced before.
    pub(crate) fn announce(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !names.insert(name.to_owned())
    }

    pub(crate) fn forget(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(name);
    }
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is not a retention policy; write keep, or archive: or drop: and an age such as 90d, 12w or 36m"
            )
        };
        if text == "keep" {
            return Ok(Self::Keep);
        }
        let (action, age) = text.split_once(':').ok_or_else(wrong)?;
        let (number, unit) = age
            .split_at_checked(age.len().saturating_sub(1))
            .ok_or_else(wrong)?;
        let number = number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(wrong)?;
        let age = match unit {
            "d" => Age::Days(number),
            "w" => Age::Weeks(number),
            "m" => Age::Months(number),
            _ => return Err(wrong()),
        };
        match action {
            "archive" => Ok(Self::Archive(age)),
            "drop" => Ok(Self::Drop(age)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Archive(age) => write!(f, "archive:{age}"),
            Self::Drop(age) => write!(f, "drop:{age}"),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(number) => write!(f, "{number}d"),
            Self::Weeks(number) => write!(f, "{number}w"),
            Self::Months(number) => write!(f, "{number}m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_read_as_it_is_written() {
        for text in ["keep", "archive:36m", "drop:90d", "drop:12w"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        for text in [
            "", "archive", "drop:", "drop:0d", "drop:90", "drop:d", "burn:1d", "drop:1ä",
        ] {
            assert!(text.parse::<Retention>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_age_is_counted_by_the_calendar() {
        let now: DateTime<Utc> = "2026-11-24T09:30:00Z".parse().unwrap();
        let before = |age: Age| age.before(now).unwrap().to_rfc3339();
        assert_eq!(before(Age::Days(90)), "2026-08-26T09:30:00+00:00");
        assert_eq!(before(Age::Weeks(1)), "2026-11-17T09:30:00+00:00");
        assert_eq!(before(Age::Months(36)), "2023-11-24T09:30:00+00:00");
        assert_eq!(Age::Months(u32::MAX).before(now), None);
    }
}
