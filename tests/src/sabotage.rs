//! Cache stores that each omit one step of the cache protocol. Tests that search for stale reads must find some with
//! each of these stores; otherwise the tests prove nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use stockroom_server::cache::{Bytes, EntryStore, Key, StoreFuture, Tag, Wrap};

/// The ways to break the protocol.
pub const WAYS: &[&str] = &["no-delete", "no-check", "no-epoch"];

/// Returns a wrapper that breaks a store in one of [`WAYS`].
pub fn wrap(way: &str) -> Wrap {
    match way {
        "no-delete" => |store| Arc::new(Broken::new(store, Way::KeepTags)),
        "no-check" => |store| Arc::new(Broken::new(store, Way::TrustEntries)),
        "no-epoch" => |store| Arc::new(Broken::new(store, Way::TrustRestarts)),
        other => panic!("{other} is no way to break the cache; these are: {WAYS:?}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A write does not delete the tags that it touched.
    KeepTags,
    /// The nonces of an entry are accepted without comparing them with the current ones.
    TrustEntries,
    /// A Redis that was restored from an older dump is trusted.
    TrustRestarts,
}

#[derive(Debug)]
struct Broken {
    store: Arc<dyn EntryStore>,
    way: Way,
    /// The first nonce seen for each tag.
    seen: Mutex<HashMap<String, Bytes>>,
}

impl Broken {
    fn new(store: Arc<dyn EntryStore>, way: Way) -> Self {
        let seen = Mutex::default();
        Self { store, way, seen }
    }

    fn falsify(&self, key: &Key<'_>, value: Option<Bytes>) -> Option<Bytes> {
        let Key::Tag(tag) = key else {
            return value;
        };
        match self.way {
            Way::KeepTags => value,
            Way::TrustRestarts if **tag == Tag::epoch() => {
                value.map(|_| Bytes::from_static(b"epoch"))
            }
            Way::TrustRestarts => value,
            Way::TrustEntries => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                match value {
                    Some(value) => Some(seen.entry(tag.to_string()).or_insert(value).clone()),
                    None => seen.get(tag.as_str()).cloned(),
                }
            }
        }
    }
}

impl EntryStore for Broken {
    fn read<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        Box::pin(async move {
            let values = self.store.read(keys).await?;
            let pairs = keys.iter().zip(values);
            Ok(pairs.map(|(key, value)| self.falsify(key, value)).collect())
        })
    }

    fn ensure<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        self.store.ensure(tags)
    }

    fn fill<'a>(&'a self, key: Key<'a>, value: Bytes, ttl: Duration) -> StoreFuture<'a, ()> {
        self.store.fill(key, value, ttl)
    }

    fn claim<'a>(&'a self, key: Key<'a>, ttl: Duration) -> StoreFuture<'a, bool> {
        self.store.claim(key, ttl)
    }

    fn delete<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, ()> {
        let is_tag = keys.iter().any(|key| matches!(key, Key::Tag(_)));
        if self.way == Way::KeepTags && is_tag {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.store.delete(keys)
    }

    fn is_up(&self) -> bool {
        self.store.is_up()
    }
}
