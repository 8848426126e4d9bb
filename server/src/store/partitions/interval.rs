//! The length of a partition. It may change at any time: existing partitions stay unchanged, and new partitions fill
//! the gaps between them.

use std::{fmt, ops::Range, str::FromStr};

use chrono::{DateTime, Days, Utc};

use crate::process::clock::{midnight, month_start};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interval {
    #[default]
    Month,
    /// From Monday to Sunday.
    Week,
    Day,
}

impl Interval {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Month, "month"),
        (Self::Week, "week"),
        (Self::Day, "day"),
    ];

    /// How many partitions are created ahead of time.
    pub(crate) const fn ahead(self) -> u32 {
        match self {
            Self::Month => 4,
            Self::Week => 6,
            Self::Day => 14,
        }
    }

    /// The calendar interval (UTC) that holds `at`.
    pub(crate) fn around(self, at: DateTime<Utc>) -> Range<DateTime<Utc>> {
        let day = at.date_naive();
        match self {
            Self::Month => month_start(at, 0)..month_start(at, 1),
            Self::Week => {
                let monday = day.week(chrono::Weekday::Mon).first_day();
                midnight(monday)..midnight(monday + Days::new(7))
            }
            Self::Day => midnight(day)..midnight(day + Days::new(1)),
        }
    }

    /// The name suffix of the partition with that `range`: `2026_11`, `2026_w48` or `2026_11_24`.
    /// A month or week that other partitions cut short is named by its first day, so that names stay unique.
    pub(crate) fn suffix(self, range: &Range<DateTime<Utc>>) -> String {
        let format = match self {
            _ if self.around(range.start) != *range => "%Y_%m_%d",
            Self::Month => "%Y_%m",
            Self::Week => "%G_w%V",
            Self::Day => "%Y_%m_%d",
        };
        range.start.format(format).to_string()
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|(_, name)| *name == text);
        known
            .map(|(interval, _)| *interval)
            .ok_or_else(|| format!("`{text}` is not an interval; it may be month, week or day"))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(interval, _)| interval == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_interval_is_the_one_of_the_calendar() {
        let around = |interval: Interval, text: &str| {
            let range = interval.around(at(text));
            let days = [range.start, range.end].map(|end| end.date_naive().to_string());
            (days.join(" "), interval.suffix(&range))
        };
        let tuesday = "2026-12-29T23:59:59Z";
        let expected = |days: &str, name: &str| (days.to_owned(), name.to_owned());
        assert_eq!(
            around(Interval::Month, tuesday),
            expected("2026-12-01 2027-01-01", "2026_12")
        );
        // The last days of December can belong to week 1 of the next ISO year; these belong to week 53.
        assert_eq!(
            around(Interval::Week, tuesday),
            expected("2026-12-28 2027-01-04", "2026_w53")
        );
        assert_eq!(
            around(Interval::Day, tuesday),
            expected("2026-12-29 2026-12-30", "2026_12_29")
        );
    }

    #[test]
    fn what_is_not_whole_is_named_by_its_first_day() {
        let range = at("2026-12-07T00:00:00Z")..at("2027-01-01T00:00:00Z");
        assert_eq!(Interval::Month.suffix(&range), "2026_12_07");
        let range = at("2026-12-01T00:00:00Z")..at("2026-12-07T00:00:00Z");
        assert_eq!(Interval::Week.suffix(&range), "2026_12_01");
        assert_eq!(Interval::Month.suffix(&range), "2026_12_01");
    }
}
