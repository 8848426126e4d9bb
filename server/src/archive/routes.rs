//! `/v1/partitions`: lists partitions with their sizes, and archives, restores or deletes them.

use std::collections::HashMap;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{Page, partition::Partition};

use super::actions as archive;
use crate::{
    http::{actor::Actor, error::Result, extract::Name},
    rows::crud::with_invalidation_header,
    store::{
        Store,
        cache::Invalidation,
        database::Connection,
        partitions::catalogue::{Catalogue, PartitionInfo},
        write::detached,
    },
};

/// `GET /v1/partitions`: all of them, the newest of each family first.
pub(crate) async fn list(State(store): State<Store>) -> Result<Json<Page<Partition>>> {
    let mut conn = store.database.reads.acquire().await?;
    let mut items = measured(&mut conn, |_| true).await?;
    items.sort_by_key(|partition| (partition.family, std::cmp::Reverse(partition.from)));
    Ok(Json(Page::whole(items)))
}

/// `GET /v1/partitions/{name}`
pub(crate) async fn get(State(store): State<Store>, Name(name): Name) -> Result<Json<Partition>> {
    find(&store, &name).await.map(Json)
}

/// `POST /v1/partitions/{name}/archive`
pub(crate) async fn archive(
    State(store): State<Store>,
    Name(name): Name,
    actor: Actor,
) -> Result<Response> {
    let (of, called) = (store.clone(), name.clone());
    let done = detached(async move { archive::archive(&of, &actor, &called).await }).await?;
    changed(done, &store, &name).await
}

/// `POST /v1/partitions/{name}/restore`
pub(crate) async fn restore(
    State(store): State<Store>,
    Name(name): Name,
    actor: Actor,
) -> Result<Response> {
    let (of, called) = (store.clone(), name.clone());
    let done = detached(async move { archive::restore(&of, &actor, &called).await }).await?;
    changed(done, &store, &name).await
}

/// `DELETE /v1/partitions/{name}`: deletes an archived partition permanently.
pub(crate) async fn delete(
    State(store): State<Store>,
    Name(name): Name,
    actor: Actor,
) -> Result<Response> {
    let done = detached(async move { archive::delete(&store, &actor, &name).await }).await?;
    Ok(with_invalidation_header(
        done,
        StatusCode::NO_CONTENT.into_response(),
    ))
}

async fn changed(done: Invalidation, store: &Store, name: &str) -> Result<Response> {
    Ok(with_invalidation_header(
        done,
        Json(find(store, name).await?).into_response(),
    ))
}

async fn find(store: &Store, name: &str) -> Result<Partition> {
    let mut conn = store.database.reads.acquire().await?;
    let found = measured(&mut conn, |partition| partition.name() == name)
        .await?
        .pop();
    found.ok_or_else(|| archive::unknown(name))
}

/// The wanted partitions with their sizes.
async fn measured(
    conn: &mut Connection,
    is_wanted: impl Fn(&PartitionInfo) -> bool,
) -> Result<Vec<Partition>> {
    let catalogue = Catalogue::read(conn).await?;
    let wanted: Vec<&PartitionInfo> = catalogue
        .all()
        .filter(|partition| is_wanted(partition))
        .collect();
    let tables: Vec<String> = wanted
        .iter()
        .flat_map(|partition| partition.tables())
        .collect();
    let sizes = select_sizes(conn, &tables).await?;
    let archived_at = select_archived_at(conn).await?;
    let partition = |partition: &PartitionInfo| {
        let [own, lines] = partition.sizes(&sizes);
        Partition {
            name: partition.name(),
            family: partition.family,
            from: partition.range.start,
            to: partition.range.end,
            state: partition.state,
            rows: own.rows,
            lines: lines.rows,
            bytes: own.bytes + lines.bytes,
            index_bytes: own.index_bytes + lines.index_bytes,
            archived_at: archived_at.get(&partition.name()).copied(),
        }
    };
    Ok(wanted.into_iter().map(partition).collect())
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    rows: i64,
    bytes: i64,
    index_bytes: i64,
}

impl PartitionInfo {
    /// The sizes of the main table of the partition, and of the second table if it has one.
    fn sizes(&self, of: &HashMap<String, Size>) -> [Size; 2] {
        let mut sizes = self
            .tables()
            .map(|table| of.get(&table).copied().unwrap_or_default());
        [(); 2].map(|()| sizes.next().unwrap_or_default())
    }
}

async fn select_sizes(conn: &mut Connection, tables: &[String]) -> Result<HashMap<String, Size>> {
    let sizes = sqlx::query(
        "select c.relname::text, greatest(c.reltuples, 0)::bigint, pg_table_size(c.oid),
            pg_indexes_size(c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relname = any($1)
            and n.nspname in (current_schema(), 'archive')",
    )
    .bind(tables)
    .try_map(|row: PgRow| {
        let size = Size {
            rows: row.try_get(1)?,
            // Null if the table was dropped meanwhile.
            bytes: row.try_get::<Option<_>, _>(2)?.unwrap_or_default(),
            index_bytes: row.try_get::<Option<_>, _>(3)?.unwrap_or_default(),
        };
        Ok((row.try_get(0)?, size))
    })
    .fetch_all(conn)
    .await?;
    Ok(sizes.into_iter().collect())
}

async fn select_archived_at(conn: &mut Connection) -> Result<HashMap<String, DateTime<Utc>>> {
    let archived = sqlx::query_as("select name, at from archived_partitions")
        .fetch_all(conn)
        .await?;
    Ok(archived.into_iter().collect())
}
