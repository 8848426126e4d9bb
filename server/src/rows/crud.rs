//! The shell that serves every entity: HTTP on the outside, the entity's SQL in the middle, the
//! write path around it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use stockroom_common::{Id, Kind, Page, change::Op, document, table};

use crate::{
    http::{
        conditions,
        error::{Error, Result},
        extract::{Actor, Document, RowId, checked, checked_change, read_new},
    },
    rows::{
        entity::{Entity, Identity},
        list::{ListQuery, ListRequest, ReadPage},
    },
    store::{
        Store,
        cache::{Answer, CacheControl, EntryKey, Invalidation, Loaded, ReadRequest, Tag},
        database::Connection,
        log,
        partitions::archived,
        write::{Write, detached},
    },
};

const INVALIDATION: HeaderName = HeaderName::from_static("stockroom-invalidation");
/// What the count of referring rows stops at.
const COUNT_CAP: i64 = 1_000;

/// `GET /v1/{r}`: a page, or the rows of a list of ids.
pub(crate) async fn list<E: Entity>(
    State(store): State<Store>,
    RawQuery(query): RawQuery,
    cache_control: CacheControl,
) -> Result<Response> {
    let now = store.options.clock.now();
    let cache = store.cache.clone();
    let query = query.unwrap_or_default();
    let served = match ListQuery::<E>::parse(&query, &store.cursor_key)? {
        ListQuery::Ids(ids) => {
            let names: Vec<String> = ids.iter().map(Id::to_string).collect();
            let ids: Arc<[Id<E>]> = ids.into();
            let request = ReadRequest {
                key: EntryKey::new(E::PATH, &format!("id={}", names.join(","))),
                tags: || {
                    ids.iter()
                        .map(|id| Tag::row(*id))
                        .chain([Tag::list::<E>()])
                        .collect()
                },
                load: || load_rows::<E>(store, ids.clone()),
            };
            cache.read(request, &cache_control).await?
        }
        ListQuery::Page(request) => {
            let request = Arc::new(request);
            let request = ReadRequest {
                key: EntryKey::new(E::PATH, &request.canonical(&store.cursor_key)),
                tags: || E::page_tags(&request, now),
                load: || load_page::<E>(store, request.clone()),
            };
            cache.read(request, &cache_control).await?
        }
    };
    Ok(served.respond(&cache_control, now))
}

async fn load_page<E: Entity>(store: Store, request: Arc<ListRequest<E>>) -> Result<Loaded> {
    let now = store.options.clock.now();
    let mut conn = store.database.reads.acquire().await?;
    let rows = E::page(&mut conn, &request).await?;
    let read = request.page_of(rows, &mut conn, &store.cursor_key);
    let ReadPage { mut page, end } = read.await?;
    if let Some(family) = E::FAMILY {
        page.archived_before = archived::archived_before(&mut conn, family).await?;
    }
    let links = request.links(&page, &store.cursor_key);
    let answer = Answer {
        links,
        ..Answer::of(&page)
    };
    let depends_on = Some(E::actual_tags(&request, now, end.as_ref()));
    Ok(Loaded { answer, depends_on })
}

async fn load_rows<E: Entity>(store: Store, ids: Arc<[Id<E>]>) -> Result<Loaded> {
    let mut conn = store.database.reads.acquire().await?;
    let items = E::by_ids(&store.partitions, &mut conn, &ids).await?;
    // A row that is not there may come by a load in bulk, which does not name it.
    let depends_on =
        (items.len() == ids.len()).then(|| ids.iter().map(|id| Tag::row(*id)).collect());
    let answer = Answer::of(&Page::whole(items));
    Ok(Loaded { answer, depends_on })
}

/// `GET /v1/{r}/{id}`
pub(crate) async fn get<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    cache_control: CacheControl,
) -> Result<Response> {
    let (cache, now) = (store.cache.clone(), store.options.clock.now());
    let request = ReadRequest {
        key: EntryKey::new(E::PATH, &id.to_string()),
        // Of a load in bulk, which names no rows, those that come after it must not join those before.
        tags: || vec![Tag::row(id), Tag::list::<E>()],
        load: || load_row(store, id),
    };
    let served = cache.read(request, &cache_control).await?;
    Ok(served.respond(&cache_control, now))
}

