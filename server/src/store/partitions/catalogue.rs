//! The list of all partitions, read from PostgreSQL's catalogue and from the table `archived_partitions`.

use std::{collections::BTreeMap, ops::Range};

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Kind,
    partition::{Family, PartitionState},
};

use super::Instant;
use crate::{
    http::error::{Error, Result},
    store::database::Connection,
};

/// All partitions at one moment, by family and start. No two partitions of a family overlap, archived and deleted
/// ones included.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(BTreeMap<(Family, Instant), PartitionInfo>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    pub(crate) family: Family,
    /// The part of its table names that follows the parent's name and `_`.
    pub(crate) suffix: String,
    pub(crate) range: Range<Instant>,
    pub(crate) state: PartitionState,
}

impl Catalogue {
    pub(crate) async fn read(conn: &mut Connection) -> Result<Self> {
        let partitions = sqlx::query(
            r"select i.inhparent::regclass::text as family, c.relname::text as name,
                (bound.found)[1]::timestamptz as lower, (bound.found)[2]::timestamptz as upper,
                'attached' as state
            from pg_inherits i
            join pg_class c on c.oid = i.inhrelid,
            -- FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')
            lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $$'(.*)'.*'(.*)'$$) bound (found)
            where i.inhparent in ('orders'::regclass, 'changes'::regclass)
            union all
            select family, name, lower, upper, state from archived_partitions",
        )
        .try_map(|row: PgRow| PartitionInfo::from_row(&row))
        .fetch_all(conn)
        .await?;
        Ok(Self::of(partitions))
    }

    /// Reads only the archived and deleted partitions.
    pub(crate) async fn read_archived(conn: &mut Connection) -> Result<Self> {
        let partitions =
            sqlx::query("select family, name, lower, upper, state from archived_partitions")
                .try_map(|row: PgRow| PartitionInfo::from_row(&row))
                .fetch_all(conn)
                .await?;
        Ok(Self::of(partitions))
    }

    fn of(partitions: Vec<PartitionInfo>) -> Self {
        let by_start = partitions
            .into_iter()
            .map(|partition| ((partition.family, partition.range.start), partition));
        Self(by_start.collect())
    }

    /// The partition that holds the instant.
    pub(crate) fn find(&self, family: Family, at: Instant) -> Option<&PartitionInfo> {
        let (_, before) = self.0.range(..=(family, at)).next_back()?;
        (before.family == family && at < before.range.end).then_some(before)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&PartitionInfo> {
        self.0.values().find(|partition| partition.name() == name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &PartitionInfo> + Clone {
        self.0.values()
    }

    /// The part of `wanted` around `at` that no partition covers. No partition may hold `at` itself.
    pub(crate) fn gap_around(
        &self,
        family: Family,
        at: Instant,
        mut wanted: Range<Instant>,
    ) -> Range<Instant> {
        for partition in self.all().filter(|partition| partition.family == family) {
            if partition.range.end <= at {
                wanted.start = wanted.start.max(partition.range.end);
            } else {
                wanted.end = wanted.end.min(partition.range.start);
            }
        }
        wanted
    }
}

impl PartitionInfo {
    pub(crate) fn name(&self) -> String {
        format!("{}_{}", self.family, self.suffix)
    }

    /// Whether its name can be used in SQL unquoted. A partition that was attached by hand may have any name.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        !self.suffix.is_empty() && self.suffix.bytes().all(is_plain)
    }

    /// The names of its tables, in the order of [`super::tables`].
    pub(crate) fn tables(&self) -> impl Iterator<Item = String> {
        let parents = super::tables(self.family).iter();
        parents.map(|parent| format!("{parent}_{}", self.suffix))
    }

    /// The 409 for a row that belongs to this archived or deleted partition.
    pub(crate) fn conflict_error(&self) -> Error {
        let (name, from, to) = (self.name(), day(self.range.start), day(self.range.end));
        let what_to_do = match self.state {
            PartitionState::Dropped => "was deleted permanently",
            _ => "is archived; restore it first",
        };
        let message =
            format!("lies in partition {name} (from {from} to before {to}), which {what_to_do}");
        Error::field(Kind::Conflict, "/placed_at", "archived", message)
    }

    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let decode = |error: String| sqlx::Error::Decode(error.into());
        let family: String = row.try_get("family")?;
        let name: String = row.try_get("name")?;
        let state: String = row.try_get("state")?;
        let suffix = name.strip_prefix(&family).unwrap_or(&name);
        Ok(Self {
            family: family.parse().map_err(decode)?,
            suffix: suffix.trim_start_matches('_').into(),
            range: row.try_get("lower")?..row.try_get("upper")?,
            state: state.parse().map_err(decode)?,
        })
    }
}

/// The date of a partition bound; bounds are always at midnight UTC.
pub(crate) fn day(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    fn catalogue(ranges: &[(&str, &str)]) -> Catalogue {
        let partitions = ranges.iter().map(|(from, to)| PartitionInfo {
            family: Family::Orders,
            suffix: from.replace('-', "_"),
            range: at(from)..at(to),
            state: PartitionState::Attached,
        });
        Catalogue::of(partitions.collect())
    }

    #[test]
    fn an_instant_is_found_in_the_half_open_range_of_its_family() {
        let catalogue = catalogue(&[("2026-11-01", "2026-12-01")]);
        let finds = |family, instant| catalogue.find(family, instant).is_some();
        let (from, to) = (at("2026-11-01"), at("2026-12-01"));
        assert!(finds(Family::Orders, from));
        assert!(finds(
            Family::Orders,
            to - chrono::TimeDelta::milliseconds(1)
        ));
        assert!(!finds(Family::Orders, to));
        assert!(!finds(
            Family::Orders,
            from - chrono::TimeDelta::milliseconds(1)
        ));
        assert!(!finds(Family::Changes, from));
    }

    #[test]
    fn only_plain_names_may_stand_in_statements() {
        let named = |suffix: &str| PartitionInfo {
            suffix: suffix.into(),
            ..catalogue(&[("2026-11-01", "2026-12-01")])
                .all()
                .next()
                .unwrap()
                .clone()
        };
        assert!(named("2026_11").is_plain() && named("2026_w48").is_plain());
        for suffix in [
            "",
            "2026-11",
            "2026_11; drop table orders",
            "\"x\"",
            "Old",
            "é",
        ] {
            assert!(!named(suffix).is_plain(), "{suffix}");
        }
    }

    #[test]
    fn a_new_piece_gets_the_room_that_others_leave() {
        let catalogue = catalogue(&[("2026-11-30", "2026-12-07"), ("2026-12-15", "2026-12-16")]);
        let december = at("2026-12-01")..at("2027-01-01");
        let free = |instant| catalogue.gap_around(Family::Orders, at(instant), december.clone());
        assert_eq!(free("2026-12-10"), at("2026-12-07")..at("2026-12-15"));
        assert_eq!(free("2026-12-20"), at("2026-12-16")..at("2027-01-01"));
        let other = catalogue.gap_around(Family::Changes, at("2026-12-10"), december.clone());
        assert_eq!(other, december);
    }
}
