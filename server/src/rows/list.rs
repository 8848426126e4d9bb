//! Lists: keyset pages in both directions, totals, rows by id. What is asked for is read in [`query`].
//! There is no OFFSET here and no count that nobody asked for: a page costs the same wherever it lies.

mod query;

use axum::http::HeaderValue;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{Count, Id, Page, Total};
use uuid::Uuid;

pub(crate) use self::query::{ListQuery, parse_limit};
use crate::{
    http::{
        cursor::{Cursor, CursorKey, Direction},
        error::Result,
    },
    rows::entity::{Entity, KeyKind, NaturalKey, SortKey},
    store::{database::Connection, write::Write},
};

/// Begins a transaction whose statements all see the same instant.
pub(crate) const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// One page of a filtered, sorted list.
pub(crate) struct ListRequest<E: Entity> {
    limit: u32,
    key: SortKey,
    pub(crate) descending: bool,
    pub(crate) search: Option<String>,
    pub(crate) count: Count,
    pub(crate) filter: E::Filter,
    cursor: Option<Cursor>,
    /// The query without its cursor and limit: what a cursor is bound to.
    binding: String,
    /// The query without its cursor, its parameters in order and none that says what goes without
    /// saying: equal requests have equal ones.
    canonical: String,
}

/// A page that was read, and how far the reading went.
pub(crate) struct ReadPage<E> {
    pub(crate) page: Page<E>,
    /// The key of the last row that was read; none where the list ended first.
    pub(crate) end: Option<KeyValue>,
}

/// The value of a sort key in one row.
#[derive(Clone, Debug)]
pub(crate) enum KeyValue {
    Text(String),
    Integer(i64),
    Time(DateTime<Utc>),
}

impl<E: Entity> ListRequest<E> {
    pub(crate) fn direction(&self) -> Direction {
        self.cursor
            .as_ref()
            .map_or(Direction::Forward, |cursor| cursor.direction)
    }

    /// The sort key of the row that the cursor points to.
    pub(crate) fn cursor_key(&self) -> Option<KeyValue> {
        let (key, _) = self.cursor.as_ref()?.row.as_ref()?;
        KeyValue::parse(key, self.key.kind)
    }

    /// The normalised query: equal ones ask for the same page.
    pub(crate) fn canonical(&self, cursor_key: &CursorKey) -> String {
        let cursor = self.cursor.as_ref();
        let cursor = cursor.map(|cursor| cursor_key.seal(cursor, &self.binding));
        format!("{}&cursor={}", self.canonical, cursor.unwrap_or_default())
    }