pub(crate) async fn load_row<E: Entity>(store: Store, id: Id<E>) -> Result<Loaded> {
    let mut conn = store.database.reads.acquire().await?;
    let mut row = E::by_ids(&store.partitions, &mut conn, &[id]).await?.pop();
    for _ in 0..retries::<E>() {
        if row.is_some() {
            break;
        }
        check_archived(&mut conn, id).await?;
        row = E::by_ids(&store.partitions, &mut conn, &[id]).await?.pop();
    }
    let row = row.ok_or_else(|| not_found(id))?;
    let answer = Answer {
        etag: conditions::etag(&row),
        ..Answer::of(&row)
    };
    Ok(Loaded {
        answer,
        depends_on: Some(vec![Tag::row(id)]),
    })
}

/// `POST /v1/{r}`
pub(crate) async fn create<E: Entity>(
    State(store): State<Store>,
    actor: Actor,
    Document(sent): Document<Value>,
) -> Result<Response> {
    let new = checked::<E>(read_new::<E>(sent)?)?;
    insert::<E>(Write::new(store, actor), Identity::Minted, new).await
}

/// `PUT /v1/{r}/{id}`: writes the whole document over a row, or, with `If-None-Match: *`, creates
/// the row under that id.
pub(crate) async fn replace<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    headers: HeaderMap,
    actor: Actor,
    Document(sent): Document<Value>,
) -> Result<Response> {
    let new = read_new::<E>(sent)?;
    if !conditions::wants_create(&headers)? {
        return update::<E>(store, actor, id, headers, |row| checked_change(row, new)).await;
    }
    let new = checked::<E>(new)?;
    let mut conn = store.database.reads.acquire().await?;
    if !E::by_ids(&store.partitions, &mut conn, &[id])
        .await?
        .is_empty()
    {
        return Err(exists::<E>());
    }
    // A row that lived before goes on where it ended, so that no old ETag ever fits again.
    let last = log::last_of(&mut conn, id).await?;
    let version = last.map_or(1, |(version, _)| version + 1);
    // Given back before the write takes one: who holds one and waits for another may wait for ever.
    drop(conn);
    let identity = Identity::Given { id, version };
    insert::<E>(Write::new(store, actor), identity, new).await
}

/// `PATCH /v1/{r}/{id}`: an RFC 7396 merge patch of the document that PUT would take.
pub(crate) async fn patch<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    headers: HeaderMap,
    actor: Actor,
    Document(mut patch): Document<Value>,
) -> Result<Response> {
    if !patch.is_object() {
        let detail = "A merge patch is an object with the fields to change.";
        return Err(Error::refused(Kind::Unreadable, detail));
    }
    table::normalize(E::TABLE_COLUMNS, &mut patch);
    update::<E>(store, actor, id, headers, |row| {
        checked_change(row, merged(row, patch)?)
    })
    .await
}

/// The document of a row with a merge patch.
///
/// # Errors
/// 400 where it cannot be one.
pub(crate) fn merged<E: Entity>(row: &E, patch: Value) -> Result<E::New> {
    let mut merged = document::to_value(&row.document());
    let nulls = holds_null(&patch).then(|| patch.clone());
    document::merge(&mut merged, patch);
    let new = document::from_value(&merged).and_then(|new: E::New| {
        nulls.map_or(Ok(()), |patch| {
            document::refuse_null(&patch, &document::to_value(&new))
        })?;
        Ok(new)
    });
    new.map_err(|fault| Error::fields(Kind::Unreadable, vec![fault]))
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

/// `DELETE /v1/{r}/{id}`
pub(crate) async fn delete<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    headers: HeaderMap,
    actor: Actor,
) -> Result<Response> {
    let pool = store.database.reads.clone();
    let deleted = detached(async move {
        let mut write = Write::new(store, actor);
        let required = write.store.options.require_if_match;
        let old = lock(&mut write, id).await?;
        conditions::check_version(&headers, &old, required)?;
        E::delete(&mut write, &old).await?;
        E::record(&mut write, Op::Delete, Some(&old), None);
        write.commit().await
    })
    .await;
    match deleted {
        Err(error) if error.is_foreign_key_violation() => {
            Err(referenced(&mut *pool.acquire().await?, id).await?)
        }
        deleted => deleted
            .map(|done| with_invalidation_header(done, StatusCode::NO_CONTENT.into_response())),
    }
}

