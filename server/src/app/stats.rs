//! `GET /v1/stats`: figures about the shop. Each month is counted and cached separately, so that after a new order only
//! its month is counted again.

use axum::{body::Bytes, extract::State, response::Response};
use chrono::{DateTime, Months, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Category, Customer, Id, Order, OrderStatus, Product, Total,
    partition::Family,
    stats::{Counts, DEFAULT_MONTHS, MAX_MONTHS, MonthStats, ProductStats, TOP_PRODUCTS},
};

use crate::{
    http::{
        error::Result,
        parameters::{Parameters, unreadable},
    },
    process::clock::month_start,
    rows::{entity::Entity, list::total},
    store::{
        Store,
        cache::{Answer, CacheControl, CachedResponse, EntryKey, Loaded, ReadRequest, Tag},
        database::Connection,
        partitions::archived,
    },
};

/// Maximum months that are read concurrently.
const MAX_CONCURRENT: usize = 4;

/// A table with more rows than this, by the estimate of the planner, is not counted.
const COUNTED: i64 = 50_000;

/// `GET /v1/stats?months`
pub(crate) async fn get(
    State(store): State<Store>,
    parameters: Parameters,
    cache_control: CacheControl,
) -> Result<Response> {
    let months = parse_months(parameters)?;
    let now = store.options.clock.now();
    let this_month = month_start(now, 0);
    let mut parts = vec![counts(&store, &cache_control).await?];
    let months: Vec<CachedResponse> = stream::iter(0..months)
        .filter_map(|back| async move { this_month.checked_sub_months(Months::new(back)) })
        .map(|begin| month(&store, begin, &cache_control))
        .buffered(MAX_CONCURRENT)
        .try_collect()
        .await?;
    parts.extend(months);
    // The cached bytes are joined without parsing them.
    let bodies: Vec<&[u8]> = parts.iter().map(|part| &*part.entry.answer.body).collect();
    let (counts, months) = (bodies[0], bodies[1..].join(b",".as_slice()));
    let shop = [b"{\"counts\":", counts, b",\"months\":[", &months, b"]"].concat();
    // The counters of the cache change with every request, so the ETag does not include them.
    let etag = Answer::from_body(shop.clone().into()).etag;
    let cache = serde_json::to_vec(&store.cache.stats()).unwrap_or_default();
    let body = Bytes::from([&shop, b",\"cache\":".as_slice(), &cache, b"}"].concat());
    let answer = Answer {
        etag,
        ..Answer::from_body(body)
    };
    Ok(CachedResponse::combined(answer, &parts, now).respond(&cache_control, now))
}

async fn counts(store: &Store, cache_control: &CacheControl) -> Result<CachedResponse> {
    let tags = || {
        let lists = [
            Tag::list::<Category>(),
            Tag::list::<Product>(),
            Tag::list::<Customer>(),
        ];
        lists.into_iter().chain([Tag::all_orders()])
    };
    let pool = store.database.reads.clone();
    let load = async move {
        let mut conn = pool.acquire().await?;
        let counts = Counts {
            categories: estimate::<Category>(&mut conn).await?,
            products: estimate::<Product>(&mut conn).await?,
            customers: estimate::<Customer>(&mut conn).await?,
            orders: estimate::<Order>(&mut conn).await?,
        };
        let answer = Answer::of(&counts);
        Ok(Loaded {
            answer,
            depends_on: Some(tags().collect()),
        })
    };
    let request = ReadRequest {
        key: EntryKey::new("stats", "counts"),
        tags: || tags().collect(),
        load: || load,
    };
    store.cache.read(request, cache_control).await
}

/// Counts small tables exactly, and returns the estimate of the planner for the rest.
async fn estimate<E: Entity>(conn: &mut Connection) -> Result<Total> {
    let everything = E::Filter::default();
    let estimate = total::estimate::<E>(conn, &everything, None).await?;
    if estimate.exact || estimate.value > COUNTED {
        return Ok(estimate);
    }
    total::count::<E>(conn, &everything, None).await
}

