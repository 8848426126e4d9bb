//! The cache tags of pages of orders. A page depends only on the months from which it is read, so a write today leaves
//! the cached pages of older months valid.

use chrono::{DateTime, Duration, Months, Utc};
use stockroom_common::{Count, Order, OrderFilter};

use crate::{
    http::cursor::Direction,
    process::clock::month_start,
    rows::list::{KeyValue, ListRequest},
    store::cache::Tag,
};

/// Maximum months with a tag each. A page that is read from more months depends on all orders.
const MAX_MONTHS: u32 = 24;

/// The time range from which a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MonthRange {
    /// Where the reading starts; `None` for the oldest order.
    start: Option<DateTime<Utc>>,
    /// Where the reading stops at the latest, because of the request or because no orders exist beyond.
    stop: Option<DateTime<Utc>>,
    goes_back: bool,
}

/// The tags that a page of orders may depend on, before it is read.
pub(super) fn tags(request: &ListRequest<Order>, now: DateTime<Utc>) -> Vec<Tag> {
    if let Some(customer) = request.filter.customer_id {
        return vec![Tag::orders_of(customer), Tag::list::<Order>()];
    }
    let mut tags = vec![Tag::all_orders()];
    if request.count != Count::Exact {
        tags.extend(
            MonthRange::of(request, now)
                .months()
                .into_iter()
                .map(Tag::orders_in),
        );
    }
    tags
}

/// The tags of a page that was read up to an order placed at `end`; `end` is `None` if the list ended with the page.
pub(super) fn dependency_tags(
    request: &ListRequest<Order>,
    now: DateTime<Utc>,
    end: Option<&KeyValue>,
) -> Vec<Tag> {
    let everything = || vec![Tag::all_orders()];
    if request.filter.customer_id.is_some() {
        return tags(request, now);
    }
    if request.count == Count::Exact {
        return everything();
    }
    let span = MonthRange::of(request, now);
    let end = match end {
        Some(KeyValue::Time(at)) => Some(*at),
        _ => span.stop,
    };
    let months = end.and_then(|end| span.tags_until(end));
    months.unwrap_or_else(everything)
}

impl MonthRange {
    fn of(request: &ListRequest<Order>, now: DateTime<Utc>) -> Self {
        // Orders are placed at most one day ahead, and answers are cached for minutes: the next month is enough.
        let newest = month_start(now, 1);
        let OrderFilter {
            placed_from,
            placed_before,
            ..
        } = request.filter;
        let minute = request.search.as_ref().and_then(|text| {
            let number: stockroom_common::order::OrderNumber = text.parse().ok()?;
            Some(number.minute())
        });
        let cursor = request.cursor_key().and_then(|key| match key {
            KeyValue::Time(at) => Some(at),
            _ => None,
        });
        let oldest = [placed_from, minute].into_iter().flatten().max();
        let before = [
            placed_before,
            minute.map(|minute| minute + Duration::minutes(1)),
        ];
        let newest = before.into_iter().flatten().chain([newest]).min();
        let goes_back = request.descending == (request.direction() == Direction::Forward);
        if goes_back {
            let start = newest.into_iter().chain(cursor).min();
            return Self {
                start,
                stop: oldest,
                goes_back,
            };
        }
        let start = oldest.into_iter().chain(cursor).max();
        Self {
            start,
            stop: newest,
            goes_back,
        }
    }

    /// The months from which the page may be read, in reading order, at most [`MAX_MONTHS`].
    fn months(self) -> Vec<DateTime<Utc>> {
        let Some(start) = self.start else {
            return Vec::new();
        };
        let (first, stop) = (month_start(start, 0), self.stop);
        let month = |months| {
            if self.goes_back {
                first.checked_sub_months(Months::new(months))
            } else {
                first.checked_add_months(Months::new(months))
            }
        };
        let is_within = |month: &DateTime<Utc>| match stop {
            Some(stop) if self.goes_back => *month >= month_start(stop, 0),
            Some(stop) => *month <= stop,
            None => true,
        };
        (0..MAX_MONTHS)
            .map_while(month)
            .take_while(is_within)
            .collect()
    }

    /// The tags of the months from the start to `end`; `None` if these are more than [`MAX_MONTHS`].
    fn tags_until(self, end: DateTime<Utc>) -> Option<Vec<Tag>> {
        let (months, end) = (self.months(), month_start(end, 0));
        let last = months.iter().position(|month| *month == end)?;
        Some(
            months[..=last]
                .iter()
                .copied()
                .map(Tag::orders_in)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}T10:00:00Z").parse().unwrap()
    }

    fn span(start: Option<&str>, stop: Option<&str>, goes_back: bool) -> MonthRange {
        MonthRange {
            start: start.map(at),
            stop: stop.map(at),
            goes_back,
        }
    }

    fn names(tags: Option<Vec<Tag>>) -> String {
        let tags = tags.unwrap_or_default();
        tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_page_depends_on_the_months_that_it_was_read_from() {
        let newest = span(Some("2026-12-01"), None, true);
        assert_eq!(
            names(newest.tags_until(at("2026-10-31"))),
            "orders:2026-12 orders:2026-11 orders:2026-10"
        );
        let oldest_first = span(Some("2026-01-31"), Some("2026-12-01"), false);
        assert_eq!(
            names(oldest_first.tags_until(at("2026-03-01"))),
            "orders:2026-01 orders:2026-02 orders:2026-03"
        );
    }

    #[test]
    fn what_lies_beyond_the_watched_months_cannot_be_told_apart() {
        let newest = span(Some("2026-12-01"), None, true);
        assert_eq!(newest.months().len(), 24);
        assert_eq!(newest.tags_until(at("2024-12-31")), None);
        assert!(newest.tags_until(at("2025-01-01")).is_some());
        // Starts at the oldest order, whose month is unknown.
        assert!(span(None, None, false).months().is_empty());
    }

    #[test]
    fn a_window_ends_the_months() {
        let window = span(Some("2026-05-01"), Some("2026-04-15"), true);
        assert_eq!(window.months().len(), 2);
        assert_eq!(
            names(window.tags_until(at("2026-04-15"))),
            "orders:2026-05 orders:2026-04"
        );
        let empty = span(Some("2026-03-01"), Some("2026-04-15"), true);
        assert!(empty.months().is_empty());
    }
}
