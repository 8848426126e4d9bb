//! The locks of a write with more rows than are read at once. Locking batch by batch would follow the order of the
//! file, and two writers could deadlock. So the ids of all rows are first collected in temporary tables of the
//! transaction, and then locked in id order, as all other writers do.

use stockroom_common::{Id, document};
use uuid::Uuid;

use super::InputRow;
use crate::{
    http::error::Result,
    rows::{entity::Entity, table::NaturalKey},
    store::database::Connection,
};

/// Rows that one statement locks: few enough to finish in time even if other writers hold some of them.
const BATCH: i64 = 500;

/// Creates the temporary tables of ids to lock. They are dropped when the transaction ends.
pub(crate) async fn begin(conn: &mut Connection) -> Result<()> {
    let tables = "create temporary table rows_to_lock (id uuid primary key) on commit drop;
        create temporary table products_to_lock (id uuid primary key) on commit drop";
    sqlx::raw_sql(tables).execute(conn).await?;
    Ok(())
}

/// Collects the ids of the rows that were sent, by id and by natural key, and of the products that they name.
pub(crate) async fn add<E: Entity>(conn: &mut Connection, rows: &[InputRow<E>]) -> Result<()> {
    let rows = || rows.iter().filter_map(|sent| sent.row.as_ref().ok());
    let ids = rows().filter_map(|row| row.id.map(Id::uuid)).collect();
    list(conn, "rows_to_lock", ids).await?;
    if let Some(NaturalKey { field, expression }) = E::NATURAL_KEY {
        let keys: Vec<&str> = rows().filter_map(|row| row.key()).collect();
        let table = E::TABLE;
        let sql = format!(
            "insert into rows_to_lock
            select id from {table} where {expression} in (
                select {expression} from unnest($1::text[]) as sent ({field})
            )
            on conflict do nothing"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(keys)
            .execute(&mut *conn)
            .await?;
    }
    let products = rows().flat_map(|row| E::products_of(&row.fields));
    list(conn, "products_to_lock", products.map(Id::uuid).collect()).await
}

/// Locks everything that was collected: first the rows, then the products, in the same order as single writes. The
/// products also include those that the stored rows name. Calls `check_running` before each batch.
pub(crate) async fn take<E: Entity>(
    conn: &mut Connection,
    check_running: impl Fn() -> Result<()>,
) -> Result<()> {
    // Without statistics the planner would read and sort the whole table for each batch.
    let analyze = "analyze rows_to_lock; analyze products_to_lock";
    sqlx::raw_sql(analyze).execute(&mut *conn).await?;
    let mut last = Uuid::nil();
    while let Some(ids) = next(conn, "rows_to_lock", &mut last).await? {
        check_running()?;
        let ids: Vec<Id<E>> = ids.into_iter().map(Id::new).collect();
        let rows = E::lock_many(conn, &ids, &[]).await?;
        let held = rows
            .iter()
            .flat_map(|(row, _)| E::products_of(&document::to_value(&row.document())));
        list(conn, "products_to_lock", held.map(Id::uuid).collect()).await?;
    }
    let mut last = Uuid::nil();
    while let Some(ids) = next(conn, "products_to_lock", &mut last).await? {
        check_running()?;
        sqlx::query("select from products where id = any($1) order by id for no key update")
            .bind(ids)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn list(conn: &mut Connection, table: &str, ids: Vec<Uuid>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let sql = format!("insert into {table} select unnest($1::uuid[]) on conflict do nothing");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// The next batch of ids after `last`; `None` at the end of the table.
async fn next(conn: &mut Connection, table: &str, last: &mut Uuid) -> Result<Option<Vec<Uuid>>> {
    let sql = format!("select id from {table} where id > $1 order by id limit {BATCH}");
    let ids: Vec<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(*last)
        .fetch_all(conn)
        .await?;
    let Some(end) = ids.last() else {
        return Ok(None);
    };
    *last = *end;
    Ok(Some(ids))
}
