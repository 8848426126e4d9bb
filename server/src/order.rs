//! Orders in PostgreSQL. Whoever has an order's id has its `placed_at`, and names both, so that each
//! statement touches one partition.

mod copy;
mod lines;
mod span;
mod stock;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow,
    types::Json,
};
use stockroom_common::{
    Id, Kind, NewOrder, Order, OrderFilter, OrderItem, OrderStatus, Product, Resource, document,
    order::OrderNumber, partition::Family,
};
use uuid::Uuid;

pub(crate) use self::copy::copy_to;
use self::stock::Movement;
use crate::{
    cache::Tag,
    changes,
    copy::TableRows,
    entity::{Entity, Identity, KeyKind, Reference, SortKey},
    error::{Constraint, Error, Result},
    list::{self, KeyValue, ListRequest},
    partitions::Partitions,
    state::AppState,
    write::Write,
};

impl Entity for Order {
    const TABLE: &'static str = "orders";
    const COLUMNS: &'static str = "placed_at, id, version, created_at, updated_at, customer_id, \
        status, total_minor, note";
    const SORT_KEYS: &'static [SortKey] = &[SortKey {
        expression: "placed_at",
        kind: KeyKind::Time,
    }];
    const CONSTRAINTS: &'static [Constraint] = &[
        Constraint {
            name: "orders_customer_id_fkey",
            pointer: "/customer_id",
            message: "there is no such customer",
        },
        Constraint {
            name: "order_items_product_id_fkey",
            pointer: "/items",
            message: "name a product that is not there",
        },
    ];
    const REFERENCES: &'static [Reference] = &[];
    const FAMILY: Option<Family> = Some(Family::Orders);

    /// The lines are read apart: see [`lines::attach`].
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let id = Id::new(row.try_get("id")?);
        let status: String = row.try_get("status")?;
        let decode = |error: String| sqlx::Error::Decode(error.into());
        Ok(Self {
            id,
            number: OrderNumber::of(id),
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            placed_at: row.try_get("placed_at")?,
            customer_id: Id::new(row.try_get("customer_id")?),
            status: status.parse().map_err(decode)?,
            items: Vec::new(),
            total_minor: row.try_get("total_minor")?,
            note: row.try_get("note")?,
        })
    }

    /// What is left out says nothing.
    fn is_as(&self, new: &NewOrder) -> bool {
        let is_placed_then = |at: DateTime<Utc>| at.trunc_subsecs(3) == self.placed_at;
        new.placed_at.is_none_or(is_placed_then)
            && (new.customer_id, new.status) == (self.customer_id, self.status)
            && new.note == self.note
            && lines::same(&self.items, &new.items)
    }

    fn tags(&self) -> Vec<Tag> {
        vec![
            Tag::row(self.id),
            Tag::orders_of(self.customer_id),
            Tag::orders_in(self.placed_at),
            Tag::all_orders(),
        ]
    }

    fn page_tags(request: &ListRequest<Self>, now: DateTime<Utc>) -> Vec<Tag> {
        span::tags(request, now)
    }

    fn kept_tags(
        request: &ListRequest<Self>,
        now: DateTime<Utc>,
        end: Option<&KeyValue>,
    ) -> Vec<Tag> {
        span::kept(request, now, end)
    }

    fn filter(
        sql: &mut QueryBuilder<Postgres>,
        filter: &OrderFilter,
        search: Option<&str>,
    ) -> Result<()> {
        window(sql, filter);
        if let Some(customer_id) = filter.customer_id {
            sql.push(" and customer_id = ")
                .push_bind(customer_id.uuid());
        }
        if let Some(status) = filter.status {
            sql.push(" and status = ").push_bind(status.as_str());
        }
        if let Some(product_id) = filter.product_id {
            sql.push(" and (placed_at, id) in (select placed_at, order_id from order_items")
                .push(" where product_id = ")
                .push_bind(product_id.uuid());
            window(sql, filter);
            sql.push(")");
        }
        if let Some(text) = search {
            let number: OrderNumber = text.parse().map_err(|message: String| {
                Error::field(Kind::Unreadable, "?q", "invalid_format", message)
            })?;
            let minute = number.minute();
            sql.push(" and placed_at >= ").push_bind(minute);
            sql.push(" and placed_at < ")
                .push_bind(minute + Duration::minutes(1));
            sql.push(" and right(id::text, 5) = ")
                .push_bind(number.last_hex_digits());
        }
        Ok(())
    }

    async fn page(
        conn: &mut PgConnection,
        request: &ListRequest<Self>,
    ) -> Result<Vec<(Self, KeyValue)>> {
        if conn.is_in_transaction() {
            // Of the caller, who sees one instant already.
            return page_as_of_now(conn, request).await;
        }
        let mut snapshot = conn.begin_with(list::SNAPSHOT).await?;
        let rows = page_as_of_now(&mut snapshot, request).await?;
        snapshot.commit().await?;
        Ok(rows)
    }

    async fn by_ids(
        partitions: &Partitions,
        conn: &mut PgConnection,
        ids: &[Id<Self>],
    ) -> Result<Vec<Self>> {
        match ids {
            [id] => {
                let order = select_one(partitions, conn, *id).await?;
                Ok(order.into_iter().collect())
            }
            ids => select_many(conn, ids).await,
        }
    }

    async fn lock(conn: &mut PgConnection, id: Id<Self>) -> Result<Option<Self>> {
        lock_one(conn, id).await
    }

    async fn lock_many(
        conn: &mut PgConnection,
        ids: &[Id<Self>],
        _keys: &[String],
    ) -> Result<Vec<(Self, String)>> {
        let orders = lock_by_ids(conn, ids).await?;
        let keyless = orders.into_iter().map(|order| (order, String::new()));
        Ok(keyless.collect())
    }

    /// The products, whose stock moves.
    async fn lock_shared(conn: &mut PgConnection, old: &[&Self], new: &[&Value]) -> Result<()> {
        let held = old.iter().flat_map(|order| &order.items);
        let mut products: Vec<Id<Product>> = held.map(|item| item.product_id).collect();
        let items = new.iter().filter_map(|fields| fields["items"].as_array());
        let named = items
            .flatten()
            .filter_map(|item| item["product_id"].as_str());
        products.extend(named.filter_map(|id| id.parse::<Id<Product>>().ok()));
        products.sort();
        products.dedup();
        stock::lock(conn, &products).await?;
        Ok(())
    }

    async fn prepare(state: &AppState, id: Option<Id<Self>>, fields: &Value) -> Result<()> {
        let now = state.options.clock.now();
        let told = fields["placed_at"].as_str();
        // As serde reads it, which takes more than RFC 3339.
        let told = told.and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let placed_at = id.and_then(Id::time).or(told).unwrap_or(now);
        if !may_be_placed(state, now, placed_at) {
            return Ok(());
        }
        let partitions = &state.partitions;
        partitions
            .ensure(&state.pool, Family::Orders, placed_at)
            .await
    }

    async fn insert(write: &mut Write, identity: Identity<Self>, new: NewOrder) -> Result<Self> {
        let (id, version) = match identity {
            Identity::Minted => (
                Id::mint(placed_at(write, new.placed_at)?, rand::random()),
                1,
            ),
            Identity::Given { id, version } => (given_id(write, id, new.placed_at)?, version),
        };
        let placed_at = id.time().unwrap_or_default();
        let (state, at) = (write.state.clone(), write.at);
        state
            .partitions
            .ensure(&state.pool, Family::Orders, placed_at)
            .await?;
        allow_first_status(write, id, &new).await?;

        // What deleting gives back, bringing back takes again.
        let wanted = lines::wanted(&new, new.status.gives_back_on_delete());
        let prices = stock::apply(write, &new.items, Movement::between(&[], &wanted)).await?;
        let items = lines::priced(&new.items, &prices)?;
        let total_minor = lines::total(&items)?;
        let order = sqlx::query(
            "insert into orders (placed_at, id, version, created_at, updated_at,
                customer_id, status, total_minor, note)
            values ($1, $2, $3, $4, $4, $5, $6, $7, $8)
            returning *",
        )
        .bind(placed_at)
        .bind(id.uuid())
        .bind(version)
        .bind(at)
        .bind(new.customer_id.uuid())
        .bind(new.status.as_str())
        .bind(total_minor)
        .bind(new.note)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn().await?)
        .await;
        let mut order = match order.map_err(Error::from) {
            Err(error) if error.is_missing_partition() => {
                return Err(taken_off(write, placed_at).await?);
            }
            order => order?,
        };
        lines::insert(write.conn().await?, &order, &items).await?;
        order.items = items;
        Ok(order)
    }

    async fn update(write: &mut Write, old: &Self, mut new: NewOrder) -> Result<Self> {
        allow_update(old, &new)?;
        touch_unrelayed(write, old.id).await?;
        if old.status != OrderStatus::Pending {
            // The same lines; a price that was left out stays what was agreed on.
            new.items = old.items.iter().map(OrderItem::document).collect();
        }
        let held = lines::wanted(&old.document(), old.status.holds_stock());
        let wanted = lines::wanted(&new, new.status.holds_stock());
        let prices = stock::apply(write, &new.items, Movement::between(&held, &wanted)).await?;
        let items = lines::priced(&new.items, &prices)?;
        let at = write.at;
        let mut order = sqlx::query(
            "update orders
            set version = version + 1, updated_at = $3, customer_id = $4, status = $5,
                total_minor = $6, note = $7
            where placed_at = $1 and id = $2
            returning *",
        )
        .bind(old.placed_at)
        .bind(old.id.uuid())
        .bind(at)
        .bind(new.customer_id.uuid())
        .bind(new.status.as_str())
        .bind(lines::total(&items)?)
        .bind(new.note)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn().await?)
        .await?;
        if items != old.items {
            lines::delete(write.conn().await?, old).await?;
            lines::insert(write.conn().await?, &order, &items).await?;
        }
        order.items = items;
        Ok(order)
    }

    /// Straight into the partitions.
    fn copy(partitions: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>> {
        copy_to(rows, |order| {
            let suffix = partitions.suffix_of(Family::Orders, order.placed_at);
            let suffix = suffix.ok_or_else(|| {
                let detail = format!("There is no partition for {}.", order.placed_at);
                Error::refused(Kind::Conflict, detail)
            })?;
            Ok([format!("orders_{suffix}"), format!("order_items_{suffix}")])
        })
    }

    async fn delete(write: &mut Write, old: &Self) -> Result<()> {
        if old.status == OrderStatus::Shipped {
            return Err(Error::refused(
                Kind::Conflict,
                "The order is on its way to the customer; it can be deleted once delivered.",
            ));
        }
        touch_unrelayed(write, old.id).await?;
        let held = lines::wanted(&old.document(), old.status.gives_back_on_delete());
        stock::apply(write, &[], Movement::between(&held, &[])).await?;
        // The lines go with it: they refer to their order on delete cascade.
        sqlx::query("delete from orders where placed_at = $1 and id = $2")
            .bind(old.placed_at)
            .bind(old.id.uuid())
            .execute(write.conn().await?)
            .await?;
        Ok(())
    }
}

