//! Creates partitions. Orders (with their lines) and the change log are partitioned by time. Partitions are created
//! ahead of time, and on demand for an order with another date; the tables have no default partition.
//! The `archive` module archives and restores them.

pub(crate) mod archived;
pub(crate) mod catalogue;
mod interval;
pub(crate) mod lock;
pub(crate) mod policy;

use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use stockroom_common::partition::{Family, PartitionState};

use self::{
    catalogue::{Catalogue, PartitionInfo},
    lock::Mode,
    policy::Announced,
};
pub use self::{
    interval::Interval,
    policy::{Age, Retention},
};
use crate::{
    http::error::Result,
    store::database::{Connection, Pool},
};

type Instant = DateTime<Utc>;

/// The partitions as this server last read them; other servers may have changed them since.
#[derive(Debug)]
pub struct Partitions {
    interval: Interval,
    known: RwLock<Arc<Catalogue>>,
    pub(crate) announced: Announced,
}

/// What to do when rows need a partition that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// Refuse the rows: they would be alone in a month that once had others.
    Stays,
    /// Create it again, empty: the shop cannot work without it.
    ComesBack,
}

/// The partitioned tables of a family; the first gives the partition its name.
pub(crate) const fn tables(family: Family) -> &'static [&'static str] {
    match family {
        Family::Orders => &["orders", "order_items"],
        Family::Changes => &["changes"],
    }
}

/// The tables that the tables of a family refer to by foreign key. They must be locked whenever a partition is
/// attached or detached.
pub(crate) const fn referenced(family: Family) -> &'static [&'static str] {
    match family {
        Family::Orders => &["customers", "products"],
        Family::Changes => &[],
    }
}

impl Partitions {
    /// Reads the existing partitions.
    pub async fn load(pool: &Pool, interval: Interval) -> Result<Self> {
        let catalogue = Catalogue::read(&mut *pool.acquire().await?).await?;
        let known = RwLock::new(Arc::new(catalogue));
        Ok(Self {
            interval,
            known,
            announced: Announced::default(),
        })
    }

