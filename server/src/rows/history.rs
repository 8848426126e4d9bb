//! `GET /v1/{r}/{id}/history`: who changed a row, when, and which fields, as far back as the change log reaches.

use axum::{extract::State, response::Response};
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Id,
    change::{History, HistoryEntry, Op},
    page,
    partition::Family,
};

use crate::{
    http::{
        error::Result,
        extract::RowId,
        parameters::{Parameters, unreadable},
    },
    rows::{crud, entity::Entity, list::parse_limit},
    store::{
        Store,
        cache::{Answer, CacheControl, EntryKey, Loaded, ReadRequest, Tag},
        database::Connection,
        log::Difference,
        partitions::archived,
    },
};

/// A page of a history has the entries below this number: twice the version, plus 1 for a deletion. The version alone
/// does not identify an entry, because a deletion has the version of the entry before it.
#[derive(Clone, Copy, Debug)]
struct HistoryCursor(i64);

/// `GET /v1/{r}/{id}/history?limit&cursor`
pub(crate) async fn history<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    parameters: Parameters,
    cache_control: CacheControl,
) -> Result<Response> {
    let (limit, before) = parse(parameters)?;
    let (cache, now) = (store.cache.clone(), store.options.clock.now());
    let query = format!("{id}?limit={limit}&before={}", before.0);
    let request = ReadRequest {
        key: EntryKey::new(&format!("{}/history", E::PATH), &query),
        // The same tags as for the row itself: see `crud::get`.
        tags: || vec![Tag::row(id), Tag::list::<E>()],
        load: || load(store, id, limit, before),
    };
    let served = cache.read(request, &cache_control).await?;
    Ok(served.respond(&cache_control, now))
}

async fn load<E: Entity>(
    store: Store,
    id: Id<E>,
    limit: u32,
    before: HistoryCursor,
) -> Result<Loaded> {
    let mut conn = store.database.reads.acquire().await?;
    let mut items = select(&mut conn, id, limit + 1, before).await?;
    let next = if items.len() > limit as usize {
        items.truncate(limit as usize);
        items
            .last()
            .map(|entry| HistoryCursor::of(entry).0.to_string())
    } else {
        None
    };
    let history = History {
        items,
        next,
        begins_at: archived::archived_before(&mut conn, Family::Changes).await?,
    };
    drop(conn);
    if history.items.is_empty() {
        // A row loaded in bulk has no history. This refuses the request only if the row does not exist.
        crud::load_row(store, id).await?;
    }
    Ok(Loaded {
        answer: Answer::of(&history),
        depends_on: Some(vec![Tag::row(id)]),
    })
}

async fn select<E: Entity>(
    conn: &mut Connection,
    id: Id<E>,
    limit: u32,
    before: HistoryCursor,
) -> Result<Vec<HistoryEntry>> {
    let entries = sqlx::query(
        "select at, actor, on_behalf_of, op, version, before, after from changes
        where entity_id = $1 and entity = $2 and version is not null
            and 2 * version + (op = 'delete')::int < $3
        -- By version, not by time: the clocks of servers differ.
        order by 2 * version + (op = 'delete')::int desc
        limit $4",
    )
    .bind(id.uuid())
    .bind(E::NAME)
    .bind(before.0)
    .bind(i64::from(limit))
    .try_map(|row: PgRow| read(&row))
    .fetch_all(conn)
    .await?;
    Ok(entries)
}

fn read(row: &PgRow) -> sqlx::Result<HistoryEntry> {
    let Difference {
        op,
        before,
        after,
        fields,
    } = Difference::from_row(row)?;
    Ok(HistoryEntry {
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        on_behalf_of: row.try_get("on_behalf_of")?,
        op,
        version: row.try_get("version")?,
        changes: fields,
        before,
        after,
    })
}

impl HistoryCursor {
    const NEWEST: Self = Self(i64::MAX);

    fn of(entry: &HistoryEntry) -> Self {
        Self(2 * entry.version + i64::from(entry.op == Op::Delete))
    }
}

fn parse(mut parameters: Parameters) -> Result<(u32, HistoryCursor)> {
    let limit = parameters.take("limit");
    let cursor = parameters.take("cursor");
    parameters.refuse_rest(&["limit", "cursor"])?;
    let limit = limit.map_or(Ok(page::DEFAULT_LIMIT), |text| parse_limit(&text))?;
    let Some(text) = cursor else {
        return Ok((limit, HistoryCursor::NEWEST));
    };
    let position = text
        .parse()
        .ok()
        .filter(|position| *position >= 0)
        .map(HistoryCursor);
    let position = position.ok_or_else(|| {
        let message = "is not a cursor of a history; use `next` of the previous page";
        unreadable("cursor", "invalid_cursor", message)
    })?;
    Ok((limit, position))
}