async fn month(
    store: &Store,
    begin: DateTime<Utc>,
    cache_control: &CacheControl,
) -> Result<CachedResponse> {
    let pool = store.database.reads.clone();
    let load = async move {
        let stats = select_month(&mut *pool.acquire().await?, begin).await?;
        let answer = Answer::of(&stats);
        Ok(Loaded {
            answer,
            depends_on: Some(vec![Tag::orders_in(begin)]),
        })
    };
    let query = begin.format("%Y-%m").to_string();
    let request = ReadRequest {
        key: EntryKey::new("stats/months", &query),
        tags: || vec![Tag::orders_in(begin)],
        load: || load,
    };
    store.cache.read(request, cache_control).await
}

async fn select_month(conn: &mut Connection, begin: DateTime<Utc>) -> Result<MonthStats> {
    let mut stats = MonthStats {
        month: begin.format("%Y-%m").to_string(),
        orders: 0,
        revenue_minor: 0,
        archived: archived::is_archived(conn, Family::Orders, begin..month_start(begin, 1)).await?,
        statuses: Default::default(),
        top_products: select_top_products(conn, begin).await?,
    };
    let statuses = sqlx::query(
        "select status, count(*) as orders, sum(total_minor)::text as total_minor from orders
        where placed_at >= $1 and placed_at < $2
        group by status",
    )
    .bind(begin)
    .bind(month_start(begin, 1))
    .try_map(|row: PgRow| {
        let status: String = row.try_get("status")?;
        let status: OrderStatus = status
            .parse()
            .map_err(|error: String| sqlx::Error::Decode(error.into()))?;
        Ok((
            status,
            (row.try_get::<i64, _>("orders")?, sum(&row, "total_minor")?),
        ))
    })
    .fetch_all(conn)
    .await?;
    for (status, (orders, total_minor)) in statuses {
        stats.orders += orders;
        if !matches!(status, OrderStatus::Cancelled | OrderStatus::Returned) {
            stats.revenue_minor += total_minor;
        }
        stats.statuses.insert(status, orders);
    }
    Ok(stats)
}

async fn select_top_products(
    conn: &mut Connection,
    begin: DateTime<Utc>,
) -> Result<Vec<ProductStats>> {
    let products = sqlx::query(
        "select product_id, sum(quantity)::bigint as pieces,
            sum(quantity * unit_price_minor)::text as revenue_minor
        from order_items i
        join orders o on o.placed_at = i.placed_at and o.id = i.order_id
        where o.placed_at >= $1 and o.placed_at < $2 and o.status not in ('cancelled', 'returned')
            -- The join implies this, but the planner prunes partitions of order_items only by it.
            and i.placed_at >= $1 and i.placed_at < $2
        group by product_id
        order by sum(quantity * unit_price_minor) desc, product_id
        limit $3",
    )
    .bind(begin)
    .bind(month_start(begin, 1))
    .bind(TOP_PRODUCTS as i64)
    .try_map(|row: PgRow| {
        Ok(ProductStats {
            product_id: Id::new(row.try_get("product_id")?),
            pieces: row.try_get("pieces")?,
            revenue_minor: sum(&row, "revenue_minor")?,
        })
    })
    .fetch_all(conn)
    .await?;
    Ok(products)
}

/// Parses a sum of amounts. PostgreSQL returns a `numeric`, which may need more than 64 bits.
fn sum(row: &PgRow, column: &str) -> sqlx::Result<i128> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn parse_months(mut parameters: Parameters) -> Result<u32> {
    let months = parameters.take("months");
    parameters.refuse_rest(&["months"])?;
    let Some(text) = months else {
        return Ok(DEFAULT_MONTHS);
    };
    let months = text.parse().ok().filter(|n| (1..=MAX_MONTHS).contains(n));
    months.ok_or_else(|| {
        let message = format!("is `{text}`; it must be from 1 to {MAX_MONTHS}");
        unreadable("months", "out_of_range", message)
    })
}