async fn insert<E: Entity>(
    mut write: Write,
    identity: Identity<E>,
    new: E::New,
) -> Result<Response> {
    let (row, done) = detached(async move {
        let row = E::insert(&mut write, identity, new).await?;
        E::record(&mut write, Op::Create, None, Some(&row));
        let done = write.commit().await?;
        Ok((row, done))
    })
    .await
    .map_err(|error| {
        // Two callers may bring the same row back at once; the key decides.
        if error.is_duplicate_key_of(E::TABLE) {
            return exists::<E>();
        }
        error.on_constraint(E::CONSTRAINTS)
    })?;
    let location = format!("/v1/{}/{}", E::PATH, row.id());
    let mut response = with_invalidation_header(done, respond(StatusCode::CREATED, &row));
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn update<E: Entity>(
    store: Store,
    actor: Actor,
    id: Id<E>,
    headers: HeaderMap,
    change: impl FnOnce(&E) -> Result<E::New> + Send + 'static,
) -> Result<Response> {
    let (row, done) = detached(async move {
        let mut write = Write::new(store, actor);
        let required = write.store.options.require_if_match;
        let old = lock(&mut write, id).await?;
        conditions::check_version(&headers, &old, required)?;
        let new = change(&old)?;
        if old.is_unchanged_by(&new) {
            // Nothing changes, so there is nothing to tell anybody. But who wrote the row as it is may
            // not have come to its tags, and from here on it is acknowledged.
            let mut tags = log::unrelayed_tags(write.conn().await?, &[id]).await?;
            tags.extend(old.tags());
            let done = write.store.cache.invalidate(&tags).await;
            return Ok((old, done));
        }
        let row = E::update(&mut write, &old, new).await?;
        E::record(&mut write, Op::Update, Some(&old), Some(&row));
        let done = write.commit().await?;
        Ok((row, done))
    })
    .await
    .map_err(|error| error.on_constraint(E::CONSTRAINTS))?;
    Ok(with_invalidation_header(
        done,
        respond(StatusCode::OK, &row),
    ))
}

/// The row, which nobody else can change until the write ends.
async fn lock<E: Entity>(write: &mut Write, id: Id<E>) -> Result<E> {
    let conn = write.conn().await?;
    if let Some(row) = E::lock(conn, id).await? {
        return Ok(row);
    }
    for _ in 0..retries::<E>() {
        check_archived(conn, id).await?;
        if let Some(row) = E::lock(conn, id).await? {
            return Ok(row);
        }
    }
    Err(not_found(id))
}

/// How often one looks again for a row that is not there: its partition may have come back between the looks
/// at the two places where it may be, and gone again.
const fn retries<E: Entity>() -> usize {
    const AGAIN: usize = 5;
    match E::FAMILY {
        Some(_) => AGAIN,
        None => 0,
    }
}

/// Looks where a row may be that is not in its table.
///
/// # Errors
/// 410 where its partition is archived or dropped.
pub(crate) async fn check_archived<E: Entity>(conn: &mut Connection, id: Id<E>) -> Result<()> {
    let (Some(family), Some(at)) = (E::FAMILY, id.time()) else {
        return Ok(());
    };
    archived::gone(conn, family, at).await?.map_or(Ok(()), Err)
}

pub(crate) fn not_found<E: Entity>(id: Id<E>) -> Error {
    let detail = format!("There is no {} {id}.", E::NAME);
    Error::refused(Kind::NotFound, detail)
}

fn exists<E: Entity>() -> Error {
    let detail = format!("There is already a {} with this id.", E::NAME);
    Error::refused(Kind::PreconditionFailed, detail)
}

/// Says what keeps a row from being deleted, and how much of it there is.
pub(crate) async fn referenced<E: Entity>(conn: &mut Connection, id: Id<E>) -> Result<Error> {
    let mut reasons = Vec::new();
    for reference in E::REFERENCES {
        let count = sqlx::query(reference.select)
            .bind(id.uuid())
            .fetch_all(&mut *conn)
            .await?
            .len() as i64;
        let count = match count {
            0 => continue,
            count if count > COUNT_CAP => "1,000+".to_owned(),
            count => count.to_string(),
        };
        reasons.push(format!("{}: {count}; {}", reference.what, reference.advice));
    }
    if reasons.is_empty() {
        reasons.push(if archived::is_any(conn).await? {
            "orders in an archived partition may refer to it; restore that first".into()
        } else {
            // The row that referred to it was deleted after the database refused.
            "another row still refers to it; try again".into()
        });
    }
    let detail = format!("The {} cannot be deleted: {}.", E::NAME, reasons.join(". "));
    Ok(Error::refused(Kind::Conflict, detail))
}

/// Says so where cached answers may be old until the relay has seen to them.
pub(crate) fn with_invalidation_header(done: Invalidation, mut response: Response) -> Response {
    if done == Invalidation::Deferred {
        let deferred = HeaderValue::from_static("deferred");
        response.headers_mut().insert(INVALIDATION, deferred);
    }
    response
}

fn respond<E: Entity>(status: StatusCode, row: &E) -> Response {
    (status, [(header::ETAG, conditions::etag(row))], Json(row)).into_response()
}
