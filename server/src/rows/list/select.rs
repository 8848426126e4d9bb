//! The SQL statements of lists: a page, rows by id, rows that a write locks, and the search condition.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::Id;
use uuid::Uuid;

use super::{KeyValue, ListRequest};
use crate::{
    http::{cursor::Direction, error::Result},
    rows::table::{NaturalKey, SortKey, Table},
    store::{database::Connection, write::Write},
};

/// Selects the rows of a page, plus one to see whether the list continues.
pub(crate) async fn page<E: Table>(
    conn: &mut Connection,
    request: &ListRequest<E>,
) -> Result<Vec<(E, KeyValue)>> {
    let mut sql = page_sql(request)?;
    let rows = sql
        .build()
        .try_map(|row: PgRow| {
            Ok((
                E::from_row(&row)?,
                KeyValue::from_row(&row, request.key.kind)?,
            ))
        })
        .fetch_all(conn)
        .await?;
    let mut rows: Vec<_> = rows;
    rows.truncate(request.limit as usize + 1);
    Ok(rows)
}

/// Rounds a requested limit up to one of a few values. The limit is part of the SQL text, and each connection keeps a
/// prepared statement with its plan for every text. Few limits mean few statements.
fn rounded(limit: u32) -> u32 {
    const LIMITS: [u32; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 1_000];
    LIMITS
        .into_iter()
        .find(|known| *known >= limit)
        .unwrap_or(limit)
}

fn page_sql<E: Table>(request: &ListRequest<E>) -> Result<QueryBuilder<Postgres>> {
    let SortKey { expression, kind } = request.key;
    let backward = request.direction() == Direction::Backward;
    // Reading a descending list backward is the same as reading the ascending list forward.
    let (order, beyond) = if request.descending == backward {
        ("asc", ">")
    } else {
        ("desc", "<")
    };
    let mut sql = QueryBuilder::new("select ");
    sql.push(E::COLUMNS).push(format_args!(
        ", {expression} as sort_key from {} where true",
        E::TABLE
    ));
    E::filter(&mut sql, &request.filter, request.search.as_deref())?;
    let row = request
        .cursor
        .as_ref()
        .and_then(|cursor| cursor.row.as_ref());
    if let Some((key, id)) = row
        && let Some(key) = KeyValue::parse(key, kind)
    {
        // With an id, the row comparison below implies this bound, but the planner prunes partitions only by this one.
        // Without an id (`seek`), rows with exactly this key belong to the page after the position, not before it.
        let is_strict = id.is_none() && backward;
        let or_equal = if is_strict { "" } else { "=" };
        sql.push(format_args!(" and {expression} {beyond}{or_equal} "));
        match id {
            Some(id) => {
                key.bind(&mut sql);
                sql.push(format_args!(" and ({expression}, id) {beyond} ("));
                key.bind(&mut sql);
                sql.push(", ").push_bind(*id).push(")");
            }
            // The database converts the value to lower case, as it does the keys: its rules differ from Rust's.
            None if expression.starts_with("lower(") => {
                sql.push("lower(");
                key.bind(&mut sql);
                sql.push(")");
            }
            None => key.bind(&mut sql),
        }
    }
    // A literal, not a parameter: a plan for any limit would not stop early, but read and sort every partition.
    let limit = rounded(request.limit) + 1;
    sql.push(format_args!(
        " order by {expression} {order}, id {order} limit {limit}"
    ));
    Ok(sql)
}

/// Selects rows by their ids.
pub(crate) async fn by_ids<E: Table>(conn: &mut Connection, ids: &[Id<E>]) -> Result<Vec<E>> {
    let sql = format!("select {} from {} where id = any($1)", E::COLUMNS, E::TABLE);
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .try_map(|row: PgRow| E::from_row(&row))
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// Selects a row and locks it until the transaction ends.
pub(crate) async fn for_update<E: Table>(conn: &mut Connection, id: Id<E>) -> Result<Option<E>> {
    let sql = format!(
        "select {} from {} where id = $1 for update",
        E::COLUMNS,
        E::TABLE
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .try_map(|row: PgRow| E::from_row(&row))
        .fetch_optional(conn)
        .await?;
    Ok(row)
}

/// Selects the rows with these ids or natural keys, each with its key, and locks them in id order until the transaction
/// ends.
pub(crate) async fn many_for_update<E: Table>(
    conn: &mut Connection,
    ids: &[Id<E>],
    keys: &[String],
) -> Result<Vec<(E, String)>> {
    let key = E::NATURAL_KEY.map_or("null", |key| key.expression);
    let sql = format!(
        "select {}, {key} as natural_key from {} where id = any($1) or {key} = any($2)
        order by id for update",
        E::COLUMNS,
        E::TABLE
    );
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .bind(keys)
        .try_map(|row: PgRow| Ok((E::from_row(&row)?, row.try_get("natural_key")?)))
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// The unique form of each natural key, such as `lower(name)`, in the order given. Equal forms name the same row.
pub(crate) async fn unique_parts(
    conn: &mut Connection,
    NaturalKey { field, expression }: NaturalKey,
    keys: &[String],
) -> Result<Vec<String>> {
    let sql = format!(
        "select {expression} from unnest($1::text[]) with ordinality as sent ({field}, n) order by n"
    );
    let parts = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(keys)
        .fetch_all(conn)
        .await?;
    Ok(parts)
}

/// Deletes a row by its id.
pub(crate) async fn delete_by_id<E: Table>(write: &mut Write, id: Id<E>) -> Result<()> {
    let sql = format!("delete from {} where id = $1", E::TABLE);
    sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .execute(write.conn()?)
        .await?;
    Ok(())
}

/// Maximum words of a search. Further words are ignored.
const MAX_WORDS: usize = 8;

/// Appends ` and …` for each word of the text: `expression` must contain all of them, in any order, also inside longer
/// words. `expression` must be that of the search index.
pub(crate) fn search(sql: &mut QueryBuilder<Postgres>, expression: &'static str, text: &str) {
    for word in text.split_whitespace().take(MAX_WORDS) {
        if !word.is_empty() {
            sql.push(format_args!(" and {expression} ilike "))
                .push_bind(contains_pattern(word));
        }
    }
}

/// An `ilike` pattern that matches `text` anywhere. Wildcards in `text` are escaped.
fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_search_text_are_plain() {
        assert_eq!(contains_pattern(r"50%_\x"), r"%50\%\_\\x%");
    }
}
