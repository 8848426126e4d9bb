//! Settings of the cache.

use std::{sync::Arc, time::Duration};

use super::{redis::RedisAddress, store::EntryStore};

/// Settings of a server's cache. They may differ between servers.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    pub store: StoreKind,
    /// Limit for answers in the server's own memory, in bytes.
    pub memory_bytes: u64,
    /// Time limit for a reader's Redis command, after which the database is used instead. Deletes by
    /// writers get at least 250 ms.
    pub budget: Duration,
    /// Wraps the store, for tests that break the protocol on purpose.
    pub wrap: Option<Wrap>,
}

/// Wraps a store in another one.
pub type Wrap = fn(Arc<dyn EntryStore>) -> Arc<dyn EntryStore>;

/// The store that holds the nonces: if servers share it, each sees what the others invalidated.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// No store: every read uses the database.
    Off,
    /// The server's own memory. Only valid for a single server.
    Memory,
    Redis(RedisAddress),
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            store: StoreKind::Off,
            memory_bytes: 64 << 20,
            budget: Duration::from_millis(80),
            wrap: None,
        }
    }
}
