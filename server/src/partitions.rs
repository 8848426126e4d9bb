//! The keeper of the partitions: months of orders (with their lines) and of the change log are made
//! ahead of time, and on demand for an order with an older date. There is no default partition.

use std::{collections::BTreeMap, sync::RwLock, time::Duration};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row, postgres::PgRow};

use crate::error::{Error, Result};

/// Months that are made before they begin.
const AHEAD: u32 = 4;
/// Attaching waits for locks that a busy table may hold; it gives way and tries again, so that it
/// never makes others wait for longer than this.
const LOCK_TIMEOUT: &str = "100ms";
/// A vacuum only gives way to one who waits for longer than PostgreSQL's deadlock_timeout (1 s), and
/// it may take minutes: from this attempt on it is asked to.
const PATIENT_FROM: u32 = 20;
const PATIENT_LOCK_TIMEOUT: &str = "1500ms";
const ATTEMPTS: u32 = 50;
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Held while partitions are made, so that servers take turns ("partitio" in ASCII).
const ADVISORY_LOCK: i64 = 0x7061_7274_6974_696f;

type Instant = DateTime<Utc>;

/// Tables that are cut at the same instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Orders,
    Changes,
}

/// The partitions that this server has seen; others may have made more.
#[derive(Debug, Default)]
pub struct Partitions {
    /// Where each begins and where it ends.
    known: RwLock<BTreeMap<(Family, Instant), Instant>>,
}

impl Family {
    const ALL: [Self; 2] = [Self::Orders, Self::Changes];

    /// The parent whose partitions stand for those of the whole family.
    const fn parent(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Changes => "changes",
        }
    }

    /// What makes the partition of the month `{m}`, bounds `{from}` to `{to}`, statement by
    /// statement. `partition of` would lock the parent against every reader; `attach` does not.
    const fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &[
                "create table orders_{m} (like orders including all)",
                "create table order_items_{m} (like order_items including all)",
                "alter table order_items_{m} add constraint order_items_{m}_order_fkey
                    foreign key (placed_at, order_id) references orders_{m} (placed_at, id)
                    on delete cascade",
                "alter table orders attach partition orders_{m} for values from ('{from}') to ('{to}')",
                "alter table order_items
                    attach partition order_items_{m} for values from ('{from}') to ('{to}')",
            ],
            Self::Changes => &[
                "create table changes_{m} (like changes including all)",
                "alter table changes attach partition changes_{m} for values from ('{from}') to ('{to}')",
            ],
        }
    }
}

impl Partitions {
    /// Reads what partitions there are.
    pub async fn load(pool: &PgPool) -> Result<Self> {
        let partitions = Self::default();
        let mut conn = pool.acquire().await?;
        for family in Family::ALL {
            for (from, to) in read_bounds(&mut conn, family).await? {
                partitions.remember(family, from, to);
            }
        }
        Ok(partitions)
    }

    /// Makes the month of `now` and the next few, of every family.
    pub async fn make_ahead(&self, pool: &PgPool, now: DateTime<Utc>) -> Result<()> {
        for family in Family::ALL {
            self.ensure(pool, family, now).await?;
            for months in 1..=AHEAD {
                // There is time to try again before it is needed.
                let begin = month_start(now, months);
                if let Err(error) = self.ensure(pool, family, begin).await {
                    tracing::warn!(%error, "a partition could not be made ahead");
                }
            }
        }
        Ok(())
    }

