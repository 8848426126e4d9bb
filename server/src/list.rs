//! Lists: keyset pages in both directions, totals, rows by id. What is asked for is read in
//! [`query`]. There is no OFFSET here and
//! no count that nobody asked for: a page costs the same wherever it lies.

mod query;

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{Count, Id, Page, Total};
use uuid::Uuid;

pub(crate) use self::query::ListQuery;
use crate::{
    cursor::{Cursor, CursorKey, Direction},
    entity::{Entity, KeyKind, SortKey},
    error::Result,
    write::Write,
};

/// One page of a filtered, sorted list.
pub(crate) struct ListRequest<E: Entity> {
    limit: u32,
    key: SortKey,
    descending: bool,
    search: Option<String>,
    count: Count,
    filter: E::Filter,
    cursor: Option<Cursor>,
    /// The query without its cursor and limit: what a cursor is bound to.
    binding: String,
}

/// The value of a sort key in one row.
#[derive(Clone, Debug)]
pub(crate) enum KeyValue {
    Text(String),
    Integer(i64),
    Time(DateTime<Utc>),
}

impl<E: Entity> ListRequest<E> {
    fn direction(&self) -> Direction {
        self.cursor
            .as_ref()
            .map_or(Direction::Forward, |cursor| cursor.direction)
    }

    /// Reads the page that the request names.
    ///
    /// # Errors
    /// What the database or the entity's filter refuses.
    pub(crate) async fn read(
        &self,
        conn: &mut PgConnection,
        cursor_key: &CursorKey,
    ) -> Result<Page<E>> {
        let mut rows = E::page(conn, self).await?;
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let forward = self.direction() == Direction::Forward;
        if !forward {
            rows.reverse();
        }
        let seal = |direction, at: Option<&(E, KeyValue)>| {
            let row = at.map(|(row, key)| (key.to_text(), row.id().uuid()));
            cursor_key.seal(&Cursor { direction, row }, &self.binding)
        };
        // Whoever came from a row can go back to it.
        let came_from = self
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.row.is_some());
        let (has_next, has_prev) = if forward {
            (more, came_from)
        } else {
            (came_from, more)
        };
        let next = rows.last().filter(|_| has_next);
        let next = next.map(|row| seal(Direction::Forward, Some(row)));
        let prev = rows.first().filter(|_| has_prev);
        let prev = prev.map(|row| seal(Direction::Backward, Some(row)));
        let total = self.total(conn).await?;
        Ok(Page {
            items: rows.into_iter().map(|(row, _)| row).collect(),
            next,
            prev,
            total,
        })
    }

    /// `Link` headers (RFC 8288) to the pages around this one, and to the first and the last.
    pub(crate) fn links(&self, query: &str, page: &Page<E>, cursor_key: &CursorKey) -> HeaderMap {
        let last = Cursor {
            direction: Direction::Backward,
            row: None,
        };
        let last = cursor_key.seal(&last, &self.binding);
        let targets = [
            ("first", Some("")),
            ("prev", page.prev.as_deref()),
            ("next", page.next.as_deref()),
            ("last", Some(last.as_str())),
        ];
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
            .collect();
        let mut headers = HeaderMap::new();
        for (relation, cursor) in targets {
            let Some(cursor) = cursor else { continue };
            let cursor = Some(format!("cursor={cursor}")).filter(|_| !cursor.is_empty());
            let pairs: Vec<&str> = kept.iter().copied().chain(cursor.as_deref()).collect();
            let separator = if pairs.is_empty() { "" } else { "?" };
            let (path, pairs) = (E::PATH, pairs.join("&"));
            let link = format!("</v1/{path}{separator}{pairs}>; rel=\"{relation}\"");
            if let Ok(link) = HeaderValue::from_str(&link) {
                headers.append(header::LINK, link);
            }
        }
        headers
    }

    async fn total(&self, conn: &mut PgConnection) -> Result<Option<Total>> {
        let mut sql = match self.count {
            Count::None => return Ok(None),
            Count::Estimated => QueryBuilder::new("explain (format json) select 1 from "),
            Count::Exact => QueryBuilder::new("select count(*) from "),
        };
        sql.push(E::TABLE).push(" where true");
        E::filter(&mut sql, &self.filter, self.search.as_deref())?;
        if self.count == Count::Exact {
            let value = sql.build_query_scalar().fetch_one(conn).await?;
            return Ok(Some(Total { value, exact: true }));
        }
        let plan: Value = sql.build_query_scalar().fetch_one(conn).await?;
        let value = plan[0]["Plan"]["Plan Rows"].as_f64().unwrap_or_default() as i64;
        Ok(Some(Total {
            value,
            exact: false,
        }))
    }
}

