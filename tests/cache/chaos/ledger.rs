//! What was acknowledged, and so what a reader may rely on and what must be there in the end.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use sqlx::PgPool;
use uuid::Uuid;

use super::load::STOCK;

/// Looks through the database: orders that were acknowledged and are not there, rows that only part of a write has
/// reached, partitions that were taken off.
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

/// The newest values of one thing that grows with each write: a version, a time, a count.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Known>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Acknowledged, and its tags deleted.
    pub(super) acknowledged: i64,
    /// Acknowledged, but its tags left to the relay.
    pub(super) deferred: Option<(i64, Instant)>,
    /// How many were deferred, of what is counted.
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
    /// What is known now; a read that starts after this must see it.
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
        // What was acknowledged whole later has ended what was left of it.
        let newest = known.acknowledged;
        known.deferred.take_if(|(deferred, _)| *deferred <= newest);
    }

    /// Counts one more. Two that are counted may have been written in the other order, so that one that
    /// was deferred is no part of what must be seen.
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
