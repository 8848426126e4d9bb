//! Orders in PostgreSQL. The id of an order contains its `placed_at`. Statements name both, so that each touches one
//! partition.

mod copy;
mod lines;
mod month_range;
mod read;
mod rules;
mod stock;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{
    Id, Kind, NewOrder, Order, OrderFilter, OrderItem, OrderStatus, Product, Resource, document,
    order::OrderNumber, partition::Family,
};

pub(crate) use self::{copy::copy_to, read::select_partition, rules::may_be_placed};
use self::{
    read::{lock_by_ids, lock_one, page_as_of_now, select_many, select_one},
    rules::{
        allow_first_status, allow_update, given_id, make_partition, partition_gone, placed_at,
    },
    stock::Movement,
};
use crate::{
    http::error::{Constraint, Error, Result},
    rows::{
        entity::{Entity, Identity, Prepare, Reference},
        list::{self, KeyValue, ListRequest},
        table::{KeyKind, SortKey, Table},
    },
    store::{
        Store, cache::Tag, copy::TableRows, database::Connection, log, partitions::Partitions,
        write::Write,
    },
};

impl Table for Order {
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
            message: "name a product that does not exist",
        },
    ];
    const FAMILY: Option<Family> = Some(Family::Orders);

    /// The lines are read separately: see [`lines::attach`].
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
}

impl Entity for Order {
    const REFERENCES: &'static [Reference] = &[];

    /// Values that are left out (`placed_at`, prices of lines) count as unchanged.
    fn is_unchanged_by(&self, new: &NewOrder) -> bool {
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
        month_range::tags(request, now)
    }

    fn actual_tags(
        request: &ListRequest<Self>,
        now: DateTime<Utc>,
        end: Option<&KeyValue>,
    ) -> Vec<Tag> {
        month_range::dependency_tags(request, now, end)
    }

    async fn page(
        conn: &mut Connection,
        request: &ListRequest<Self>,
    ) -> Result<Vec<(Self, KeyValue)>> {
        if conn.is_in_transaction() {
            // The transaction of the caller, which has its own snapshot.
            return page_as_of_now(conn, request).await;
        }
        let mut snapshot = conn.begin(list::SNAPSHOT).await?;
        let rows = page_as_of_now(&mut snapshot, request).await?;
        snapshot.commit().await?;
        Ok(rows)
    }