impl KeyValue {
    fn from_row(row: &PgRow, kind: KeyKind) -> sqlx::Result<Self> {
        Ok(match kind {
            KeyKind::Text => Self::Text(row.try_get("sort_key")?),
            KeyKind::Integer => Self::Integer(row.try_get("sort_key")?),
            KeyKind::Time => Self::Time(row.try_get("sort_key")?),
        })
    }

    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Time(at) => at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }

    /// Reads back what a cursor holds; its signature says that we wrote it.
    fn parse(text: &str, kind: KeyKind) -> Option<Self> {
        match kind {
            KeyKind::Text => Some(Self::Text(text.into())),
            KeyKind::Integer => text.parse().ok().map(Self::Integer),
            KeyKind::Time => {
                let at = DateTime::parse_from_rfc3339(text).ok()?;
                Some(Self::Time(at.with_timezone(&Utc)))
            }
        }
    }

    fn bind(&self, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Text(text) => sql.push_bind(text.clone()),
            Self::Integer(value) => sql.push_bind(*value),
            Self::Time(at) => sql.push_bind(*at),
        };
    }
}

/// Selects the rows of a page, and one more to see whether the list goes on.
pub(crate) async fn select_page<E: Entity>(
    conn: &mut PgConnection,
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
    Ok(rows)
}

fn page_sql<E: Entity>(request: &ListRequest<E>) -> Result<QueryBuilder<Postgres>> {
    let SortKey { expression, kind } = request.key;
    let backward = request.direction() == Direction::Backward;
    // Going back through a descending list is going forth through the ascending one.
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
        // The first bound follows from the second; the planner prunes partitions by it alone.
        sql.push(format_args!(" and {expression} {beyond}= "));
        key.bind(&mut sql);
        sql.push(format_args!(" and ({expression}, id) {beyond} ("));
        key.bind(&mut sql);
        sql.push(", ").push_bind(*id).push(")");
    }
    sql.push(format_args!(
        " order by {expression} {order}, id {order} limit "
    ))
    .push_bind(i64::from(request.limit) + 1);
    Ok(sql)
}

/// Selects rows by their ids.
pub(crate) async fn select_by_ids<E: Entity>(
    conn: &mut PgConnection,
    ids: &[Id<E>],
) -> Result<Vec<E>> {
    let sql = format!("select {} from {} where id = any($1)", E::COLUMNS, E::TABLE);
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .try_map(|row: PgRow| E::from_row(&row))
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// Selects a row that nobody else can change until the transaction ends.
pub(crate) async fn select_for_update<E: Entity>(
    conn: &mut PgConnection,
    id: Id<E>,
) -> Result<Option<E>> {
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

/// Deletes a row by its id.
pub(crate) async fn delete_by_id<E: Entity>(write: &mut Write, id: Id<E>) -> Result<()> {
    let sql = format!("delete from {} where id = $1", E::TABLE);
    sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .execute(write.conn().await?)
        .await?;
    Ok(())
}

/// The pattern for `ilike` that finds `text` anywhere, with its own wildcards made plain.
pub(crate) fn contains_pattern(text: &str) -> String {
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