/// The orders of a page and, by another statement, their lines.
async fn page_as_of_now(
    conn: &mut PgConnection,
    request: &ListRequest<Order>,
) -> Result<Vec<(Order, KeyValue)>> {
    let mut rows = list::select_page(conn, request).await?;
    let orders = rows.iter_mut().map(|(order, _)| order).collect();
    lines::attach(conn, orders).await?;
    Ok(rows)
}

/// Touches what earlier writes to the order made old and may not have come to delete. Alone among the
/// tags of a row those of an order move, with its customer: the lists of a former one still show it.
async fn touch_unrelayed(write: &mut Write, id: Id<Order>) -> Result<()> {
    for tag in changes::unrelayed_tags(write.conn().await?, &[id]).await? {
        write.touch(tag);
    }
    Ok(())
}

/// Prices of products by id, in minor units.
type Prices = BTreeMap<Id<Product>, i64>;

fn window(sql: &mut QueryBuilder<Postgres>, filter: &OrderFilter) {
    if let Some(from) = filter.placed_from {
        sql.push(" and placed_at >= ").push_bind(from);
    }
    if let Some(before) = filter.placed_before {
        sql.push(" and placed_at < ").push_bind(before);
    }
}

/// An order, from its partition by name where that is known: to plan and to lock over all of them would
/// be most of what it costs.
async fn select_one(
    partitions: &Partitions,
    conn: &mut PgConnection,
    id: Id<Order>,
) -> Result<Option<Order>> {
    let Some(placed_at) = id.time() else {
        return Ok(None);
    };
    if let Some(suffix) = partitions.attached_suffix(Family::Orders, placed_at) {
        match select_from(conn, &format!("_{suffix}"), placed_at, id).await {
            // Another server has taken it off; it may be back by now.
            Err(error) if error.is_missing_partition() => partitions.reload(conn).await?,
            found => return found,
        }
    }
    select_from(conn, "", placed_at, id).await
}

