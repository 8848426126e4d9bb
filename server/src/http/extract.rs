//! Extractors for the parts of a request. Each rejects what it cannot read with a problem.

use std::{io::Read, sync::Arc, time::Duration};

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRef, FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use flate2::read::MultiGzDecoder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use stockroom_common::{FieldError, Id, Kind, Resource, document, table};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::error::{Error, Result};

/// Total size of the large bodies in memory at a time, in KiB. A body that is larger than this takes all of it. Parsed,
/// a body needs about ten times its size.
const MAX_LARGE_BODIES_KIB: u32 = 8 << 10;
/// A body larger than this needs permits, in bytes.
const LARGE: usize = 256 << 10;
/// How long a request waits for these permits. Its body is not read meanwhile.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// Limits for the size of a body, for the large bodies in memory, and for the time to receive a body. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BodyLimits {
    bytes: usize,
    time: Duration,
    /// One permit for each KiB of large bodies.
    large: Arc<Semaphore>,
}

impl BodyLimits {
    /// `bytes` limits a body that is not an array. `request_timeout` limits a whole request, not only its body.
    pub(crate) fn new(bytes: usize, request_timeout: Duration) -> Self {
        Self {
            bytes,
            // Ends before the timeout of the whole request, whose response would not name the cause.
            time: request_timeout * 9 / 10,
            large: Arc::new(Semaphore::new(MAX_LARGE_BODIES_KIB as usize)),
        }
    }
}

/// A JSON object. Unknown fields and wrong types are rejected with a pointer to them.
pub(crate) struct Document<T>(pub(crate) T);

impl<S, T> FromRequest<S> for Document<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Serialize,
    BodyLimits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let limits = BodyLimits::from_ref(state);
        let body = json(request, state, (limits.bytes, limits.time)).await?;
        if body.trim_ascii_start().starts_with(b"[") {
            let fault = FieldError::new("", "wrong_type", "is a list; it must be an object");
            return Err(Error::fields(Kind::Unreadable, vec![fault]));
        }
        read(&body).map(Self)
    }
}

/// Maximum size of an array of rows, in bytes.
pub(crate) const DOCUMENTS_LIMIT: usize = 16 << 20;

/// A JSON array of rows, which may be large. Faults are rejected as in [`Document`].
pub(crate) struct Documents<T> {
    pub(crate) rows: Vec<T>,
    /// Must be held for as long as the rows are in memory.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl<S, T> FromRequest<S> for Documents<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Serialize,
    BodyLimits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let limits = BodyLimits::from_ref(state);
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let permit = match length {
            Some(length) if length <= LARGE && !is_gzipped(request.headers())? => None,
            // Without a length, or compressed, the body may have any size up to the limit.
            Some(length) if !is_gzipped(request.headers())? => {
                Some(take_turn(&limits, length).await?)
            }
            _ => Some(take_turn(&limits, usize::MAX).await?),
        };
        let rows = read(&json(request, state, (DOCUMENTS_LIMIT, limits.time)).await?)?;
        Ok(Self { rows, permit })
    }
}

/// Waits until the large bodies in memory leave room for another of `bytes` bytes.
async fn take_turn(limits: &BodyLimits, bytes: usize) -> Result<OwnedSemaphorePermit> {
    let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
    let turn = limits.large.clone();
    let turn = turn.acquire_many_owned(kib.min(MAX_LARGE_BODIES_KIB));
    match tokio::time::timeout(TURN_LIMIT, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => {
            let detail = "Too many large requests are running. Try again later, or send fewer rows at a time.";
            Err(Error::refused(Kind::Unavailable, detail))
        }
    }
}

fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<T> {
    document::from_slice(body).map_err(|error| Error::fields(Kind::Unreadable, vec![error]))
}

