//! When orders are placed: seasons, growth, weekdays and hours.

use chrono::{DateTime, Datelike, Duration, Months, Timelike, Utc, Weekday};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::process::clock::month_start;

/// The relative number of orders in each month of a year, January first. December has the most.
const SEASON: [f64; 12] = [
    0.8, 0.75, 0.9, 0.95, 1.0, 0.95, 0.85, 0.9, 1.0, 1.1, 1.4, 1.5,
];
/// The factor by which orders grow from month to month.
const GROWTH: f64 = 1.01;
/// The orders of one month, or of the part of the month within the time range of the job.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: i64,
    pub(super) end: i64,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

impl Segment {
    /// A random instant of the segment in whole milliseconds, more often in the evening and on Sundays. Rejection
    /// sampling with at most 8 draws; the last one is used in any case.
    pub(super) fn instant(&self, rng: &mut ChaCha8Rng) -> DateTime<Utc> {
        let millis = (self.until - self.from).num_milliseconds().max(1);
        let mut at = self.from;
        for _ in 0..8 {
            at = self.from + Duration::milliseconds(rng.random_range(0..millis));
            let day = match at.weekday() {
                Weekday::Sun => 1.0,
                Weekday::Sat | Weekday::Mon => 0.85,
                _ => 0.75,
            };
            let hour = match at.hour() {
                0..=5 => 0.1,
                6..=8 => 0.5,
                9..=16 => 0.7,
                17..=21 => 1.0,
                _ => 0.5,
            };
            if rng.random_bool(day * hour) {
                break;
            }
        }
        at
    }
}

/// The start of the time range of a job; none if that is outside the calendar.
pub(in crate::seed) fn begins_at(until: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    until.checked_sub_months(Months::new(months))
}

/// Distributes the orders over the months, by season, growth and length.
pub(super) fn segments(
    begins_at: DateTime<Utc>,
    until: DateTime<Utc>,
    orders: i64,
) -> Vec<Segment> {
    let mut spans = Vec::new();
    let mut from = begins_at;
    while from < until {
        let end = month_start(from, 1).min(until);
        let length = (end - from).num_seconds() as f64;
        let weight = SEASON[from.month0() as usize] * GROWTH.powi(spans.len() as i32) * length;
        spans.push((from, end, weight));
        from = end;
    }
    let whole: f64 = spans.iter().map(|(_, _, weight)| weight).sum();
    let (mut passed, mut first) = (0.0, 0);
    spans
        .into_iter()
        .map(|(from, until, weight)| {
            passed += weight;
            // Round the running sum instead of each part, so that the parts add up to `orders`.
            let end = (orders as f64 * passed / whole).round() as i64;
            let segment = Segment {
                first,
                end,
                from,
                until,
            };
            first = end;
            segment
        })
        .collect()
}
