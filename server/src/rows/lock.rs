//! The locks of a write with more rows than are read at once. Batch by batch they would be taken in the order of
//! the file, and two writers who hold what the other wants would end each other. So everything is named
//! first, in a table of the transaction's own, and locked in the order of ids, as all other writers do.

use stockroom_common::Id;
use uuid::Uuid;

use super::Sent;
use crate::{
    database::Connection,
    entity::{Entity, NaturalKey},
    error::Result,
};

/// Makes the list of what is to be locked; it goes with the transaction.
pub(crate) async fn begin(conn: &mut Connection) -> Result<()> {
    let tables = "create temporary table rows_to_lock (id uuid, key text) on commit drop;
        create temporary table products_to_lock (id uuid) on commit drop";
    sqlx::raw_sql(tables).execute(conn).await?;
    Ok(())
}

/// Adds rows that were sent, whether they are there already or not, and what they share with others.
pub(crate) async fn add<E: Entity>(conn: &mut Connection, rows: &[Sent<E>]) -> Result<()> {
    let rows = rows.iter().filter_map(|sent| sent.row.as_ref().ok());
    let (mut ids, mut keys, mut products) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        ids.push(row.id.map(|id: Id<E>| id.uuid()));
        keys.push(row.key());
        products.extend(E::products_of(&row.fields));
    }
    let NaturalKey { field, expression } = E::NATURAL_KEY.unwrap_or(NaturalKey {
        field: "key",
        expression: "key",
    });
    let sql = format!(
        "insert into rows_to_lock select id, {expression} from unnest($1::uuid[], $2::text[]) as sent (id, {field})"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&ids)
        .bind(&keys)
        .execute(&mut *conn)
        .await?;
    let products: Vec<Uuid> = products.into_iter().map(Id::uuid).collect();
    sqlx::query("insert into products_to_lock select unnest($1::uuid[])")
        .bind(products)
        .execute(conn)
        .await?;
    Ok(())
}

/// Locks what is there of all that was added: first the rows, then the products, as single writes do.
pub(crate) async fn take<E: Entity>(conn: &mut Connection) -> Result<()> {
    // Or the planner would take them for far larger than most are.
    let analyze = "analyze rows_to_lock; analyze products_to_lock";
    sqlx::raw_sql(analyze).execute(&mut *conn).await?;
    E::lock_listed(&mut *conn).await?;
    sqlx::query(
        "select from products where id in (select id from products_to_lock)
        order by id for no key update",
    )
    .execute(conn)
    .await?;
    Ok(())
}
