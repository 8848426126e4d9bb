//! Entries of the change log: what each write did to which row, written in the write's own transaction.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Id, Resource,
    change::Op,
    document::{self, FieldChange},
};
use uuid::Uuid;

use super::LogRun;
use crate::{
    http::{actor::Actor, error::Result},
    store::{cache::Tag, database::Connection},
};

/// An entry that is not written yet.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) entity: &'static str,
    pub(crate) entity_id: Option<Uuid>,
    pub(crate) op: Op,
    pub(crate) version: Option<i64>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) tags: Vec<Tag>,
}

impl Change {
    /// The entry for one row. `tags` are the cache tags of everything that shows the row; at least one of `before` and
    /// `after` must be given.
    pub(crate) fn of_row<R: Resource>(
        op: Op,
        before: Option<&R>,
        after: Option<&R>,
        mut tags: Vec<Tag>,
    ) -> Self {
        let row = after.or(before);
        tags.sort();
        tags.dedup();
        Self {
            entity: R::NAME,
            entity_id: row.map(|row| row.id().uuid()),
            op,
            version: row.map(R::version),
            before: before.map(document::to_value),
            after: after.map(document::to_value),
            tags,
        }
    }
}

/// How an entry says its row changed.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) op: Op,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    /// Empty if the row was created or deleted, or if the entry is about many rows.
    pub(crate) fields: Vec<FieldChange>,
}

impl Difference {
    /// Decodes the columns `op`, `before` and `after`.
    pub(crate) fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let op: String = row.try_get("op")?;
        let op = op.parse();
        let before: Option<Value> = row.try_get("before")?;
        let after: Option<Value> = row.try_get("after")?;
        let fields = match (&before, &after) {
            (Some(before), Some(after)) => document::changes(before, after),
            _ => Vec::new(),
        };
        Ok(Self {
            op: op.map_err(|error: String| sqlx::Error::Decode(error.into()))?,
            before,
            after,
            fields,
        })
    }
}

/// Bit 61, the highest random bit below the variant of a UUIDv7. It is cleared in the first id of a write, so that
/// counting up from there cannot overflow into the variant.
const ROOM_TO_COUNT: u128 = 1 << 61;

/// Appends one entry to the log; returns it as a run.
pub(crate) async fn append(
    conn: &mut Connection,
    at: DateTime<Utc>,
    actor: &Actor,
    change: &Change,
) -> Result<LogRun> {
    append_all(conn, at, actor, std::slice::from_ref(change), None).await
}

/// Appends entries to the log in one statement; returns them as a run. Their ids count up, from the last id of
/// `behind` (the previous run of the same write) if it is given.
pub(crate) async fn append_all(
    conn: &mut Connection,
    at: DateTime<Utc>,
    actor: &Actor,
    changes: &[Change],
    behind: Option<&LogRun>,
) -> Result<LogRun> {
    let first = match behind {
        Some(run) => run.last().as_u128() + 1,
        None => Id::<Change>::mint(at, rand::random()).uuid().as_u128() & !ROOM_TO_COUNT,
    };
    let seqs: Vec<Uuid> = (first..).take(changes.len()).map(Uuid::from_u128).collect();
    // JSON arrays, because PostgreSQL's nested arrays must all have the same length.
    let tags = changes.iter().map(|change| {
        let tags = change.tags.iter().map(Tag::as_str);
        tags.collect::<Value>()
    });
    sqlx::query(
        "insert into changes
            (at, seq, actor, on_behalf_of, entity, entity_id, op, version, before, after, tags)
        select $1, seq, $2, $11, entity, entity_id, op, version, before, after,
            array(select jsonb_array_elements_text(tags))
        from unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::jsonb[],
            $9::jsonb[], $10::jsonb[])
            as entry (seq, entity, entity_id, op, version, before, after, tags)",
    )
    .bind(at)
    .bind(&actor.name)
    .bind(&seqs)
    .bind(
        changes
            .iter()
            .map(|change| change.entity)
            .collect::<Vec<_>>(),
    )
    .bind(
        changes
            .iter()
            .map(|change| change.entity_id)
            .collect::<Vec<_>>(),
    )
    .bind(
        changes
            .iter()
            .map(|change| change.op.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(
        changes
            .iter()
            .map(|change| change.version)
            .collect::<Vec<_>>(),
    )
    .bind(
        changes
            .iter()
            .map(|change| change.before.clone())
            .collect::<Vec<_>>(),
    )
    .bind(
        changes
            .iter()
            .map(|change| change.after.clone())
            .collect::<Vec<_>>(),
    )
    .bind(tags.collect::<Vec<_>>())
    .bind(&actor.on_behalf_of)
    .execute(conn)
    .await?;
    Ok(LogRun {
        at,
        first: Uuid::from_u128(first),
        entries: changes.len(),
    })
}

/// The tags of all entries about these rows that are not yet marked as relayed, and so may still be in the cache.
pub(crate) async fn unrelayed_tags<R: Resource>(
    conn: &mut Connection,
    ids: &[Id<R>],
) -> Result<Vec<Tag>> {
    let tags: Vec<String> = sqlx::query_scalar(
        "select distinct unnest(tags) from changes
        where entity_id = any($1) and entity = $2 and relayed_at is null",
    )
    .bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(R::NAME)
    .fetch_all(conn)
    .await?;
    Ok(tags.into_iter().map(Tag::from).collect())
}

/// The newest entry about a row that has a version: that version, and the row before the change.
pub(crate) async fn last_of<R: Resource>(
    conn: &mut Connection,
    id: Id<R>,
) -> Result<Option<(i64, Option<Value>)>> {
    let last = sqlx::query_as(
        "select version, before from changes
        where entity_id = $1 and entity = $2 and version is not null
        -- By version, not by time: the clocks of servers differ, and one write may wait for another.
        order by version desc, (op = 'delete') desc, at desc limit 1",
    )
    .bind(id.uuid())
    .bind(R::NAME)
    .fetch_optional(conn)
    .await?;
    Ok(last)
}