    /// Reads the page that the request names.
    ///
    /// # Errors
    /// What the database or the entity's filter refuses.
    pub(crate) async fn read(
        &self,
        conn: &mut Connection,
        cursor_key: &CursorKey,
    ) -> Result<ReadPage<E>> {
        let mut rows = E::page(conn, self).await?;
        let more = rows.len() > self.limit as usize;
        let end = rows.last().filter(|_| more).map(|(_, key)| key.clone());
        rows.truncate(self.limit as usize);
        let forward = self.direction() == Direction::Forward;
        if !forward {
            rows.reverse();
        }
        let seal = |direction, at: Option<&(E, KeyValue)>| {
            let row = at.map(|(row, key)| (key.to_text(), Some(row.id().uuid())));
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
        // Nothing comes after the place that was asked for, but something may come before it.
        let behind = self.cursor.as_ref().filter(|_| forward && rows.is_empty());
        let behind = behind.and_then(|cursor| cursor.row.clone()).map(|row| {
            let (direction, row) = (Direction::Backward, Some(row));
            cursor_key.seal(&Cursor { direction, row }, &self.binding)
        });
        let prev = prev.or(behind);
        let total = self.total(conn).await?;
        let items = rows.into_iter().map(|(row, _)| row).collect();
        let page = Page {
            items,
            next,
            prev,
            total,
            archived_before: None,
        };
        Ok(ReadPage { page, end })
    }

    /// Reads so many rows at a time and goes on after the last, until the list ends.
    pub(crate) fn in_batches_of(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Asks for what comes after that row.
    pub(crate) fn go_on_after(&mut self, row: &E, key: &KeyValue) {
        self.cursor = Some(Cursor {
            direction: Direction::Forward,
            row: Some((key.to_text(), Some(row.id().uuid()))),
        });
    }

    /// `Link` headers (RFC 8288) to the pages around this one, and to the first and the last.
    pub(crate) fn links(&self, page: &Page<E>, cursor_key: &CursorKey) -> Vec<HeaderValue> {
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
        let link = |(relation, cursor): (&str, Option<&str>)| {
            let cursor = Some(format!("cursor={}", cursor?)).filter(|_| cursor != Some(""));
            let query = Some(self.canonical.as_str()).filter(|query| !query.is_empty());
            let pairs: Vec<&str> = query.into_iter().chain(cursor.as_deref()).collect();
            let separator = if pairs.is_empty() { "" } else { "?" };
            let (path, pairs) = (E::PATH, pairs.join("&"));
            let link = format!("</v1/{path}{separator}{pairs}>; rel=\"{relation}\"");
            HeaderValue::from_str(&link).ok()
        };
        targets.into_iter().filter_map(link).collect()
    }

    async fn total(&self, conn: &mut Connection) -> Result<Option<Total>> {
        let search = self.search.as_deref();
        match self.count {
            Count::None => Ok(None),
            Count::Estimated => estimate::<E>(conn, &self.filter, search).await.map(Some),
            Count::Exact => count::<E>(conn, &self.filter, search).await.map(Some),
        }
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

    /// As a cursor holds it.
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

/// How many rows there are: reads every one of them.
pub(crate) async fn count<E: Entity>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
) -> Result<Total> {
    let mut sql = QueryBuilder::new("select count(*) from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    let value = sql.build_query_scalar().fetch_one(conn).await?;
    Ok(Total { value, exact: true })
}

/// Rows below which an estimate says little, and a count that costs no more than this, as the planner sees it, is
/// better: some ten milliseconds.
const COUNTED_BELOW: i64 = 1_000;
const COUNTED_COST: f64 = 20_000.0;

/// How many rows there are by the planner's guess, which reads none of them; few are counted.
pub(crate) async fn estimate<E: Entity>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
) -> Result<Total> {
    let mut sql = QueryBuilder::new("explain (format json) select 1 from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    let plan: Value = sql.build_query_scalar().fetch_one(&mut *conn).await?;
    let plan = &plan[0]["Plan"];
    let value = plan["Plan Rows"].as_f64().unwrap_or_default() as i64;
    let is_cheap = plan["Total Cost"]
        .as_f64()
        .is_some_and(|cost| cost < COUNTED_COST);
    if is_cheap {
        // The guess may be far too low, or from when there were more.
        let counted = count_up_to::<E>(conn, filter, search, COUNTED_BELOW).await?;
        return Ok(match counted < COUNTED_BELOW {
            true => Total {
                value: counted,
                exact: true,
            },
            false => Total {
                value: value.max(counted),
                exact: false,
            },
        });
    }
    Ok(Total {
        value,
        exact: false,
    })
}

async fn count_up_to<E: Entity>(
    conn: &mut Connection,
    filter: &E::Filter,
    search: Option<&str>,
    limit: i64,
) -> Result<i64> {
    let mut sql = QueryBuilder::new("select count(*) from (select 1 from ");
    sql.push(E::TABLE).push(" where true");
    E::filter(&mut sql, filter, search)?;
    sql.push(format_args!(" limit {limit}) as few"));
    Ok(sql.build_query_scalar().fetch_one(conn).await?)
}

/// Selects the rows of a page, and one more to see whether the list goes on.
pub(crate) async fn select_page<E: Entity>(
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

/// The limit that is written out for one that was asked for. Each text is a statement of its own, which every
/// connection keeps with its plan: of few limits there are few.
fn rounded(limit: u32) -> u32 {
    const LIMITS: [u32; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 1_000];
    LIMITS
        .into_iter()
        .find(|known| *known >= limit)
        .unwrap_or(limit)
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
        // With an id this follows from the bound below; the planner prunes partitions by this one alone. Without one
        // the rows that have the key are the first of what comes after it, and not among those before it.
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
            // What a caller seeks is folded as the keys are: by the database, whose rules differ from Rust's.
            None if expression.starts_with("lower(") => {
                sql.push("lower(");
                key.bind(&mut sql);
                sql.push(")");
            }
            None => key.bind(&mut sql),
        }
    }
    // Written out: a plan for any limit would not stop early, but read and sort every partition.
    let limit = rounded(request.limit) + 1;
    sql.push(format_args!(
        " order by {expression} {order}, id {order} limit {limit}"
    ));
    Ok(sql)
}

/// Selects rows by their ids.
pub(crate) async fn select_by_ids<E: Entity>(
    conn: &mut Connection,
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
    conn: &mut Connection,
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

/// Selects the rows with these ids or natural keys, each with its key, which nobody else can change until
/// the transaction ends.
pub(crate) async fn select_many_for_update<E: Entity>(
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

/// What of natural keys must be unique: equal ones name the same row.
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
pub(crate) async fn delete_by_id<E: Entity>(write: &mut Write, id: Id<E>) -> Result<()> {
    let sql = format!("delete from {} where id = $1", E::TABLE);
    sqlx::query(AssertSqlSafe(sql))
        .bind(id.uuid())
        .execute(write.conn().await?)
        .await?;
    Ok(())
}

/// Words of a search that are looked for; what comes after them is not.
const MAX_WORDS: usize = 8;

/// Appends ` and …` for each word of the text: all of them must be found in `expression`, in any order and
/// within longer words. The expression is that of the search index.
pub(crate) fn search(sql: &mut QueryBuilder<Postgres>, expression: &'static str, text: &str) {
    for word in text.split_whitespace().take(MAX_WORDS) {
        if !word.is_empty() {
            sql.push(format_args!(" and {expression} ilike "))
                .push_bind(contains_pattern(word));
        }
    }
}

/// The pattern for `ilike` that finds `text` anywhere, with its own wildcards made plain.
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
