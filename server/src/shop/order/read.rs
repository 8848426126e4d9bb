//! Reads orders with their lines: pages, by id, whole partitions, with or without locks.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow, types::Json};
use stockroom_common::{Id, Order, partition::Family};
use uuid::Uuid;

use super::lines;
use crate::{
    http::error::Result,
    rows::{
        list::{self, KeyValue, ListRequest, select},
        table::Table,
    },
    store::{database::Connection, partitions::Partitions},
};

/// The orders of a page and, with a second statement, their lines. Both statements must see the same snapshot.
pub(super) async fn page_as_of_now(
    conn: &mut Connection,
    request: &ListRequest<Order>,
) -> Result<Vec<(Order, KeyValue)>> {
    let mut rows = select::page(conn, request).await?;
    let orders = rows.iter_mut().map(|(order, _)| order).collect();
    lines::attach(conn, orders).await?;
    Ok(rows)
}

/// Reads an order, directly from its partition if the name is known: planning the query over all partitions, and
/// locking them, would be most of the cost.
pub(super) async fn select_one(
    partitions: &Partitions,
    conn: &mut Connection,
    id: Id<Order>,
) -> Result<Option<Order>> {
    let Some(placed_at) = id.time() else {
        return Ok(None);
    };
    if let Some(suffix) = partitions.attached_suffix(Family::Orders, placed_at) {
        match select_from(conn, &format!("_{suffix}"), placed_at, id).await {
            // Another server has detached the partition, and may have attached it again since.
            Err(error) if error.is_missing_partition() => partitions.reload(conn).await?,
            found => return found,
        }
    }
    select_from(conn, "", placed_at, id).await
}

/// An order and its lines, in one statement and so from one snapshot. `suffix` names the partition; if it is empty, all
/// partitions are searched.
async fn select_from(
    conn: &mut Connection,
    suffix: &str,
    placed_at: DateTime<Utc>,
    id: Id<Order>,
) -> Result<Option<Order>> {
    let sql = format!(
        "select o.*, (
            select coalesce(jsonb_agg(to_jsonb(i) - 'placed_at' - 'order_id' order by i.line_no), '[]')
            from order_items{suffix} i
            -- Parameters, not the columns of o, so that the partitions are pruned here too.
            where i.placed_at = $1 and i.order_id = $2
        ) as items
        from orders{suffix} o where o.placed_at = $1 and o.id = $2"
    );
    let order = sqlx::query(AssertSqlSafe(sql))
        .bind(placed_at)
        .bind(id.uuid())
        .try_map(|row| with_items(&row))
        .fetch_optional(conn)
        .await?;
    Ok(order)
}

/// Reads an order from a row whose column `items` contains the lines as JSON.
fn with_items(row: &PgRow) -> sqlx::Result<Order> {
    let Json(items) = row.try_get("items")?;
    Ok(Order {
        items,
        ..Order::from_row(row)?
    })
}

/// The orders of one partition, from its two tables, sorted by time and id: at most `limit` orders after `after`.
pub(crate) async fn select_partition(
    conn: &mut Connection,
    [orders, items]: &[String; 2],
    after: Option<Id<Order>>,
    limit: u32,
) -> Result<Vec<Order>> {
    let sql = format!(
        "select o.*, (
            select coalesce(jsonb_agg(to_jsonb(i) - 'placed_at' - 'order_id' order by i.line_no), '[]')
            from {items} i where i.placed_at = o.placed_at and i.order_id = o.id
        ) as items
        from {orders} o
        where (o.placed_at, o.id) > (
            coalesce($1, '-infinity'::timestamptz),
            coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
        order by o.placed_at, o.id
        limit {limit}"
    );
    let orders = sqlx::query(AssertSqlSafe(sql))
        .bind(after.and_then(Id::time))
        .bind(after.map(Id::uuid))
        .try_map(|row| with_items(&row))
        .fetch_all(conn)
        .await?;
    Ok(orders)
}

/// Reads an order and locks it. Its lines are read by a second statement, after the lock is acquired: a statement that
/// waits for a lock sees all other rows as they were before the wait.
pub(super) async fn lock_one(conn: &mut Connection, id: Id<Order>) -> Result<Option<Order>> {
    let Some(placed_at) = id.time() else {
        return Ok(None);
    };
    let mut order = sqlx::query("select * from orders where placed_at = $1 and id = $2 for update")
        .bind(placed_at)
        .bind(id.uuid())
        .try_map(|row| Order::from_row(&row))
        .fetch_optional(&mut *conn)
        .await?;
    lines::attach(conn, order.iter_mut().collect()).await?;
    Ok(order)
}

/// Reads orders and locks them in id order.
pub(super) async fn lock_by_ids(conn: &mut Connection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    let locked = "select o.* from unnest($1::timestamptz[], $2::uuid[]) as wanted (placed_at, id)
        join orders o on o.placed_at = wanted.placed_at and o.id = wanted.id
        -- The join implies these bounds, but the planner prunes partitions only by them.
        where o.placed_at between $3 and $4
        order by o.id
        for update of o";
    select_by(conn, locked, ids).await
}

/// The times and ids of the orders, without ids that contain no time: no order has such an id.
fn keys(ids: &[Id<Order>]) -> (Vec<DateTime<Utc>>, Vec<Uuid>) {
    let keys = ids.iter().filter_map(|id| Some((id.time()?, id.uuid())));
    keys.unzip()
}

pub(super) async fn select_many(conn: &mut Connection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    if conn.is_in_transaction() {
        // The transaction of the caller, which has its own snapshot.
        return select_many_as_of_now(conn, ids).await;
    }
    let mut snapshot = conn.begin(list::SNAPSHOT).await?;
    let orders = select_many_as_of_now(&mut snapshot, ids).await?;
    snapshot.commit().await?;
    Ok(orders)
}

async fn select_many_as_of_now(conn: &mut Connection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    let wanted = "select o.* from unnest($1::timestamptz[], $2::uuid[]) as wanted (placed_at, id)
        join orders o on o.placed_at = wanted.placed_at and o.id = wanted.id
        -- The join implies these bounds, but the planner prunes partitions only by them.
        where o.placed_at between $3 and $4";
    select_by(conn, wanted, ids).await
}

/// Runs a statement that selects orders, and attaches their lines. Its parameters are the times and the ids of the
/// orders, and the earliest and the latest time.
async fn select_by(
    conn: &mut Connection,
    statement: &'static str,
    ids: &[Id<Order>],
) -> Result<Vec<Order>> {
    let (times, uuids) = keys(ids);
    let mut orders = sqlx::query(statement)
        .bind(&times)
        .bind(&uuids)
        .bind(times.iter().min())
        .bind(times.iter().max())
        .try_map(|row| Order::from_row(&row))
        .fetch_all(&mut *conn)
        .await?;
    lines::attach(conn, orders.iter_mut().collect()).await?;
    Ok(orders)
}
