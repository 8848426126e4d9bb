//! The locks of a write with more rows than are read at once. Batch by batch they would be taken in the order of
//! the file, and two writers who hold what the other wants would end each other. So everything is listed
//! first, in a table of the transaction's own, and locked in the order of ids, as all other writers do.

use stockroom_common::{Id, document};
use uuid::Uuid;

use super::InputRow;
use crate::{
    http::error::Result,
    rows::{entity::Entity, table::NaturalKey},
    store::database::Connection,
};

/// Rows that one statement locks: few enough that it ends in time beside writers who hold some of them.
const BATCH: i64 = 500;

/// Makes the lists of what is to be locked; they go with the transaction.
pub(crate) async fn begin(conn: &mut Connection) -> Result<()> {
    let tables = "create temporary table rows_to_lock (id uuid primary key) on commit drop;
        create temporary table products_to_lock (id uuid primary key) on commit drop";
    sqlx::raw_sql(tables).execute(conn).await?;
    Ok(())
}

/// Lists the rows that were sent and are there already, and the products whose stock they move.
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

/// Locks all that was listed: first the rows, then the products, as single writes do, with those that the rows
/// hold already. Between two statements it asks whether it is still to run.
pub(crate) async fn take<E: Entity>(
    conn: &mut Connection,
    check_running: impl Fn() -> Result<()>,
) -> Result<()> {
    // Or each batch would be looked for by reading and sorting the whole list.
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

/// The next ids of a list after the last one that was read.
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
