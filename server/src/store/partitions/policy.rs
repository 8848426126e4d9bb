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

    /// The instant that is this long after `now`; `None` if it is outside the range of dates.
    pub(crate) fn after(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Days(days) => now.checked_add_days(Days::new(days.into())),
            Self::Weeks(weeks) => now.checked_add_days(Days::new(u64::from(weeks) * 7)),
            Self::Months(months) => now.checked_add_months(Months::new(months)),
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
        let age = age.parse().map_err(|_| wrong())?;
        match action {
            "archive" => Ok(Self::Archive(age)),
            "drop" => Ok(Self::Drop(age)),
            _ => Err(wrong()),
        }
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let split = text.split_at_checked(text.len().saturating_sub(1));
        let number = split.and_then(|(number, unit)| Some((number.parse().ok()?, unit)));
        match number {
            Some((number @ 1.., "d")) => Ok(Self::Days(number)),
            Some((number @ 1.., "w")) => Ok(Self::Weeks(number)),
            Some((number @ 1.., "m")) => Ok(Self::Months(number)),
            _ => Err(format!(
                "`{text}` is not an age; write one such as 90d, 12w or 36m"
            )),
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
    use proptest::prelude::*;

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

    fn age() -> impl Strategy<Value = Age> {
        prop_oneof![
            (1..u32::MAX).prop_map(Age::Days),
            (1..u32::MAX).prop_map(Age::Weeks),
            (1..u32::MAX).prop_map(Age::Months),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_retention_is_read_as_it_is_written(age in age(), drops in any::<bool>()) {
            let retention = if drops { Retention::Drop(age) } else { Retention::Archive(age) };
            prop_assert_eq!(retention.to_string().parse(), Ok(retention));
        }

        #[test]
        fn no_age_reaches_into_the_future_and_a_longer_one_reaches_further(
            number in 1..5_000_u32,
            seconds in 0..4_000_000_000_i64,
        ) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            for unit in [Age::Days, Age::Weeks, Age::Months] {
                let limit = unit(number).before(now).unwrap();
                prop_assert!(limit < now);
                prop_assert!(unit(number + 1).before(now).unwrap() < limit);
            }
            let (days, weeks, months) = (Age::Days(number), Age::Weeks(number), Age::Months(number));
            prop_assert!(weeks.before(now) <= days.before(now));
            // The shortest month has four weeks.
            prop_assert!(months.before(now) <= weeks.before(now));
        }

        #[test]
        fn no_text_makes_a_policy_that_is_written_differently(text in "(keep|archive|drop|)[: ]?[0-9]{0,11}[dwmy]?") {
            if let Ok(retention) = text.parse::<Retention>() {
                prop_assert_eq!(retention.to_string().parse(), Ok(retention));
            }
        }
    }
}
