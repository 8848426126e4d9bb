//! The response to a read, including how the cache produced it: `Cache-Status` (RFC 9211), `Age`, 304.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use stockroom_common::Kind;

use super::{
    entry::{Answer, Entry},
    store::StoreError,
};
use crate::http::{
    conditions::{ReadConditions, Verdict},
    error::Error,
};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Capacity for the headers of a response besides its links, including those that middleware adds.
const HEADERS: usize = 10;

/// How the cache answered a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Hit {
        /// Seconds until the entry expires.
        ttl: i64,
    },
    Miss {
        /// Whether this server had an entry that a write has invalidated.
        was_stale: bool,
        /// Whether the answer is now in the cache.
        is_stored: bool,
        /// Whether the load of another request or server answered this one.
        is_collapsed: bool,
    },
    Bypass(BypassReason),
}

/// Why the cache was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BypassReason {
    /// The caller asked for it.
    Requested,
    /// The server has no cache.
    Off,
    /// The store does not respond.
    Down,
    /// The store responds with an error, for example because its memory is full.
    Failed,
}

impl BypassReason {
    pub(crate) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Down | StoreError::Budget => Self::Down,
            StoreError::Failed(_) => Self::Failed,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit { ttl } => write!(f, "stockroom; hit; ttl={ttl}"),
            Self::Miss {
                was_stale,
                is_stored,
                is_collapsed,
            } => {
                let forward = if *was_stale { "stale" } else { "miss" };
                write!(f, "stockroom; fwd={forward}")?;
                if *is_stored {
                    f.write_str("; stored")?;
                }
                if *is_collapsed {
                    f.write_str("; collapsed")?;
                }
                Ok(())
            }
            Self::Bypass(BypassReason::Requested) => f.write_str("stockroom; fwd=bypass"),
            Self::Bypass(BypassReason::Off) => f.write_str("stockroom; fwd=bypass; detail=off"),
            Self::Bypass(BypassReason::Failed) => {
                f.write_str("stockroom; fwd=bypass; detail=store-error")
            }
            Self::Bypass(BypassReason::Down) => {
                f.write_str("stockroom; fwd=bypass; detail=store-down")
            }
        }
    }
}

/// What the headers of a request say about caching, and which ETags they name. Most requests have none of these
/// headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheControl {
    /// Whether the answer must come from the database: `Cache-Control: no-cache` or `no-store`.
    pub(crate) is_bypass: bool,
    conditions: ReadConditions,
}

impl CacheControl {
    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CACHE_CONTROL).iter();
        let directives = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let is_bypass = directives.map(str::trim).any(|directive| {
            directive.eq_ignore_ascii_case("no-cache") || directive.eq_ignore_ascii_case("no-store")
        });
        Self {
            is_bypass,
            conditions: ReadConditions::read(headers),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CacheControl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// An answer, and how the cache produced it.
#[derive(Clone, Debug)]
pub(crate) struct CachedResponse {
    pub(crate) entry: Arc<Entry>,
    pub(crate) status: Status,
}

impl CachedResponse {
    /// An answer that combines several cached parts. Its status is that of the worst part (a bypass, then a
    /// miss, then the hit that expires first), and its age is that of the oldest part.
    pub(crate) fn combined(answer: Answer, parts: &[Self], now: DateTime<Utc>) -> Self {
        let rank = |part: &&Self| match part.status {
            Status::Hit { ttl } => (0, -ttl),
            Status::Miss { .. } => (1, 0),
            Status::Bypass(_) => (2, 0),
        };
        let furthest = parts.iter().max_by_key(rank);
        let oldest = parts.iter().map(|part| part.entry.loaded_at).min();
        let entry = Entry::new(answer, Vec::new(), oldest.unwrap_or(now), Duration::ZERO);
        Self {
            entry: Arc::new(entry),
            status: furthest.map_or(Status::Bypass(BypassReason::Off), |part| part.status),
        }
    }

    /// The response: 304 if the caller already has the answer, 412 if its `If-Match` names another version.
    pub(crate) fn respond(&self, reader: &CacheControl, now: DateTime<Utc>) -> Response {
        let answer = &self.entry.answer;
        let mut response = Response::default();
        let mut headers = HeaderMap::with_capacity(HEADERS + answer.links.len());
        match reader.conditions.verdict(&answer.etag) {
            Verdict::Known => *response.status_mut() = StatusCode::NOT_MODIFIED,
            Verdict::Answer => {
                *response.body_mut() = Body::from(answer.body.clone());
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
            }
            Verdict::Failed => {
                let detail = "`If-Match` does not match; `ETag` has the present version.";
                let refusal = Error::refused(Kind::PreconditionFailed, detail);
                let mut response = refusal.into_response();
                response
                    .headers_mut()
                    .insert(header::ETAG, answer.etag.clone());
                return response;
            }
        }
        headers.insert(header::ETAG, answer.etag.clone());
        for link in &answer.links {
            headers.append(header::LINK, link.clone());
        }
        // Caches between server and caller must revalidate before each use, so that no response is stale.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Status::Hit { .. } = self.status {
            let age = (now - self.entry.loaded_at).num_seconds().max(0);
            headers.insert(header::AGE, HeaderValue::from(age));
        }
        if let Ok(status) = HeaderValue::try_from(self.status.to_string()) {
            headers.insert(CACHE_STATUS, status);
        }
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_told_in_the_words_of_the_rfc() {
        let miss = |was_stale, is_stored, is_collapsed| {
            Status::Miss {
                was_stale,
                is_stored,
                is_collapsed,
            }
            .to_string()
        };
        assert_eq!(
            Status::Hit { ttl: 540 }.to_string(),
            "stockroom; hit; ttl=540"
        );
        assert_eq!(miss(false, true, false), "stockroom; fwd=miss; stored");
        assert_eq!(
            miss(true, true, true),
            "stockroom; fwd=stale; stored; collapsed"
        );
        assert_eq!(
            Status::Bypass(BypassReason::Requested).to_string(),
            "stockroom; fwd=bypass"
        );
    }

    #[test]
    fn a_caller_may_ask_past_the_cache() {
        let wants = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
            CacheControl::of(&headers).is_bypass
        };
        assert!(wants("no-cache"));
        assert!(wants("max-age=0, No-Store"));
        assert!(!wants("max-age=60"));
        assert!(!CacheControl::of(&HeaderMap::new()).is_bypass);
    }
}
