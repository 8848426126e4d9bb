//! Stock that orders take and give back. Products are locked in id order, so that two orders cannot deadlock, and an
//! order is refused if the stock is too low.

use sqlx::{Row, postgres::PgRow};
use stockroom_common::{Id, Kind, NewOrderItem, Product};
use uuid::Uuid;

use super::{Prices, lines};
use crate::{
    http::error::{Error, Result},
    store::{
        cache::Tag,
        database::Connection,
        stock_moves::{Pieces, StockMoves, StockRow, StockRows},
        write::Write,
    },
};

/// Pieces that leave the stock, by product. A negative number returns pieces to the stock.
#[derive(Debug, Default)]
pub(super) struct Movement(Pieces);

impl Movement {
    /// The difference between the pieces that an order holds and those that it wants.
    pub(super) fn between(held: &[(Id<Product>, i64)], wanted: &[(Id<Product>, i64)]) -> Self {
        let mut pieces = Pieces::new();
        for (product, quantity) in wanted {
            *pieces.entry(*product).or_default() += quantity;
        }
        for (product, quantity) in held {
            *pieces.entry(*product).or_default() -= quantity;
        }
        pieces.retain(|_, quantity| *quantity != 0);
        Self(pieces)
    }
}

/// Moves the stock, and returns the prices for lines that name none.
///
/// # Errors
/// 422 if a product does not exist or is inactive, 409 if its stock is too low.
pub(super) async fn apply(
    write: &mut Write,
    items: &[NewOrderItem],
    Movement(pieces): Movement,
) -> Result<Prices> {
    let unpriced = items.iter().filter(|item| item.unit_price_minor.is_none());
    let mut products: Vec<Id<Product>> = unpriced.map(|item| item.product_id).collect();
    products.extend(pieces.keys());
    products.sort();
    products.dedup();
    if products.is_empty() {
        return Ok(Prices::new());
    }
    let movement = Movement(pieces);
    let price_of = |(product, row): (&Id<Product>, &StockRow)| (*product, row.price_minor);
    // In a write of many rows, all products are locked already, and the stock is written after the last row.
    if let Some(moves) = &mut write.stock {
        check(items, moves.rows(), &movement)?;
        moves.apply(&movement.0);
        let of_row = products.iter();
        let of_row = of_row.filter_map(|product| Some((product, moves.rows().get(product)?)));
        return Ok(of_row.map(price_of).collect());
    }
    let rows = lock(write.conn()?, &products).await?;
    check(items, &rows, &movement)?;
    take(write, &movement.0).await?;
    Ok(rows.iter().map(price_of).collect())
}

/// Locks the products of many orders, and begins to collect their stock movements for [`write_moved`].
pub(super) async fn begin(write: &mut Write, products: &[Id<Product>]) -> Result<()> {
    let rows = lock(write.conn()?, products).await?;
    write.stock = Some(StockMoves::new(rows));
    Ok(())
}

/// Writes the collected stock movements of many orders, once per product.
pub(super) async fn write_moved(write: &mut Write) -> Result<()> {
    match write.stock.take() {
        Some(moves) => take(write, &moves.into_moved()).await,
        None => Ok(()),
    }
}

/// Checks that the products have the stock that an order takes.
///
/// # Errors
/// 422 if a product does not exist or is inactive, 409 if its stock is too low.
pub(super) fn check(
    items: &[NewOrderItem],
    stock_rows: &StockRows,
    Movement(pieces): &Movement,
) -> Result<()> {
    for (&product, &quantity) in pieces {
        let Some(stock_row) = stock_rows.get(&product) else {
            return Err(lines::not_found(items, product));
        };
        if quantity > 0 && !stock_row.active {
            let pointer = lines::pointer(items, product, "product_id");
            let message = "the product is inactive and cannot be ordered";
            return Err(Error::field(Kind::Invalid, &pointer, "inactive", message));
        }
        if quantity > stock_row.stock {
            return Err(out_of_stock(items, product, stock_row.stock));
        }
    }
    Ok(())
}

/// Reads the products without locking them.
pub(super) async fn read(conn: &mut Connection, products: &[Id<Product>]) -> Result<StockRows> {
    let sql = "select id, price_minor, stock, active from products where id = any($1)";
    select(conn, sql, products).await
}

/// Reads the products and locks them in id order until the transaction ends.
pub(super) async fn lock(conn: &mut Connection, products: &[Id<Product>]) -> Result<StockRows> {
    let sql = "select id, price_minor, stock, active from products
        where id = any($1)
        order by id
        -- Not `for update`, which would block inserts of lines whose foreign keys refer to the row.
        for no key update";
    select(conn, sql, products).await
}

async fn select(
    conn: &mut Connection,
    sql: &'static str,
    products: &[Id<Product>],
) -> Result<StockRows> {
    let ids: Vec<Uuid> = products.iter().map(|product| product.uuid()).collect();
    let stock_rows = sqlx::query(sql)
        .bind(ids)
        .try_map(|row: PgRow| {
            let stock_row = StockRow {
                price_minor: row.try_get("price_minor")?,
                stock: row.try_get("stock")?,
                active: row.try_get("active")?,
            };
            Ok((Id::new(row.try_get("id")?), stock_row))
        })
        .fetch_all(conn)
        .await?;
    Ok(stock_rows.into_iter().collect())
}

async fn take(write: &mut Write, pieces: &Pieces) -> Result<()> {
    if pieces.is_empty() {
        return Ok(());
    }
    let (at, ids) = (write.at, pieces.keys().map(|product| product.uuid()));
    let ids: Vec<Uuid> = ids.collect();
    let quantities: Vec<i64> = pieces.values().copied().collect();
    let moved = sqlx::query(
        "update products p
        set stock = p.stock - moved.quantity, version = p.version + 1, updated_at = $3
        from unnest($1::uuid[], $2::bigint[]) as moved (id, quantity)
        where p.id = moved.id and p.stock >= moved.quantity",
    )
    .bind(&ids)
    .bind(&quantities)
    .bind(at)
    .execute(write.conn()?)
    .await?
    .rows_affected();
    if moved != ids.len() as u64 {
        // The rows are locked and were checked, so only a broken invariant can lead here.
        return Err(Error::refused(
            Kind::Conflict,
            "The stock has just changed. Try again.",
        ));
    }
    for product in pieces.keys() {
        write.touch(Tag::row(*product));
    }
    write.touch(Tag::list::<Product>());
    Ok(())
}

fn out_of_stock(items: &[NewOrderItem], product: Id<Product>, stock: i64) -> Error {
    let pointer = lines::pointer(items, product, "quantity");
    let message = format!("only {stock} left in stock");
    Error::field(Kind::Conflict, &pointer, "out_of_stock", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_difference_moves() {
        let [a, b, c] = [1, 2, 3].map(|n| Id::<Product>::new(Uuid::from_u128(n)));
        let movement = Movement::between(&[(a, 2), (b, 1), (c, 5)], &[(a, 1), (a, 1), (b, 4)]);
        assert_eq!(movement.0, Pieces::from([(b, 3), (c, -5)]));
    }
}