/// Reads and decompresses a body of at most `limit` bytes, which must arrive within `time`.
async fn json<S: Send + Sync>(
    request: Request,
    state: &S,
    (limit, time): (usize, Duration),
) -> Result<Bytes> {
    if !is_json(request.headers()) {
        return Err(Error::refused(
            Kind::UnsupportedMediaType,
            "Send the body as `Content-Type: application/json`.",
        ));
    }
    let is_gzipped = is_gzipped(request.headers())?;
    if request.body().size_hint().lower() > limit as u64 {
        // Rejected before any of the body is read.
        return Err(too_large());
    }
    let body = tokio::time::timeout(time, Bytes::from_request(request, state));
    let body =
        body.await
            .map_err(|_| late(time))?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                _ => Error::refused(Kind::Unreadable, "The body is incomplete."),
            })?;
    if !is_gzipped {
        return Ok(body);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(&*body)
        .take(limit as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| Error::refused(Kind::Unreadable, "The body is not valid gzip."))?;
    if unpacked.len() <= limit {
        Ok(unpacked.into())
    } else {
        Err(too_large())
    }
}

fn late(limit: Duration) -> Error {
    let detail =
        format!("The body did not arrive within {limit:?}. Send less at a time, or gzipped.");
    Error::refused(Kind::Timeout, detail)
}

fn too_large() -> Error {
    let detail = "The body is too large; split it.";
    Error::refused(Kind::TooLarge, detail)
}

/// Whether the headers declare the body as gzipped.
///
/// # Errors
/// 415 if it has any other encoding, or is gzipped more than once.
pub(crate) fn is_gzipped(headers: &HeaderMap) -> Result<bool> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let codings = codings.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let mut is_gzipped = false;
    for coding in codings.map(|coding| coding.trim().to_ascii_lowercase()) {
        match coding.as_str() {
            "" | "identity" => {}
            "gzip" | "x-gzip" if !is_gzipped => is_gzipped = true,
            _ => {
                let detail = "Send the body gzipped once, or not encoded.";
                return Err(Error::refused(Kind::UnsupportedMediaType, detail));
            }
        }
    }
    Ok(is_gzipped)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let Some(essence) = value.to_str().ok().and_then(|text| text.split(';').next()) else {
        return false;
    };
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json" || essence == "application/merge-patch+json"
}

/// The `{id}` in a path.
pub(crate) struct RowId<R>(pub(crate) Id<R>);

impl<S: Send + Sync, R> FromRequestParts<S> for RowId<R> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        parse_id(&text).map(Self)
    }
}

/// The `{name}` in a path.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| unreadable_path())?;
        Ok(Self(text))
    }
}

fn unreadable_path() -> Error {
    Error::refused(Kind::Unreadable, "The path is not valid UTF-8.")
}

/// Parses an id from a path or a query.
pub(crate) fn parse_id<R>(text: &str) -> Result<Id<R>> {
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is not an id; ids are UUIDs.");
        Error::refused(Kind::Unreadable, detail)
    })
}

/// Reads the document of a row as the caller sent it, without checking the rules of `R`.
///
/// # Errors
/// 400 if it cannot be read as such a document.
pub(crate) fn read_new<R: Resource>(mut sent: Value) -> Result<R::New> {
    table::normalize(R::TABLE_COLUMNS, &mut sent);
    let new = document::from_value(&sent).and_then(|new: R::New| {
        document::refuse_null(&sent, &document::to_value(&new))?;
        Ok(new)
    });
    new.map_err(|fault| Error::fields(Kind::Unreadable, vec![fault]))
}

/// Checks the rules of `R` that need no database, but only for fields that a write changes. Unchanged fields may break
/// the rules, because this server or an older version has stored them.
pub(crate) fn checked_change<R: Resource>(old: &R, new: R::New) -> Result<R::New> {
    let mut errors = R::check(&new);
    if !errors.is_empty() {
        let (before, after) = (
            document::to_value(&old.document()),
            document::to_value(&new),
        );
        errors.retain(|error| before.pointer(&error.pointer) != after.pointer(&error.pointer));
    }
    if errors.is_empty() {
        Ok(new)
    } else {
        Err(Error::fields(Kind::Invalid, errors))
    }
}

/// Checks the rules of `R` that need no database.
pub(crate) fn checked<R: Resource>(new: R::New) -> Result<R::New> {
    match R::check(&new) {
        errors if errors.is_empty() => Ok(new),
        errors => Err(Error::fields(Kind::Invalid, errors)),
    }
}
