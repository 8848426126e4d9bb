//! Records what was acknowledged: what readers may rely on, and what must be in the database at the end.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use sqlx::PgPool;
use uuid::Uuid;

use super::load::STOCK;

/// Searches the database for acknowledged orders that are missing, rows that only part of a write reached, and
/// detached partitions.
pub(super) async fn audit(pool: &PgPool, acknowledged: &[Uuid]) -> Vec<String> {
    let mut found = Vec::new();
    let there: i64 = sqlx::query_scalar("select count(*) from orders where id = any($1)")
        .bind(acknowledged)
        .fetch_one(pool)
        .await
        .unwrap();
    let lost = acknowledged.len() as i64 - there;
    if lost != 0 {
        found.push(format!(
            "lost: {lost} of {} acknowledged orders",
            acknowledged.len()
        ));
    }
    let stock = format!(
        "select count(*) from products where sku = 'ORDERED'
            and stock <> {STOCK} - (select coalesce(sum(quantity), 0) from order_items)"
    );
    for (what, sql) in [
        (
            "torn: orders whose total is not that of their lines",
            "select count(*) from orders o where total_minor is distinct from
                (select sum(quantity * unit_price_minor) from order_items i
                where i.placed_at = o.placed_at and i.order_id = o.id)",
        ),
        (
            "torn: orders without an entry in the log for each version",
            "select count(*) from orders o where version <>
                (select count(*) from changes where entity = 'order' and entity_id = o.id)",
        ),
        (
            "torn: entries of the log without their order",
            "select count(*) from changes where entity = 'order' and not exists
                (select from orders where id = entity_id)",
        ),
        ("torn: stock that does not fit the orders", stock.as_str()),
        (
            "dropped: partitions that were taken off",
            "select count(*) from archived_partitions",
        ),
    ] {
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(pool)
            .await
            .unwrap();
        if count > 0 {
            found.push(format!("{what}: {count}"));
        }
    }
    found
}

/// The newest values of something that grows with each write: a version, a time or a count.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Known>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The write was acknowledged and its tags were deleted.
    pub(super) acknowledged: i64,
    /// The write was acknowledged, but its tags are left to the relay.
    pub(super) deferred: Option<(i64, Instant)>,
    /// For counters: how many of the counted writes were deferred.
    late: i64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            acknowledged: i64::MIN,
            deferred: None,
            late: 0,
        }
    }
}

impl Ledger {
    /// The current values. A read that starts after this call must see them.
    pub(super) fn known(&self) -> Known {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledge(&self, value: i64, is_deferred: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_deferred {
            let earlier = known.deferred.map_or(i64::MIN, |(value, _)| value);
            known.deferred = Some((value.max(earlier), Instant::now()));
        } else {
            known.acknowledged = known.acknowledged.max(value);
        }
        // A later write whose tags were deleted has also invalidated what the deferred write left.
        let newest = known.acknowledged;
        known.deferred.take_if(|(deferred, _)| *deferred <= newest);
    }

    /// Counts one more write. Two writes may have been committed in either order, so a deferred write never adds to
    /// `acknowledged`.
    pub(super) fn count(&self, is_deferred: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_deferred {
            known.late += 1;
            known.deferred = Some((known.acknowledged.max(0) + known.late, Instant::now()));
        } else {
            known.acknowledged = known.acknowledged.max(0) + 1;
        }
    }
}
