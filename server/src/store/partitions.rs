//! The keeper of the partitions: orders (with their lines) and the change log are cut by date. Pieces
//! are made ahead of time, and on demand for an order with another date; there is no default
//! partition. Taking old ones off and putting them back is a feature above: `archive`.

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

/// The partitions that this server has seen; others may have changed them since.
#[derive(Debug)]
pub struct Partitions {
    interval: Interval,
    known: RwLock<Arc<Catalogue>>,
    pub(crate) announced: Announced,
}

/// What becomes of a partition that was deleted and is wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// Rows of its time are refused, for they would stand alone in a month that had others.
    Stays,
    /// It is made anew: the shop cannot go on without it.
    ComesBack,
}

/// The tables of a family, the one that stands for it first.
pub(crate) const fn tables(family: Family) -> &'static [&'static str] {
    match family {
        Family::Orders => &["orders", "order_items"],
        Family::Changes => &["changes"],
    }
}

/// The tables that those refer to. Their locks are needed wherever a partition comes or goes.
pub(crate) const fn referenced(family: Family) -> &'static [&'static str] {
    match family {
        Family::Orders => &["customers", "products"],
        Family::Changes => &[],
    }
}

impl Partitions {
    /// Reads what partitions there are.
    pub async fn load(pool: &Pool, interval: Interval) -> Result<Self> {
        let catalogue = Catalogue::read(&mut *pool.acquire().await?).await?;
        let known = RwLock::new(Arc::new(catalogue));
        Ok(Self {
            interval,
            known,
            announced: Announced::default(),
        })
    }

    /// Makes the partition of `now` and the next few, of every family. One of them that was deleted, which only
    /// a wrong clock can have done, is made anew; one that was archived is restored by the next sweep.
    pub async fn make_ahead(&self, pool: &Pool, now: DateTime<Utc>) -> Result<()> {
        for family in Family::ALL {
            self.ensure_due(pool, family, now).await?;
            let mut at = now;
            for _ in 0..self.interval.ahead() {
                at = self.end_of(family, at);
                // There is time to try again before it is needed.
                if let Err(error) = self.ensure_due(pool, family, at).await {
                    tracing::warn!(%error, "a partition could not be made ahead");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes sure that rows of the instant `at` have a partition to go to. Takes a connection of
    /// its own where one has to be made.
    ///
    /// # Errors
    /// 409 where it is archived or dropped.
    pub async fn ensure(&self, pool: &Pool, family: Family, at: DateTime<Utc>) -> Result<()> {
        if self.has(family, at) {
            return Ok(());
        }
        let catalogue =
            lock::with_lock_retry(|| self.make(pool, family, at, Dropped::Stays)).await?;
        self.replace(catalogue);
        Ok(())
    }

    /// As [`Partitions::ensure`], of a partition that is needed now or soon.
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

    /// Makes sure of all partitions that rows of those instants go to.
    ///
    /// # Errors
    /// As [`Partitions::ensure`].
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

    /// The end of the name of the partition that holds `at`, as far as this server knows: such as
    /// `2026_11` for `orders_2026_11` and `order_items_2026_11`.
    pub(crate) fn suffix_of(&self, family: Family, at: DateTime<Utc>) -> Option<String> {
        let known = self.known();
        let partition = known.find(family, at)?;
        partition.is_plain().then(|| partition.suffix.clone())
    }

    /// Whether rows of that instant have a partition to go to, as far as this server knows.
    pub(crate) fn has(&self, family: Family, at: DateTime<Utc>) -> bool {
        let known = self.known();
        let partition = known.find(family, at);
        partition.is_some_and(|partition| partition.state == PartitionState::Attached)
    }

    /// Whether there is no partition for that instant, not even one that was taken off, as far as this server knows.
    pub(crate) fn is_unknown(&self, family: Family, at: DateTime<Utc>) -> bool {
        self.known().find(family, at).is_none()
    }

    /// As [`Partitions::suffix_of`], of one that is attached as far as this server knows.
    pub(crate) fn attached_suffix(&self, family: Family, at: DateTime<Utc>) -> Option<String> {
        let known = self.known();
        let partition = known.find(family, at)?;
        let is_attached = partition.state == PartitionState::Attached;
        (is_attached && partition.is_plain()).then(|| partition.suffix.clone())
    }

    /// Reads again what there is, where a statement found it otherwise.
    pub(crate) async fn reload(&self, conn: &mut Connection) -> Result<()> {
        self.replace(Catalogue::read(conn).await?);
        Ok(())
    }

    /// Where the partition ends that holds `at`, or would.
    fn end_of(&self, family: Family, at: Instant) -> Instant {
        let known = self.known();
        let partition = known.find(family, at);
        partition.map_or(self.interval.around(at).end, |partition| {
            partition.range.end
        })
    }

    async fn make(
        &self,
        pool: &Pool,
        family: Family,
        at: Instant,
        dropped: Dropped,
    ) -> Result<Catalogue> {
        let mut transaction = pool.begin().await?;
        lock::lock_partition_ddl(&mut transaction).await?;
        // Another server may have been first.
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
                    "a deleted partition is needed now; it is made anew, without the rows that it had"
                );
                forget_dropped(&mut transaction, partition).await?;
            }
            Some(partition) => return Err(partition.refuses()),
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

/// Attaches the tables of one partition. `partition of` would lock the parent against every reader.
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

/// Takes a deleted partition off the list of those that may not be made.
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
