//! How long partitions stay attached, and what becomes of them then.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Days, Months, Utc};
use stockroom_common::partition::{Family, PartitionState};

use super::{archive, catalogue::Piece};
use crate::{database::Connection, error::Result, extract::Actor, state::AppState};

/// Written `keep`, `archive:36m` or `drop:90d`; the unit is `d`, `w` or `m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    Keep,
    /// Taken off once all of it is that old.
    Archive(Age),
    /// Taken off and deleted, one that was archived before as well.
    Drop(Age),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Days(u32),
    Weeks(u32),
    Months(u32),
}

impl Age {
    /// The instant that is so long before `now`; none where the calendar ends.
    fn before(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Days(days) => now.checked_sub_days(Days::new(days.into())),
            Self::Weeks(weeks) => now.checked_sub_days(Days::new(u64::from(weeks) * 7)),
            Self::Months(months) => now.checked_sub_months(Months::new(months)),
        }
    }
}

/// Partitions that one sweep deletes at the most: whoever sees a policy delete what it should not has time to
/// stop it.
const MAX_DROPS: usize = 2;

/// Partitions that were said to be deleted with the next sweep.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<BTreeSet<String>>);

impl Announced {
    /// Whether it was said before that this one will be deleted; from now on it was.
    fn announce(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !names.insert(name.to_owned())
    }

    fn forget(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(name);
    }
}

/// Archives or drops what has come of age. One that cannot go now is tried again with the next sweep.
pub(super) async fn sweep(state: &AppState) -> Result<()> {
    let actor = Actor("retention".into());
    let policies = [
        (Family::Orders, state.options.orders_retention),
        (Family::Changes, state.options.changes_retention),
    ];
    let mut conn = state.database.background.acquire().await?;
    state.partitions.reload(&mut conn).await?;
    let now = present(&mut conn, state.options.clock.now()).await?;
    drop(conn);
    let Some(now) = now else { return Ok(()) };
    let known = state.partitions.known();
    for (name, policy) in due(known.pieces(), &policies, now) {
        let is_drop = matches!(policy, Retention::Drop(_));
        if is_drop && !state.partitions.announced.announce(&name) {
            tracing::warn!(
                partition = name,
                %policy,
                "has come of age and will be deleted in an hour, unless the policy is changed"
            );
            continue;
        }
        let mut gone = archive::archive(state, &actor, &name).await;
        if gone.is_ok() && is_drop {
            gone = archive::delete(state, &actor, &name).await;
        }
        match gone {
            Ok(_) => state.partitions.announced.forget(&name),
            Err(error) => tracing::warn!(partition = name, %error, "not taken off yet"),
        }
    }
    Ok(())
}

/// The partitions that a sweep takes off, the oldest of each family first, with the policy that says so.
fn due<'p>(
    pieces: impl Iterator<Item = &'p Piece> + Clone,
    policies: &[(Family, Retention)],
    now: DateTime<Utc>,
) -> Vec<(String, Retention)> {
    let mut due = Vec::new();
    for &(family, policy) in policies {
        let (Retention::Archive(age) | Retention::Drop(age)) = policy else {
            continue;
        };
        let of_age = pieces.clone().filter(|piece| {
            let is_old = age
                .before(now)
                .is_some_and(|limit| piece.range.end <= limit);
            // A partition that is to be dropped may be archived already, by hand or by an earlier sweep.
            let is_due = match policy {
                Retention::Drop(_) => piece.state != PartitionState::Dropped,
                _ => piece.state == PartitionState::Attached,
            };
            piece.family == family && is_due && is_old
        });
        due.extend(of_age.map(|piece| (piece.name(), policy)));
    }
    let mut drops = 0;
    due.retain(|(_, policy)| {
        drops += usize::from(matches!(policy, Retention::Drop(_)));
        !matches!(policy, Retention::Drop(_)) || drops <= MAX_DROPS
    });
    due
}

/// The instant that ages are counted from: never later than the clock of the database, or than the last
/// change of the shop. A clock that is ahead, be it of both, must not make anything old; a shop in which nothing
/// happens keeps what it has.
async fn present(conn: &mut Connection, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let (last, database): (Option<DateTime<Utc>>, DateTime<Utc>) =
        sqlx::query_as("select (select max(at) from changes), clock_timestamp()")
            .fetch_one(conn)
            .await?;
    Ok(last.map(|last| last.min(database).min(now)))
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is no retention; write keep, or archive: or drop: and an age such as 90d, 12w or 36m"
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
    fn a_sweep_drops_two_partitions_at_most_and_archives_any_number() {
        let at = |month: u32| -> DateTime<Utc> {
            format!("2020-{month:02}-01T00:00:00Z").parse().unwrap()
        };
        let piece = |family, month, state| Piece {
            family,
            suffix: format!("2020_{month:02}"),
            range: at(month)..at(month + 1),
            state,
        };
        let mut pieces = Vec::new();
        for month in 1..=6 {
            pieces.push(piece(Family::Changes, month, PartitionState::Attached));
            pieces.push(piece(Family::Orders, month, PartitionState::Attached));
        }
        pieces[0].state = PartitionState::Dropped;
        let now = at(6);
        let names = |orders, changes| -> Vec<String> {
            let policies = [(Family::Orders, orders), (Family::Changes, changes)];
            let due = due(pieces.iter(), &policies, now).into_iter();
            due.map(|(name, _)| name).collect()
        };
        let day = Age::Days(1);
        let drop_one_by_one = names(Retention::Keep, Retention::Drop(day));
        assert_eq!(drop_one_by_one, ["changes_2020_02", "changes_2020_03"]);
        let both = names(Retention::Drop(day), Retention::Drop(day));
        assert_eq!(both, ["orders_2020_01", "orders_2020_02"], "two in all");
        // The month that ends now is not a day old, and the one that begins now even less.
        assert_eq!(names(Retention::Archive(day), Retention::Keep).len(), 4);
        assert_eq!(names(Retention::Keep, Retention::Keep), [""; 0]);
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
