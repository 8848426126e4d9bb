//! Encodes orders and their lines for COPY.

use std::collections::BTreeMap;

use stockroom_common::Order;

use crate::{
    http::error::Result,
    rows::table::Table,
    store::copy::{CopyRows, TableRows},
};

/// Encodes orders and their lines for the tables that `tables` returns for each order.
pub(crate) fn copy_to(
    orders: impl Iterator<Item = Order>,
    tables: impl Fn(&Order) -> Result<[String; 2]>,
) -> Result<Vec<TableRows>> {
    let mut by_tables: BTreeMap<[String; 2], (CopyRows, CopyRows)> = BTreeMap::new();
    for order in orders {
        let new = || (CopyRows::new(), CopyRows::new());
        let (rows, lines) = by_tables.entry(tables(&order)?).or_insert_with(new);
        rows.row(9)
            .time(order.placed_at)
            .uuid(order.id.uuid())
            .i64(order.version)
            .time(order.created_at)
            .time(order.updated_at)
            .uuid(order.customer_id.uuid())
            .text(order.status.as_str())
            .i64(order.total_minor)
            .text(&order.note);
        for item in &order.items {
            lines
                .row(6)
                .time(order.placed_at)
                .uuid(order.id.uuid())
                .i32(item.line_no)
                .uuid(item.product_id.uuid())
                .i32(item.quantity)
                .i64(item.unit_price_minor);
        }
    }
    let line_columns = "placed_at, order_id, line_no, product_id, quantity, unit_price_minor";
    let copied = by_tables
        .into_iter()
        .flat_map(|([orders, items], (rows, lines))| {
            [
                rows.finish(&orders, Order::COLUMNS),
                lines.finish(&items, line_columns),
            ]
        });
    Ok(copied.collect())
}