/// An order and its lines as of one instant, in one statement, from a partition or from all.
async fn select_from(
    conn: &mut PgConnection,
    suffix: &str,
    placed_at: DateTime<Utc>,
    id: Id<Order>,
) -> Result<Option<Order>> {
    let sql = format!(
        "select o.*, (
            select coalesce(jsonb_agg(to_jsonb(i) - 'placed_at' - 'order_id' order by i.line_no), '[]')
            from order_items{suffix} i
            -- Not by the columns of o: parameters prune the partitions here as well.
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

/// An order with its lines beside it as JSON.
fn with_items(row: &PgRow) -> sqlx::Result<Order> {
    let Json(items) = row.try_get("items")?;
    Ok(Order {
        items,
        ..Order::from_row(row)?
    })
}

/// The orders of one partition, from its two tables, in the order of their times: at most `limit` that come
/// after that one.
pub(crate) async fn select_partition(
    conn: &mut PgConnection,
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

/// An order that nobody else can change now. Its lines are read when the lock is there: a statement
/// that waits for a lock sees everything else as it was before.
async fn lock_one(conn: &mut PgConnection, id: Id<Order>) -> Result<Option<Order>> {
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

/// Orders that nobody else can change now, locked in the order of their ids.
async fn lock_by_ids(conn: &mut PgConnection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    let (times, uuids) = keys(ids);
    let mut orders = sqlx::query(
        "select o.* from unnest($1::timestamptz[], $2::uuid[]) as wanted (placed_at, id)
        join orders o on o.placed_at = wanted.placed_at and o.id = wanted.id
        -- These bounds follow from the join; the planner prunes partitions by them alone.
        where o.placed_at between $3 and $4
        order by o.id
        for update of o",
    )
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

/// The keys of those orders that can be: their times and their ids.
fn keys(ids: &[Id<Order>]) -> (Vec<DateTime<Utc>>, Vec<Uuid>) {
    let keys = ids.iter().filter_map(|id| Some((id.time()?, id.uuid())));
    keys.unzip()
}

async fn select_many(conn: &mut PgConnection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    if conn.is_in_transaction() {
        // Of the caller, who sees one instant already.
        return select_many_as_of_now(conn, ids).await;
    }
    let mut snapshot = conn.begin_with(list::SNAPSHOT).await?;
    let orders = select_many_as_of_now(&mut snapshot, ids).await?;
    snapshot.commit().await?;
    Ok(orders)
}

async fn select_many_as_of_now(conn: &mut PgConnection, ids: &[Id<Order>]) -> Result<Vec<Order>> {
    let (times, uuids) = keys(ids);
    let mut orders = sqlx::query(
        "select o.* from unnest($1::timestamptz[], $2::uuid[]) as wanted (placed_at, id)
        join orders o on o.placed_at = wanted.placed_at and o.id = wanted.id
        -- These bounds follow from the join; the planner prunes partitions by them alone.
        where o.placed_at between $3 and $4",
    )
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

/// When a new order counts as placed: now, or as told, in whole milliseconds.
fn placed_at(write: &Write, told: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    let at = told.unwrap_or(write.at).trunc_subsecs(3);
    if !may_be_placed(&write.state, write.at, at) {
        let first = write.state.options.orders_from;
        let message = format!(
            "is {at}; orders may be placed from {} to a day from now",
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

pub(crate) fn may_be_placed(state: &AppState, now: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    (state.options.orders_from..=now + Duration::days(1)).contains(&at)
}

/// Checks that an id that the caller names is one that the server would have minted.
fn given_id(write: &Write, id: Id<Order>, told: Option<DateTime<Utc>>) -> Result<Id<Order>> {
    let minted_for = id.time().ok_or_else(|| {
        let message = "the id is no UUIDv7; an order's id holds the time it was placed";
        Error::field(Kind::Invalid, "", "invalid_id", message)
    })?;
    placed_at(write, Some(minted_for))?;
    if told.is_some_and(|told| told.trunc_subsecs(3) != minted_for) {
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

/// What to say where the partition that was there a moment ago is not: another server has archived it.
async fn taken_off(write: &mut Write, placed_at: DateTime<Utc>) -> Result<Error> {
    write.abandon().await?;
    let state = &write.state;
    state
        .partitions
        .reload(&mut *state.pool.acquire().await?)
        .await?;
    let made = state
        .partitions
        .ensure(&state.pool, Family::Orders, placed_at);
    Ok(made.await.err().unwrap_or_else(|| {
        let detail = "The partition of the order changed meanwhile; try again.";
        Error::refused(Kind::Unavailable, detail)
    }))
}

/// Orders begin as pending; only one that is brought back may take up where it was deleted, and with
/// the lines that it had.
async fn allow_first_status(write: &mut Write, id: Id<Order>, new: &NewOrder) -> Result<()> {
    let status = new.status;
    if status == OrderStatus::Pending {
        return Ok(());
    }
    let last = changes::last_of(write.conn().await?, id).await?;
    let before = last.and_then(|(_, before)| document::from_value::<Order>(before?).ok());
    match before.filter(|order| order.status == status) {
        Some(order) if lines::same(&order.items, &new.items) => Ok(()),
        Some(_) => {
            let message = format!("must be those that the {status} order had");
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

/// The rules on what may change after an order was placed.
fn allow_update(old: &Order, new: &NewOrder) -> Result<()> {
    let refuse =
        |pointer, code, message: String| Err(Error::field(Kind::Invalid, pointer, code, message));
    if new
        .placed_at
        .is_some_and(|at| at.trunc_subsecs(3) != old.placed_at)
    {
        return refuse(
            "/placed_at",
            "immutable",
            "never changes after the order was placed".into(),
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
