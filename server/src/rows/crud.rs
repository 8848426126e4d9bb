//! The handlers of lists and single rows, shared by all entities. Reads go through the cache and writes through the
//! write path; the SQL is that of the [`Entity`].

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use stockroom_common::{Id, Kind, Page, change::Op, document, table};

use crate::{
    http::{
        actor::Actor,
        conditions,
        error::{Error, Result},
        extract::{Document, RowId, checked, checked_change, read_new},
        parameters::Parameters,
    },
    rows::{
        entity::{Entity, Identity},
        list::{ListQuery, ListRequest, ReadPage},
        referenced::referenced,
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

/// `GET /v1/{r}`: a page, or the rows of a list of ids.
pub(crate) async fn list<E: Entity>(
    State(store): State<Store>,
    parameters: Parameters,
    cache_control: CacheControl,
) -> Result<Response> {
    let now = store.options.clock.now();
    let cache = store.cache.clone();
    let served = match ListQuery::<E>::parse(parameters, &store.cursor_key)? {
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
    // A missing row may be created by a bulk load, which deletes no row tags. So an incomplete answer is not cached.
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
        // The list tag counts only until the row is loaded: a bulk load deletes no row tags, and a read that starts
        // after a bulk load must not share the result of a read that started before it.
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

/// `PUT /v1/{r}/{id}`: replaces the whole document of a row, or, with `If-None-Match: *`, creates the row with that id.
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
    // A row that existed before continues after its last version, so that no old ETag ever matches again.
    let last = log::last_of(&mut conn, id).await?;
    let version = last.map_or(1, |(version, _)| version + 1);
    // Released before the write acquires one: holding one connection while waiting for another can block for ever.
    drop(conn);
    let identity = Identity::Given { id, version };
    insert::<E>(Write::new(store, actor), identity, new).await
}

/// `PATCH /v1/{r}/{id}`: applies an RFC 7396 merge patch to the document that PUT takes.
pub(crate) async fn patch<E: Entity>(
    State(store): State<Store>,
    RowId(id): RowId<E>,
    headers: HeaderMap,
    actor: Actor,
    Document(mut patch): Document<Value>,
) -> Result<Response> {
    if !patch.is_object() {
        let detail = "A merge patch must be an object with the fields to change.";
        return Err(Error::refused(Kind::Unreadable, detail));
    }
    table::normalize(E::TABLE_COLUMNS, &mut patch);
    update::<E>(store, actor, id, headers, |row| {
        checked_change(row, merged(row, patch)?)
    })
    .await
}

/// Applies a merge patch to the document of a row.
///
/// # Errors
/// 400 if the result is not a valid document.
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
        write.begin().await?;
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
        // Two callers may create a row with the same id at once; the primary key decides who succeeds.
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
        write.begin().await?;
        let required = write.store.options.require_if_match;
        let old = lock(&mut write, id).await?;
        conditions::check_version(&headers, &old, required)?;
        let new = change(&old)?;
        if old.is_unchanged_by(&new) {
            // Nothing changes, so nothing is logged. But the writer of the current row may not have deleted its
            // tags from the cache yet. This answer acknowledges that row, so the tags must be deleted first.
            let mut tags = log::unrelayed_tags(write.conn()?, &[id]).await?;
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

/// Reads a row and locks it until the write ends.
async fn lock<E: Entity>(write: &mut Write, id: Id<E>) -> Result<E> {
    let conn = write.conn()?;
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

/// How many times to look again for a row that was not found. The row may be in its table or in an archived partition,
/// and these are checked one after the other: both checks miss it if the partition is restored between them. The
/// partition can even be archived again before the next attempt.
const fn retries<E: Entity>() -> usize {
    const AGAIN: usize = 5;
    match E::FAMILY {
        Some(_) => AGAIN,
        None => 0,
    }
}

/// Checks whether a row that is not in its table may be in an archived partition.
///
/// # Errors
/// 410 if its partition is archived or dropped.
pub(crate) async fn check_archived<E: Entity>(conn: &mut Connection, id: Id<E>) -> Result<()> {
    let (Some(family), Some(at)) = (E::FAMILY, id.time()) else {
        return Ok(());
    };
    archived::gone_error(conn, family, at)
        .await?
        .map_or(Ok(()), Err)
}

pub(crate) fn not_found<E: Entity>(id: Id<E>) -> Error {
    let detail = format!("There is no {} {id}.", E::NAME);
    Error::refused(Kind::NotFound, detail)
}

fn exists<E: Entity>() -> Error {
    let detail = format!("A {} with this id exists already.", E::NAME);
    Error::refused(Kind::PreconditionFailed, detail)
}

/// Adds the header `Stockroom-Invalidation: deferred` if cached answers may be stale until the relay deletes their
/// tags.
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