    /// Makes sure that rows of the instant `at` have a partition to go to. Takes a connection of
    /// its own where one has to be made.
    pub async fn ensure(&self, pool: &PgPool, family: Family, at: DateTime<Utc>) -> Result<()> {
        if self.covers(family, at) {
            return Ok(());
        }
        let (from, to) = (month_start(at, 0), month_start(at, 1));
        let mut attempt = 0;
        loop {
            let lock_timeout = match attempt {
                ..PATIENT_FROM => LOCK_TIMEOUT,
                _ => PATIENT_LOCK_TIMEOUT,
            };
            match make(pool, family, (from, to), lock_timeout).await {
                Ok(()) => {
                    self.remember(family, from, to);
                    return Ok(());
                }
                Err(error) if attempt < ATTEMPTS && is_lock_timeout(&error) => {
                    attempt += 1;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn covers(&self, family: Family, at: DateTime<Utc>) -> bool {
        let known = self
            .known
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = known
            .range((family, DateTime::<Utc>::MIN_UTC)..=(family, at))
            .next_back();
        before.is_some_and(|(_, to)| at < *to)
    }

    fn remember(&self, family: Family, from: DateTime<Utc>, to: DateTime<Utc>) {
        let mut known = self
            .known
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        known.insert((family, from), to);
    }
}

/// The first instant of the month of `at`, or of the month that many later.
pub(crate) fn month_start(at: DateTime<Utc>, months_later: u32) -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(at.year(), at.month(), 1).unwrap_or_default();
    (first + Months::new(months_later))
        .and_time(chrono::NaiveTime::MIN)
        .and_utc()
}

/// The name of the month's partition of `parent`, such as `orders_2026_11`.
pub(crate) fn partition_name(parent: &str, at: DateTime<Utc>) -> String {
    format!("{parent}_{}", at.format("%Y_%m"))
}

async fn make(
    pool: &PgPool,
    family: Family,
    (from, to): (Instant, Instant),
    lock_timeout: &str,
) -> Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query("select set_config('lock_timeout', $1, true)")
        .bind(lock_timeout)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut *transaction)
        .await?;
    // Another server may have been first.
    if read_bounds(&mut transaction, family)
        .await?
        .contains(&(from, to))
    {
        return Ok(());
    }
    for statement in family.statements() {
        let sql = statement
            .replace("{m}", &from.format("%Y_%m").to_string())
            .replace("{from}", &from.to_rfc3339())
            .replace("{to}", &to.to_rfc3339());
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    tracing::info!(parent = family.parent(), %from, "partition made");
    Ok(())
}

/// Reads the bounds of a family's partitions from the catalogue.
async fn read_bounds(
    conn: &mut PgConnection,
    family: Family,
) -> Result<Vec<(DateTime<Utc>, DateTime<Utc>)>> {
    let bounds = sqlx::query(
        r"select (bound.found)[1]::timestamptz, (bound.found)[2]::timestamptz
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid,
        -- FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')
        lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $$'(.*)'.*'(.*)'$$) bound (found)
        where i.inhparent = $1::regclass",
    )
    .bind(family.parent())
    .try_map(|row: PgRow| Ok((row.try_get(0)?, row.try_get(1)?)))
    .fetch_all(conn)
    .await?;
    Ok(bounds)
}

fn is_lock_timeout(error: &Error) -> bool {
    let Error::Database(error) = error else {
        return false;
    };
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == "55P03" || code == "40P01")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn months_begin_at_midnight_utc() {
        let instant = at("2026-11-24T09:30:00Z");
        assert_eq!(month_start(instant, 0), at("2026-11-01T00:00:00Z"));
        assert_eq!(month_start(instant, 3), at("2027-02-01T00:00:00Z"));
        assert_eq!(partition_name("orders", instant), "orders_2026_11");
    }

    #[test]
    fn an_instant_is_covered_by_the_half_open_range_of_its_family() {
        let partitions = Partitions::default();
        let (from, to) = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        partitions.remember(Family::Orders, from, to);
        assert!(partitions.covers(Family::Orders, from));
        assert!(partitions.covers(Family::Orders, at("2026-11-30T23:59:59.999Z")));
        assert!(!partitions.covers(Family::Orders, to));
        assert!(!partitions.covers(Family::Orders, at("2026-10-31T23:59:59Z")));
        assert!(!partitions.covers(Family::Changes, from));
    }
}
