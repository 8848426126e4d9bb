//! The lines of orders: reading, writing, prices and totals.

use std::collections::HashMap;

use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Id, Kind, NewOrder, NewOrderItem, Order, OrderItem, Product, order::check_total,
};
use uuid::Uuid;

use super::Prices;
use crate::{
    http::error::{Error, Result},
    store::database::Connection,
};

/// Fills in the lines of orders that were read without them.
pub(super) async fn attach(conn: &mut Connection, orders: Vec<&mut Order>) -> Result<()> {
    let times: Vec<_> = orders.iter().map(|order| order.placed_at).collect();
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.uuid()).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Ok(());
    };
    let query = if ids.len() == 1 {
        // With equality a prepared plan can prune partitions too. The join is for many orders.
        sqlx::query(
            "select * from order_items where placed_at = $1 and order_id = $2 order by line_no",
        )
        .bind(first)
        .bind(ids[0])
    } else {
        sqlx::query(
            "select i.* from unnest($1::timestamptz[], $2::uuid[]) as wanted (placed_at, order_id)
            join order_items i on i.placed_at = wanted.placed_at and i.order_id = wanted.order_id
            -- The join implies these bounds, but the planner prunes partitions only by them.
            where i.placed_at between $3 and $4
            order by i.line_no",
        )
        .bind(&times)
        .bind(&ids)
        .bind(first)
        .bind(last)
    };
    let mut by_order: HashMap<Uuid, Vec<OrderItem>> = HashMap::new();
    let rows = query
        .try_map(|row: PgRow| Ok((row.try_get("order_id")?, from_row(&row)?)))
        .fetch_all(conn)
        .await?;
    for (order_id, item) in rows {
        by_order.entry(order_id).or_default().push(item);
    }
    for order in orders {
        order.items = by_order.remove(&order.id.uuid()).unwrap_or_default();
    }
    Ok(())
}

fn from_row(row: &PgRow) -> sqlx::Result<OrderItem> {
    Ok(OrderItem {
        line_no: row.try_get("line_no")?,
        product_id: Id::new(row.try_get("product_id")?),
        quantity: row.try_get("quantity")?,
        unit_price_minor: row.try_get("unit_price_minor")?,
    })
}

/// Writes the lines of an order in one statement.
pub(super) async fn insert(
    conn: &mut Connection,
    order: &Order,
    items: &[OrderItem],
) -> Result<()> {
    let line_nos: Vec<i32> = items.iter().map(|item| item.line_no).collect();
    let products: Vec<Uuid> = items.iter().map(|item| item.product_id.uuid()).collect();
    let quantities: Vec<i32> = items.iter().map(|item| item.quantity).collect();
    let prices: Vec<i64> = items.iter().map(|item| item.unit_price_minor).collect();
    sqlx::query(
        "insert into order_items
            (placed_at, order_id, line_no, product_id, quantity, unit_price_minor)
        select $1, $2, line.* from unnest($3::int[], $4::uuid[], $5::int[], $6::bigint[]) as line",
    )
    .bind(order.placed_at)
    .bind(order.id.uuid())
    .bind(line_nos)
    .bind(products)
    .bind(quantities)
    .bind(prices)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut Connection, order: &Order) -> Result<()> {
    sqlx::query("delete from order_items where placed_at = $1 and order_id = $2")
        .bind(order.placed_at)
        .bind(order.id.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// The pieces that the lines of an order take; none if `holds` is false.
pub(super) fn wanted(order: &NewOrder, holds: bool) -> Vec<(Id<Product>, i64)> {
    let pieces = order.items.iter().filter(|_| holds);
    pieces
        .map(|item| (item.product_id, i64::from(item.quantity)))
        .collect()
}

/// Numbers the lines from 1, and fills in missing prices from the products.
pub(super) fn with_prices(items: &[NewOrderItem], prices: &Prices) -> Result<Vec<OrderItem>> {
    let with_prices = items.iter().zip(1..).map(|(item, line_no)| {
        let price = item
            .unit_price_minor
            .or_else(|| prices.get(&item.product_id).copied());
        let unit_price_minor = price.ok_or_else(|| not_found(items, item.product_id))?;
        Ok(OrderItem {
            line_no,
            product_id: item.product_id,
            quantity: item.quantity,
            unit_price_minor,
        })
    });
    with_prices.collect()
}

/// The sum of the lines, in minor units.
pub(super) fn total(items: &[OrderItem]) -> Result<i64> {
    check_total(items).map_err(|fault| Error::fields(Kind::Invalid, vec![fault]))
}

/// Whether new lines are equal to the stored ones. A price that is left out counts as equal.
pub(super) fn same(old: &[OrderItem], new: &[NewOrderItem]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| {
            let price = new.unit_price_minor.unwrap_or(old.unit_price_minor);
            (old.product_id, old.quantity, old.unit_price_minor)
                == (new.product_id, new.quantity, price)
        })
}

/// The refusal of lines that name a product that does not exist.
pub(super) fn not_found(items: &[NewOrderItem], product: Id<Product>) -> Error {
    let message = format!("there is no product {product}");
    Error::field(
        Kind::Invalid,
        &pointer(items, product, "product_id"),
        "not_found",
        message,
    )
}

/// The JSON pointer to a field of the first line that names the product.
pub(super) fn pointer(items: &[NewOrderItem], product: Id<Product>, field: &str) -> String {
    let index = items.iter().position(|item| item.product_id == product);
    match index {
        Some(index) => format!("/items/{index}/{field}"),
        None => "/items".into(),
    }
}