    /// Creates the partition of `now` and the next few, for every family. If one of them was deleted (only a wrong
    /// clock can have caused that), it is created again; if one was archived, the next sweep restores it.
    pub async fn make_ahead(&self, pool: &Pool, now: DateTime<Utc>) -> Result<()> {
        for family in Family::ALL {
            self.ensure_due(pool, family, now).await?;
            let mut at = now;
            for _ in 0..self.interval.ahead() {
                at = self.end_of(family, at);
                // Not fatal: a later sweep tries again before the partition is needed.
                if let Err(error) = self.ensure_due(pool, family, at).await {
                    tracing::warn!(%error, "a partition could not be created in advance");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Ensures that a partition for rows of the instant `at` is attached. If it must be created, this takes another
    /// connection from `pool`.
    ///
    /// # Errors
    /// 409 if the partition is archived or deleted.
    pub async fn ensure(&self, pool: &Pool, family: Family, at: DateTime<Utc>) -> Result<()> {
        if self.has(family, at) {
            return Ok(());
        }
        let catalogue =
            lock::with_lock_retry(|| self.make(pool, family, at, Dropped::Stays)).await?;
        self.replace(catalogue);
        Ok(())
    }

    /// Like [`Partitions::ensure`], for a partition that is needed now or soon: creates it again if it was deleted, and
    /// accepts an archived one, which the next sweep restores.
    async fn ensure_due(&self, pool: &Pool, family: Family, at: DateTime<Utc>) -> Result<()> {
        let known = self.known();
        match known.find(family, at).map(|partition| partition.state) {
            Some(PartitionState::Attached | PartitionState::Archived) => return Ok(()),
            Some(PartitionState::Dropped) | None => {}
        }
        let catalogue =
            lock::with_lock_retry(|| self.make(pool, family, at, Dropped::ComesBack)).await?;
        self.replace(catalogue);
        Ok(())
    }

    /// Ensures that all partitions of the time range are attached.
    ///
    /// # Errors
    /// See [`Partitions::ensure`].
    pub(crate) async fn ensure_all(
        &self,
        pool: &Pool,
        family: Family,
        instants: Range<DateTime<Utc>>,
    ) -> Result<()> {
        let mut at = instants.start;
        while at < instants.end {
            self.ensure(pool, family, at).await?;
            at = self.end_of(family, at);
        }
        Ok(())
    }

    /// The name suffix of the partition that holds `at`, archived ones included, as far as this server knows:
    /// `2026_11` for `orders_2026_11` and `order_items_2026_11`.
    pub(crate) fn suffix_of(&self, family: Family, at: DateTime<Utc>) -> Option<String> {
        let known = self.known();
        let partition = known.find(family, at)?;
        partition.is_plain().then(|| partition.suffix.clone())
    }

    /// Whether the partition for rows of that instant is attached, as far as this server knows.
    pub(crate) fn has(&self, family: Family, at: DateTime<Utc>) -> bool {
        let known = self.known();
        let partition = known.find(family, at);
        partition.is_some_and(|partition| partition.state == PartitionState::Attached)
    }

    /// Whether that instant has no partition, not even an archived or deleted one, as far as this server knows.
    pub(crate) fn is_unknown(&self, family: Family, at: DateTime<Utc>) -> bool {
        self.known().find(family, at).is_none()
    }

    /// Like [`Partitions::suffix_of`], but only if the partition is attached.
    pub(crate) fn attached_suffix(&self, family: Family, at: DateTime<Utc>) -> Option<String> {
        let known = self.known();
        let partition = known.find(family, at)?;
        let is_attached = partition.state == PartitionState::Attached;
        (is_attached && partition.is_plain()).then(|| partition.suffix.clone())
    }

    /// Reads the partitions again, after a statement has shown that the known ones are out of date.
    pub(crate) async fn reload(&self, conn: &mut Connection) -> Result<()> {
        self.replace(Catalogue::read(conn).await?);
        Ok(())
    }

    /// The end of the partition that holds `at`, or that would be created for it.
    fn end_of(&self, family: Family, at: Instant) -> Instant {
        let known = self.known();
        let partition = known.find(family, at);
        partition.map_or(self.interval.around(at).end, |partition| {
            partition.range.end
        })
    }

    /// Creates and attaches the partition for `at`, unless another server already has; returns the current catalogue.
    async fn make(
        &self,
        pool: &Pool,
        family: Family,
        at: Instant,
        dropped: Dropped,
    ) -> Result<Catalogue> {
        let mut transaction = pool.begin().await?;
        lock::lock_partition_ddl(&mut transaction).await?;
        // Read after the lock is taken: another server may have created the partition meanwhile.
        let catalogue = Catalogue::read(&mut transaction).await?;
        match catalogue.find(family, at) {
            Some(partition) if partition.state == PartitionState::Attached => {
                return Ok(catalogue);
            }
            Some(partition)
                if partition.state == PartitionState::Dropped && dropped == Dropped::ComesBack =>
            {
                tracing::warn!(
                    partition = partition.name(),
                    "a deleted partition is needed again; it is created empty"
                );
                forget_dropped(&mut transaction, partition).await?;
            }
            Some(partition) => return Err(partition.conflict_error()),
            None => {}
        }
        let (range, suffix) = match catalogue.find(family, at) {
            Some(partition) => (partition.range.clone(), partition.suffix.clone()),
            None => {
                let range = catalogue.gap_around(family, at, self.interval.around(at));
                let suffix = self.interval.suffix(&range);
                (range, suffix)
            }
        };
        // Created before the locks are taken, so that these are held only while the tables are attached.
        for table in tables(family) {
            execute(
                &mut transaction,
                &format!("create table {table}_{suffix} (like {table} including all)"),
            )
            .await?;
        }
        if family == Family::Orders {
            let key = format!(
                "alter table order_items_{suffix} add constraint order_items_{suffix}_order_fkey
                    foreign key (placed_at, order_id) references orders_{suffix} (placed_at, id)
                    on delete cascade"
            );
            execute(&mut transaction, &key).await?;
        }
        let referenced = referenced(family);
        lock::hold_off_vacuum(&mut transaction, tables(family)).await?;
        lock::hold_off_vacuum(&mut transaction, referenced).await?;
        let wanted = referenced.iter().map(|table| (*table, Mode::Writers));
        lock::take(&mut transaction, wanted.collect()).await?;
        attach(&mut transaction, family, &suffix, &range).await?;
        let catalogue = Catalogue::read(&mut transaction).await?;
        transaction.commit().await?;
        tracing::info!(partition = format!("{family}_{suffix}"), from = %range.start, to = %range.end, "made");
        Ok(catalogue)
    }

    pub(crate) fn known(&self) -> Arc<Catalogue> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn replace(&self, catalogue: Catalogue) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::new(catalogue);
    }
}

/// Attaches the tables of one partition. `create table … partition of` would instead lock out every reader of the
/// parent.
pub(crate) async fn attach(
    conn: &mut Connection,
    family: Family,
    suffix: &str,
    Range { start, end }: &Range<Instant>,
) -> Result<()> {
    let (start, end) = (start.to_rfc3339(), end.to_rfc3339());
    for table in tables(family) {
        let attach = format!(
            "alter table {table} attach partition {table}_{suffix}
                for values from ('{start}') to ('{end}')"
        );
        execute(conn, &attach).await?;
    }
    Ok(())
}

/// Removes a deleted partition from the list of partitions that must not be created again.
async fn forget_dropped(conn: &mut Connection, partition: &PartitionInfo) -> Result<()> {
    sqlx::query("delete from archived_partitions where name = $1 and state = 'dropped'")
        .bind(partition.name())
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn execute(conn: &mut Connection, statement: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(conn)
        .await?;
    Ok(())
}
