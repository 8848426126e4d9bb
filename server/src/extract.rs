//! What handlers take from a request, each refused with a problem where it cannot be read.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;
use stockroom_common::{FieldError, Id, Kind, Resource, document};

use tokio::sync::OwnedSemaphorePermit;

use crate::{
    error::{Error, Result},
    state::{AppState, MAX_LARGE_BODIES_KIB},
};

/// Bytes from which on a body takes a turn.
const LARGE: usize = 256 << 10;
/// How long it waits for that.
const TURN_LIMIT: Duration = Duration::from_secs(20);

/// A JSON body. Unknown fields and wrong types are refused with a pointer to them.
pub(crate) struct Document<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Document<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let body = json(request, state).await?;
        // A struct could be read from an array as well, and then no field would have a name.
        if body.trim_ascii_start().starts_with(b"[") {
            let fault = FieldError::new("", "wrong_type", "is a list; it must be an object");
            return Err(Error::fields(Kind::Unreadable, vec![fault]));
        }
        read(&body).map(Self)
    }
}

/// Likewise an array, which may be large.
pub(crate) struct Documents<T> {
    pub(crate) rows: Vec<T>,
    /// To be held as long as what was made of them.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Documents<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let permit = match length {
            Some(length) if length <= LARGE => None,
            // Without a length it may be anything up to the limit.
            length => Some(take_turn(state, length.unwrap_or(usize::MAX)).await?),
        };
        let rows = read(&json(request, state).await?)?;
        Ok(Self { rows, permit })
    }
}

/// Waits until the large bodies in memory leave room for one more of that many bytes.
async fn take_turn(state: &AppState, bytes: usize) -> Result<OwnedSemaphorePermit> {
    let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
    let turn = state.large_bodies.clone();
    let turn = turn.acquire_many_owned(kib.min(MAX_LARGE_BODIES_KIB));
    match tokio::time::timeout(TURN_LIMIT, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => {
            let detail = "As many large requests as may be are under way; send it again later, or fewer rows at a \
                time.";
            Err(Error::refused(Kind::Unavailable, detail))
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    document::from_slice(body).map_err(|error| Error::fields(Kind::Unreadable, vec![error]))
}

async fn json<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    if !is_json(request.headers()) {
        return Err(Error::refused(
            Kind::UnsupportedMediaType,
            "Send the body as `Content-Type: application/json`.",
        ));
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::refused(
                    Kind::TooLarge,
                    "The body is larger than the server takes; split it or shorten it.",
                )
            } else {
                Error::refused(Kind::Unreadable, "The body did not arrive whole.")
            }
        })
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

/// The `{id}` of a path.
pub(crate) struct RowId<R>(pub(crate) Id<R>);

impl<S: Send + Sync, R> FromRequestParts<S> for RowId<R> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let unreadable = || Error::refused(Kind::Unreadable, "The path is not valid UTF-8.");
        let Path(text) = text.map_err(|_| unreadable())?;
        parse_id(&text).map(Self)
    }
}

/// Reads an id as it stands in a path or a query.
pub(crate) fn parse_id<R>(text: &str) -> Result<Id<R>> {
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is not an id; ids are UUIDs.");
        Error::refused(Kind::Unreadable, detail)
    })
}

/// Who writes, as the caller says in `Stockroom-Actor`; unknown callers are `anonymous`.
#[derive(Clone, Debug)]
pub(crate) struct Actor(pub(crate) String);

impl Actor {
    pub(crate) const HEADER: &'static str = "stockroom-actor";
    const MAX_LENGTH: usize = 200;
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(value) = parts.headers.get(Self::HEADER) else {
            return Ok(Self("anonymous".into()));
        };
        match std::str::from_utf8(value.as_bytes()) {
            Ok(name) if !name.is_empty() && name.len() <= Self::MAX_LENGTH => Ok(Self(name.into())),
            _ => Err(Error::refused(
                Kind::Unreadable,
                "`Stockroom-Actor` must be a name of at most 200 bytes.",
            )),
        }
    }
}

/// The rules of `R` that need no database.
pub(crate) fn checked<R: Resource>(new: R::New) -> Result<R::New> {
    match R::check(&new) {
        errors if errors.is_empty() => Ok(new),
        errors => Err(Error::fields(Kind::Invalid, errors)),
    }
}
