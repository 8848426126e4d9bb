//! The store of a single server without Redis: the same semantics in the server's own memory, limited in size.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use quick_cache::{Weighter, unsync};

use super::{
    nonce::fresh_nonce,
    store::{EntryStore, Key, StoreFuture, TAG_TTL},
    tag::Tag,
};

/// Approximate size of a map entry besides its key and value, in bytes.
const OVERHEAD: u64 = 128;

#[derive(Debug)]
pub(super) struct MemoryStore(Mutex<unsync::Cache<String, Value, Bytewise>>);

#[derive(Clone, Debug)]
struct Value {
    bytes: Bytes,
    ends: Instant,
}

#[derive(Clone, Debug)]
struct Bytewise;

impl Weighter<String, Value> for Bytewise {
    fn weight(&self, key: &String, value: &Value) -> u64 {
        (key.len() + value.bytes.len()) as u64 + OVERHEAD
    }
}

impl MemoryStore {
    pub(super) fn new(max_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes / 1_024).unwrap_or(usize::MAX);
        let values = unsync::Cache::with_weighter(items, max_bytes, Bytewise);
        Self(Mutex::new(values))
    }

    fn values(&self) -> MutexGuard<'_, unsync::Cache<String, Value, Bytewise>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of `key`, unless it has expired.
fn live(values: &unsync::Cache<String, Value, Bytewise>, key: &str) -> Option<Bytes> {
    let value = values
        .get(key)
        .filter(|value| Instant::now() < value.ends)?;
    Some(value.bytes.clone())
}

fn put(
    values: &mut unsync::Cache<String, Value, Bytewise>,
    key: String,
    bytes: Bytes,
    ttl: Duration,
) {
    let ends = Instant::now() + ttl;
    values.insert(key, Value { bytes, ends });
}

fn ready<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl EntryStore for MemoryStore {
    fn read<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        let values = self.values();
        ready(
            keys.iter()
                .map(|key| live(&values, &key.to_string()))
                .collect(),
        )
    }

    fn ensure<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        let mut values = self.values();
        for tag in tags {
            let key = Key::Tag(tag).to_string();
            if live(&values, &key).is_none() {
                put(&mut values, key, fresh_nonce().into(), TAG_TTL);
            }
        }
        ready(())
    }

    fn fill<'a>(&'a self, key: Key<'a>, value: Bytes, ttl: Duration) -> StoreFuture<'a, ()> {
        put(&mut self.values(), key.to_string(), value, ttl);
        ready(())
    }

    fn claim<'a>(&'a self, key: Key<'a>, ttl: Duration) -> StoreFuture<'a, bool> {
        let (mut values, key) = (self.values(), key.to_string());
        let is_free = live(&values, &key).is_none();
        if is_free {
            put(&mut values, key, Bytes::new(), ttl);
        }
        ready(is_free)
    }

    fn delete<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, ()> {
        let mut values = self.values();
        for key in keys {
            values.remove(&key.to_string());
        }
        ready(())
    }

    fn is_up(&self) -> bool {
        true
    }
}
