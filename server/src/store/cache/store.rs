//! What the protocol needs of a place that keeps values by key. Nothing in it is trusted to stay: any
//! key may vanish at any moment and costs one miss.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use axum::body::Bytes;

use super::{entry::EntryKey, tag::Tag};

pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store of the cache. All keys are independent of each other: no call needs to see or to change
/// several of them at one instant.
pub trait EntryStore: Send + Sync + fmt::Debug {
    /// The values of the keys, each as of some instant after the call, and all of the same process
    /// where the store is one. One round trip.
    fn read<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, Vec<Option<Bytes>>>;

    /// Gives each tag that has no nonce a fresh one.
    fn ensure<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()>;

    /// Sets a value that vanishes after `ttl`.
    fn fill<'a>(&'a self, key: Key<'a>, value: Bytes, ttl: Duration) -> StoreFuture<'a, ()>;

    /// Sets a key that vanishes after `ttl`, unless it is there; tells whether it was set.
    fn claim<'a>(&'a self, key: Key<'a>, ttl: Duration) -> StoreFuture<'a, bool>;

    /// Deletes the keys. Once this has succeeded, no later [`EntryStore::read`] finds their old values.
    fn delete<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, ()>;

    /// Whether calls are likely to be answered; where not, they fail at once.
    fn is_up(&self) -> bool;
}

/// BypassReason a store did not answer. Readers then go to the database, writers leave it to the relay.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no connection")]
    Down,
    #[error("no answer within the budget")]
    Budget,
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    Tag(&'a Tag),
    Entry(EntryKey),
    /// Held by the one server that loads an entry for certain nonces.
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

/// How long a tag lives that nobody deletes: remote longer than the entries that hold its nonce, so
/// that its end costs a hot row one miss now and then.
pub(crate) const TAG_TTL: Duration = Duration::from_secs(6 * 3_600);
