//! The key-value store as the cache protocol needs it. No value has to persist: any key may vanish at any
//! moment, which costs one miss.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use axum::body::Bytes;

use super::{entry::EntryKey, tag::Tag};

pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store for the cache. All keys are independent of each other: no call needs to read or change several
/// of them atomically.
pub trait EntryStore: Send + Sync + fmt::Debug {
    /// Reads the values of the keys in one round trip. Each value is that of some instant after the call
    /// began. If the store is a single process, all values are from the same run of it.
    fn read<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, Vec<Option<Bytes>>>;

    /// Sets a fresh nonce for each tag that has none.
    fn ensure<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()>;

    /// Sets a value that expires after `ttl`.
    fn fill<'a>(&'a self, key: Key<'a>, value: Bytes, ttl: Duration) -> StoreFuture<'a, ()>;

    /// Sets a key that expires after `ttl`, unless it exists. Returns whether it was set.
    fn claim<'a>(&'a self, key: Key<'a>, ttl: Duration) -> StoreFuture<'a, bool>;

    /// Deletes the keys. After it succeeds, no later [`EntryStore::read`] returns their old values.
    fn delete<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, ()>;

    /// Whether calls are likely to succeed. If not, they fail at once.
    fn is_up(&self) -> bool;
}

/// Why a call to the store failed. Readers then use the database; writers leave their tags to the relay.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no connection")]
    Down,
    #[error("no answer in time")]
    Budget,
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    Tag(&'a Tag),
    Entry(EntryKey),
    /// Held by the one server that loads an entry under certain nonces.
    Lease(EntryKey),
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Entry(key) => write!(f, "entry:{key}"),
            Self::Lease(key) => write!(f, "lease:{key}"),
        }
    }
}

/// Lifetime of a tag that no write deletes. Much longer than that of the entries that hold its nonce, so
/// that its expiry rarely costs a frequently read row a miss.
pub(crate) const TAG_TTL: Duration = Duration::from_secs(6 * 3_600);