    async fn by_ids(
        partitions: &Partitions,
        conn: &mut Connection,
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

    async fn lock(conn: &mut Connection, id: Id<Self>) -> Result<Option<Self>> {
        lock_one(conn, id).await
    }

    async fn lock_many(
        conn: &mut Connection,
        ids: &[Id<Self>],
        _keys: &[String],
    ) -> Result<Vec<(Self, String)>> {
        let orders = lock_by_ids(conn, ids).await?;
        let keyless = orders.into_iter().map(|order| (order, String::new()));
        Ok(keyless.collect())
    }

    fn products_of(fields: &Value) -> Vec<Id<Product>> {
        let items = fields["items"].as_array().into_iter().flatten();
        let named = items.filter_map(|item| item["product_id"].as_str());
        named.filter_map(|id| id.parse().ok()).collect()
    }

    /// Locks the products whose stock may change.
    async fn lock_shared(write: &mut Write, old: &[&Self], new: &[&Value]) -> Result<()> {
        let held = old.iter().flat_map(|order| &order.items);
        let mut products: Vec<Id<Product>> = held.map(|item| item.product_id).collect();
        products.extend(new.iter().flat_map(|fields| Self::products_of(fields)));
        products.sort();
        products.dedup();
        stock::begin(write, &products).await
    }

    async fn finish(write: &mut Write) -> Result<()> {
        stock::write_moved(write).await
    }

    async fn prepare(
        store: &Store,
        (id, version): (Option<Id<Self>>, Option<i64>),
        fields: &Value,
        how: Prepare,
    ) -> Result<bool> {
        let now = store.options.clock.now();
        let given = fields["placed_at"].as_str();
        // Parsed as serde does, which accepts more than RFC 3339.
        let given = given.and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let placed_at = match id {
            // An id without a time is refused later.
            Some(id) => id.time(),
            None => Some(given.unwrap_or(now)),
        };
        let may_be_placed = |at: &DateTime<Utc>| may_be_placed(store, now, *at);
        let Some(placed_at) = placed_at.filter(may_be_placed) else {
            return Ok(false);
        };
        let is_unknown = store.partitions.is_unknown(Family::Orders, placed_at);
        match document::from_value::<NewOrder>(fields) {
            // A version of an order that never existed is refused later, so no partition is needed.
            Ok(_) if is_unknown && version.is_some() => Ok(false),
            Ok(new) => make_partition(store, placed_at, (id, &new), how).await,
            // An incomplete document can only change an existing order, and without a partition there is none.
            // Otherwise `ensure` refuses the row if the partition is archived.
            Err(_) if is_unknown => Ok(false),
            Err(_) => {
                let pool = &store.database.background;
                let partitions = &store.partitions;
                partitions.ensure(pool, Family::Orders, placed_at).await?;
                Ok(false)
            }
        }
    }

    async fn insert(write: &mut Write, identity: Identity<Self>, new: NewOrder) -> Result<Self> {
        let (id, version, given) = match identity {
            Identity::Minted => {
                let minted = Id::mint(placed_at(write, new.placed_at)?, rand::random());
                (minted, 1, None)
            }
            Identity::Given { id, version } => {
                let id = given_id(write, id, new.placed_at)?;
                (id, version, Some(id))
            }
        };
        let placed_at = id.time().unwrap_or_default();
        let (store, at) = (write.store.clone(), write.at);
        make_partition(&store, placed_at, (given, &new), Prepare::Create).await?;
        write.begin().await?;
        allow_first_status(write.conn()?, given, &new).await?;

        // Deleting an order in such a status returns its pieces to the stock, so bringing it back takes them again.
        let wanted = lines::wanted(&new, new.status.gives_back_on_delete());
        let prices = stock::apply(write, &new.items, Movement::between(&[], &wanted)).await?;
        let items = lines::with_prices(&new.items, &prices)?;
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
        .fetch_one(write.conn()?)
        .await;
        let mut order = match order.map_err(Error::from) {
            Err(error) if error.is_missing_partition() => {
                return Err(partition_gone(write, placed_at).await?);
            }
            order => order?,
        };
        lines::insert(write.conn()?, &order, &items).await?;
        order.items = items;
        Ok(order)
    }

    async fn update(write: &mut Write, old: &Self, mut new: NewOrder) -> Result<Self> {
        allow_update(old, &new)?;
        touch_unrelayed(write, old.id).await?;
        if old.status != OrderStatus::Pending {
            // The lines are the same (see `allow_update`); a price that was left out stays as agreed.
            new.items = old.items.iter().map(OrderItem::document).collect();
        }
        let held = lines::wanted(&old.document(), old.status.holds_stock());
        let wanted = lines::wanted(&new, new.status.holds_stock());
        let prices = stock::apply(write, &new.items, Movement::between(&held, &wanted)).await?;
        let items = lines::with_prices(&new.items, &prices)?;
        let total_minor = if items == old.items {
            // The agreed total stays valid, whatever the current limit is.
            old.total_minor
        } else {
            lines::total(&items)?
        };
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
        .bind(total_minor)
        .bind(new.note)
        .try_map(|row| Self::from_row(&row))
        .fetch_one(write.conn()?)
        .await?;
        if items != old.items {
            lines::delete(write.conn()?, old).await?;
            lines::insert(write.conn()?, &order, &items).await?;
        }
        order.items = items;
        Ok(order)
    }

    /// Copies directly into the partitions instead of the parent tables.
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
                "The order is shipped; it can be deleted once it is delivered.",
            ));
        }
        touch_unrelayed(write, old.id).await?;
        let held = lines::wanted(&old.document(), old.status.gives_back_on_delete());
        stock::apply(write, &[], Movement::between(&held, &[])).await?;
        // This deletes the lines too: their foreign key is `on delete cascade`.
        sqlx::query("delete from orders where placed_at = $1 and id = $2")
            .bind(old.placed_at)
            .bind(old.id.uuid())
            .execute(write.conn()?)
            .await?;
        Ok(())
    }
}

/// Touches the tags of earlier writes to the order that may not be deleted from the cache yet. Only orders need this:
/// their tags change with the customer, and cached lists of a former customer may still show the order.
async fn touch_unrelayed(write: &mut Write, id: Id<Order>) -> Result<()> {
    for tag in log::unrelayed_tags(write.conn()?, &[id]).await? {
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
