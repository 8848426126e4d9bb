//! Where and how much to cache.

use std::{sync::Arc, time::Duration};

use super::{redis::RedisAddress, store::EntryStore};

/// What may differ between the caches of servers.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    pub store: StoreKind,
    /// Bytes of answers that the server keeps in its own memory.
    pub memory_bytes: u64,
    /// How long Redis may take to answer a reader before the database is asked instead. Deletes of
    /// writers have at least 250 ms.
    pub budget: Duration,
    /// Put around the store, for tests that break the protocol on purpose.
    pub wrap: Option<Wrap>,
}

/// What puts another store around one.
pub type Wrap = fn(Arc<dyn EntryStore>) -> Arc<dyn EntryStore>;

/// Where servers meet to tell each other what is old.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// Nowhere: every read goes to the database.
    Off,
    /// In the memory of the one server that there is.
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
