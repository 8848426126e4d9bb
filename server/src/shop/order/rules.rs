//! The rules for orders that the table does not check: when an order may be placed, which id it may have, how it may
//! change.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use stockroom_common::{
    Id, Kind, NewOrder, Order, OrderStatus, Product, document, partition::Family,
};

use super::{
    lines,
    stock::{self, Movement},
};
use crate::{
    http::error::{Error, Result},
    rows::entity::Prepare,
    store::{Store, database::Connection, log, write::Write},
};

/// The time at which a new order is placed: the given time, or now, truncated to milliseconds.
pub(super) fn placed_at(write: &Write, given: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    let at = given.unwrap_or(write.at).trunc_subsecs(3);
    if !may_be_placed(&write.store, write.at, at) {
        let first = write.store.options.orders_from;
        let message = format!(
            "is {at}; it must be from {} to one day from now",
            first.format("%Y-%m-%d")
        );
        return Err(Error::field(
            Kind::Invalid,
            "/placed_at",
            "out_of_range",
            message,
        ));
    }
    Ok(at)
}

pub(crate) fn may_be_placed(store: &Store, now: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    (store.options.orders_from..=now + Duration::days(1)).contains(&at)
}

/// Creates the partition of an order, unless the order would be refused: a refusal must leave no partition behind.
/// [`Prepare::Check`] never creates one. Returns whether the order has no partition so far. The data checked here may
/// change before the order is written, so the write applies the rules again.
pub(super) async fn make_partition(
    store: &Store,
    placed_at: DateTime<Utc>,
    (id, new): (Option<Id<Order>>, &NewOrder),
    how: Prepare,
) -> Result<bool> {
    let (partitions, pool) = (&store.partitions, &store.database.background);
    if partitions.has(Family::Orders, placed_at) {
        return Ok(false);
    }
    refuse_early(&mut *pool.acquire().await?, id, new).await?;
    if how == Prepare::Create || !partitions.is_unknown(Family::Orders, placed_at) {
        partitions.ensure(pool, Family::Orders, placed_at).await?;
    }
    Ok(true)
}

async fn refuse_early(conn: &mut Connection, id: Option<Id<Order>>, new: &NewOrder) -> Result<()> {
    allow_first_status(conn, id, new).await?;
    let has_customer: bool =
        sqlx::query_scalar("select exists (select from customers where id = $1)")
            .bind(new.customer_id.uuid())
            .fetch_one(&mut *conn)
            .await?;
    if !has_customer {
        let message = "there is no such customer";
        return Err(Error::field(
            Kind::Invalid,
            "/customer_id",
            "not_found",
            message,
        ));
    }
    let products: Vec<Id<Product>> = new.items.iter().map(|item| item.product_id).collect();
    let stock_rows = stock::read(conn, &products).await?;
    let wanted = lines::wanted(new, new.status.gives_back_on_delete());
    stock::check(&new.items, &stock_rows, &Movement::between(&[], &wanted))?;
    let prices = stock_rows.iter().map(|(id, row)| (*id, row.price_minor));
    lines::total(&lines::with_prices(&new.items, &prices.collect())?)?;
    Ok(())
}

/// Checks that an id chosen by the caller is one that the server could have minted.
pub(super) fn given_id(
    write: &Write,
    id: Id<Order>,
    given: Option<DateTime<Utc>>,
) -> Result<Id<Order>> {
    let minted_for = id.time().ok_or_else(|| {
        let message = "must be a UUIDv7: the id of an order has the time it was placed";
        Error::field(Kind::Invalid, "", "invalid_id", message)
    })?;
    placed_at(write, Some(minted_for))?;
    if given.is_some_and(|given| given.trunc_subsecs(3) != minted_for) {
        let message = format!("must be {minted_for}, the time in the order's id");
        return Err(Error::field(
            Kind::Invalid,
            "/placed_at",
            "mismatch",
            message,
        ));
    }
    Ok(id)
}

/// The refusal of an order whose partition existed a moment ago: another server has archived it since.
pub(super) async fn partition_gone(write: &mut Write, placed_at: DateTime<Utc>) -> Result<Error> {
    write.abandon().await?;
    let store = &write.store;
    store
        .partitions
        .reload(&mut *store.database.background.acquire().await?)
        .await?;
    let made = store
        .partitions
        .ensure(&store.database.background, Family::Orders, placed_at);
    Ok(made.await.err().unwrap_or_else(|| {
        let detail = "The partition of the order has just changed. Try again.";
        Error::refused(Kind::Unavailable, detail)
    }))
}

/// New orders are pending. Only an order that is brought back may have another status: the one that it had when it was
/// deleted, and then only with the same lines.
pub(super) async fn allow_first_status(
    conn: &mut Connection,
    given: Option<Id<Order>>,
    new: &NewOrder,
) -> Result<()> {
    let status = new.status;
    if status == OrderStatus::Pending {
        return Ok(());
    }
    let last = match given {
        Some(id) => log::last_of(conn, id).await?,
        None => None,
    };
    let before = last.and_then(|(_, before)| document::from_value::<Order>(&before?).ok());
    match before.filter(|order| order.status == status) {
        Some(order) if lines::same(&order.items, &new.items) => Ok(()),
        Some(_) => {
            let message = format!("cannot change: the order is {status}");
            Err(Error::field(Kind::Invalid, "/items", "immutable", message))
        }
        None => {
            let message = format!("is `{status}`; a new order is `pending`");
            Err(Error::field(
                Kind::Invalid,
                "/status",
                "illegal_transition",
                message,
            ))
        }
    }
}

/// Checks what may change after an order was placed.
pub(super) fn allow_update(old: &Order, new: &NewOrder) -> Result<()> {
    let refuse =
        |pointer, code, message: String| Err(Error::field(Kind::Invalid, pointer, code, message));
    if new
        .placed_at
        .is_some_and(|at| at.trunc_subsecs(3) != old.placed_at)
    {
        return refuse(
            "/placed_at",
            "immutable",
            "cannot change after the order was placed".into(),
        );
    }
    if new.status != old.status && !old.status.may_become(new.status) {
        let next: Vec<_> = old
            .status
            .successors()
            .iter()
            .map(|next| next.as_str())
            .collect();
        let next = match next.as_slice() {
            [] => "nothing else".to_owned(),
            next => next.join(" or "),
        };
        let message = format!(
            "cannot become `{}`: a {} order becomes {next}",
            new.status, old.status
        );
        return refuse("/status", "illegal_transition", message);
    }
    if old.status == OrderStatus::Pending {
        return Ok(());
    }
    let settled = || {
        format!(
            "cannot change: the order is {}, no longer pending",
            old.status
        )
    };
    if !lines::same(&old.items, &new.items) {
        return refuse("/items", "immutable", settled());
    }
    if new.customer_id != old.customer_id {
        return refuse("/customer_id", "immutable", settled());
    }
    Ok(())
}
