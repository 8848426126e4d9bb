//! Lists: keyset pages in both directions, totals, rows by id. [`query`] parses the request. Pages never use OFFSET and
//! count rows only on request, so a page costs the same anywhere in the list.

mod query;
pub(crate) mod select;
pub(crate) mod total;

use axum::http::HeaderValue;
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};
use stockroom_common::{Count, Page, Total};

pub(crate) use self::query::{ListQuery, parse_limit};
use crate::{
    http::{
        cursor::{Cursor, CursorKey, Direction},
        error::Result,
    },
    rows::table::{KeyKind, SortKey, Table},
    store::database::Connection,
};

/// Begins a transaction whose statements all see the same snapshot.
pub(crate) const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// One page of a filtered, sorted list.
pub(crate) struct ListRequest<E: Table> {
    limit: u32,
    key: SortKey,
    pub(crate) descending: bool,
    pub(crate) search: Option<String>,
    pub(crate) count: Count,
    pub(crate) filter: E::Filter,
    cursor: Option<Cursor>,
    /// The query without cursor and limit. Cursors are bound to it: one from another query is refused.
    binding: String,
    /// The query without cursor, with sorted parameters and without default values. Equal requests have equal
    /// canonical queries.
    canonical: String,
}

/// A page, and how far the list was read for it.
pub(crate) struct ReadPage<E> {
    pub(crate) page: Page<E>,
    /// The key of the last row that was read, one beyond the page; `None` if the list ended with the page.
    pub(crate) end: Option<KeyValue>,
}

/// The value of a sort key in one row.
#[derive(Clone, Debug)]
pub(crate) enum KeyValue {
    Text(String),
    Integer(i64),
    Time(DateTime<Utc>),
}

impl<E: Table> ListRequest<E> {
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

    /// The normalised query with its cursor. Equal values request the same page.
    pub(crate) fn canonical(&self, cursor_key: &CursorKey) -> String {
        let cursor = self.cursor.as_ref();
        let cursor = cursor.map(|cursor| cursor_key.seal(cursor, &self.binding));
        format!("{}&cursor={}", self.canonical, cursor.unwrap_or_default())
    }

    /// Builds the page from the rows that were read for it, which include one beyond the limit if the list continues.
    ///
    /// # Errors
    /// What the database refuses when the rows are counted.
    pub(crate) async fn page_of(
        &self,
        mut rows: Vec<(E, KeyValue)>,
        conn: &mut Connection,
        cursor_key: &CursorKey,
    ) -> Result<ReadPage<E>> {
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
        // A cursor with a row or a sought key always has a page in the opposite direction, which may be empty.
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
        // The page is empty: nothing follows the cursor, but rows may precede it.
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

    /// Sets the rows per read, for callers that read the whole list in batches with [`Self::continue_after`].
    pub(crate) fn set_batch_rows(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Makes the next read start after that row.
    pub(crate) fn continue_after(&mut self, row: &E, key: &KeyValue) {
        self.cursor = Some(Cursor {
            direction: Direction::Forward,
            row: Some((key.to_text(), Some(row.id().uuid()))),
        });
    }

    /// `Link` headers (RFC 8288) to the first, previous, next and last page.
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
            Count::Estimated => total::estimate::<E>(conn, &self.filter, search)
                .await
                .map(Some),
            Count::Exact => total::count::<E>(conn, &self.filter, search)
                .await
                .map(Some),
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

    /// The text form that a cursor contains.
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Time(at) => at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }

    /// Parses the text form that a cursor contains. The text can be trusted, because cursors are signed.
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
