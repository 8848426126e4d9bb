//! The read cache. It never returns stale data after a write was acknowledged, unless the acknowledgement said that
//! its invalidation is deferred.
//!
//! Each tag has a random nonce in the store. An entry holds the nonces that its tags had before the entry
//! was loaded, and is a hit only if all of them are still current. A write deletes its tags after its
//! commit and before its response, and a deleted nonce never returns. `docs/cache.md` has the proof.
//!
//! If the store fails, reads use the database and writes still succeed.

mod batch;
mod counters;
mod entry;
mod memory;
mod nonce;
mod options;
mod prefix;
mod redis;
mod remote;
mod response;
mod single_flight;
pub mod store;
mod tag;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use prometheus_client::registry::Registry;
use quick_cache::sync::Cache as LocalCache;

use stockroom_common::stats::CacheStats;

pub use axum::body::Bytes;

use self::{
    batch::{Batcher, Check, Fetch},
    counters::Counters,
    memory::MemoryStore,
    prefix::shop_prefix,
    redis::{KeyPrefix, RedisStore},
    remote::Lookup,
    single_flight::Flights,
};
pub use self::{
    entry::EntryKey,
    nonce::Nonce,
    options::{CacheOptions, StoreKind, Wrap},
    redis::RedisAddress,
    store::{EntryStore, Key, StoreError, StoreFuture},
    tag::Tag,
};
pub(crate) use self::{
    entry::{Answer, Entry},
    response::{BypassReason, CacheControl, CachedResponse, Status},
};
use crate::{http::error::Result, process::clock::Clock, store::database::Database};

/// Maximum number of tags that one write deletes by name. A write that touches more deletes only the
/// epoch, which invalidates every entry.
pub(crate) const MAX_TAGS: usize = 1_000;
/// Maximum number of checks in one round trip. A check reads only nonces, which are small.
const MAX_CHECKS: usize = 256;
/// Maximum number of fetches in one round trip. A fetch also reads an entry, which may be large.
const MAX_FETCHES: usize = 32;

/// The read cache of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Option<Arc<Backend>>,
    flights: Flights<LoadOutcome>,
    counters: Counters,
    clock: Clock,
}

#[derive(Debug)]
struct Backend {
    name: &'static str,
    store: Arc<dyn EntryStore>,
    /// Entries that this server has read before. Each use is validated against the store.
    local: LocalCache<EntryKey, Arc<Entry>, Bytewise>,
    checks: Batcher<Check>,
    fetches: Batcher<Fetch>,
}

#[derive(Clone, Debug)]
struct Bytewise;

impl quick_cache::Weighter<EntryKey, Arc<Entry>> for Bytewise {
    fn weight(&self, _: &EntryKey, entry: &Arc<Entry>) -> u64 {
        entry.weight()
    }
}

/// A read. `tags` and `load` are closures that run only if the local entry cannot be used: a hit must not
/// pay for them.
pub(crate) struct ReadRequest<T, L> {
    pub(crate) key: EntryKey,
    /// Returns every tag that the answer may depend on.
    pub(crate) tags: T,
    /// Creates the future that loads the answer. That happens before the nonces are read, so the future
    /// must not read any data until it is first polled.
    pub(crate) load: L,
}

type Load = Pin<Box<dyn Future<Output = Result<Loaded>> + Send>>;

/// An answer that was loaded from the database.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) answer: Answer,
    /// Those of the request's tags that the answer depends on. `None` if they are not known; the answer
    /// is then not cached.
    pub(crate) depends_on: Option<Vec<Tag>>,
}

/// Result of a lookup in the server's own memory.
enum LocalEntry {
    Absent,
    Stale,
    /// The store could not validate the entry.
    Unknown(StoreError),
}

/// The result of a flight.
#[derive(Clone, Debug)]
struct LoadOutcome {
    entry: Arc<Entry>,
    is_stored: bool,
    /// Whether another server loaded it.
    is_collapsed: bool,
}

/// What happened to the tags of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// They were deleted: the cache no longer returns the old rows.
    Done,
    /// The store failed or did not respond in time: the relay will delete them.
    Deferred,
    /// This server has no cache. If other servers have one, their relays delete the tags.
    Off,
}

impl Cache {
    /// Opens the cache of the shop in `database`.
    ///
    /// # Errors
    /// If the database cannot be reached. An unreachable Redis is never an error, neither now nor later.
    pub(crate) async fn open(
        database: &Database,
        options: &CacheOptions,
        clock: Clock,
    ) -> Result<Self> {
        let counters = Counters::default();
        let (name, store): (_, Arc<dyn EntryStore>) = match &options.store {
            StoreKind::Off => return Ok(Self::new(None, database, counters, clock)),
            StoreKind::Memory => (
                "memory",
                Arc::new(MemoryStore::new(options.memory_bytes / 2)),
            ),
            StoreKind::Redis(address) => {
                let prefix = KeyPrefix {
                    shop: shop_prefix(database).await?.into(),
                    timeline: database.timeline(),
                };
                (
                    "redis",
                    Arc::new(RedisStore::new(address.clone(), prefix, options.budget)),
                )
            }
        };
        let store = options.wrap.map_or(store.clone(), |wrap| wrap(store));
        // The memory store holds the same answers again, so the two share the limit.
        let bytes = match options.store {
            StoreKind::Memory => options.memory_bytes / 2,
            StoreKind::Off | StoreKind::Redis(_) => options.memory_bytes,
        };
        let items = usize::try_from(bytes / 1_024).unwrap_or(usize::MAX);
        let backend = Backend {
            name,
            local: LocalCache::with_weighter(items, bytes, Bytewise),
            checks: Batcher::start(store.clone(), counters.clone(), MAX_CHECKS),
            fetches: Batcher::start(store.clone(), counters.clone(), MAX_FETCHES),
            store,
        };
        Ok(Self::new(
            Some(Arc::new(backend)),
            database,
            counters,
            clock,
        ))
    }

    fn new(
        backend: Option<Arc<Backend>>,
        database: &Database,
        counters: Counters,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Shared {
            backend,
            flights: Flights::new(database.reads.size() as usize),
            counters,
            clock,
        }))
    }

    /// Returns the cached answer if it is current, and loads it otherwise.
    ///
    /// # Errors
    /// Those of the load.
    pub(crate) async fn read<T, L, F>(
        &self,
        wanted: ReadRequest<T, L>,
        cache_control: &CacheControl,
    ) -> Result<CachedResponse>
    where
        T: FnOnce() -> Vec<Tag>,
        L: FnOnce() -> F,
        F: Future<Output = Result<Loaded>> + Send + 'static,
    {
        let ReadRequest { key, tags, load } = wanted;
        let now = self.0.clock.now();
        let local = self.0.backend.as_ref().filter(|_| !cache_control.is_bypass);
        let local = local.and_then(|backend| Some((backend, backend.local.get(&key)?)));
        let checked = match local {
            Some((backend, entry)) if !entry.is_expired(now) => {
                match backend.checks.ask(Check(entry.clone())).await {
                    Ok(true) => return Ok(self.hit(entry, now)),
                    Ok(false) => {
                        // Another request may have replaced the entry meanwhile; a newer one must stay.
                        let is_same = |other: &Arc<Entry>| Arc::ptr_eq(other, &entry);
                        backend.local.remove_if(&key, is_same);
                        LocalEntry::Stale
                    }
                    Err(error) => LocalEntry::Unknown(error),
                }
            }
            _ => LocalEntry::Absent,
        };
        // Boxed, and created only here: futures that load are large, and hits must not pay for them.
        let load: Load = Box::pin(load());
        let why = match (&self.0.backend, checked) {
            (None, _) => BypassReason::Off,
            _ if cache_control.is_bypass => BypassReason::Requested,
            (Some(_), LocalEntry::Unknown(error)) => BypassReason::of(&error),
            (Some(backend), local) => {
                let tags = std::iter::once(Tag::epoch()).chain(tags()).collect();
                return Box::pin(self.read_remote(backend, key, tags, local, load)).await;
            }
        };
        Box::pin(self.bypass(key, why, load)).await
    }

    /// Reads an answer that is not in the server's own memory: from the store, by joining or starting a
    /// flight, or directly from the database if the store fails.
    async fn read_remote(
        &self,
        backend: &Arc<Backend>,
        key: EntryKey,
        tags: Arc<[Tag]>,
        local: LocalEntry,
        load: Load,
    ) -> Result<CachedResponse> {
        let was_stale = matches!(local, LocalEntry::Stale);
        let (counters, now) = (&self.0.counters, self.0.clock.now());
        let nonces = match remote::lookup(backend, key, tags, now).await {
            Ok(Lookup::Found(entry)) if was_stale => {
                // Another server has already reloaded the entry. This is still a miss: the local entry was stale,
                // and this read needed a second round trip.
                counters.misses.inc();
                counters.collapsed.inc();
                let status = Status::Miss {
                    was_stale,
                    is_stored: true,
                    is_collapsed: true,
                };
                return Ok(CachedResponse { entry, status });
            }
            Ok(Lookup::Found(entry)) => return Ok(self.hit(entry, now)),
            Ok(Lookup::Missing(nonces)) => nonces,
            Err(error) => return self.bypass(key, BypassReason::of(&error), load).await,
        };
        counters.misses.inc();
        let joined_by = key.with(&nonces);
        let flight = self
            .clone()
            .load_and_fill(backend.clone(), key, nonces, load);
        let (outcome, is_first) = self.0.flights.join(joined_by, flight).await?;
        let is_collapsed = outcome.is_collapsed || !is_first;
        if is_collapsed {
            counters.collapsed.inc();
        }
        let status = Status::Miss {
            was_stale,
            is_stored: outcome.is_stored,
            is_collapsed,
        };
        Ok(CachedResponse {
            entry: outcome.entry,
            status,
        })
    }

    fn hit(&self, entry: Arc<Entry>, now: DateTime<Utc>) -> CachedResponse {
        self.0.counters.hits.inc();
        let ttl = (entry.expires_at - now).num_seconds();
        let status = Status::Hit { ttl };
        CachedResponse { entry, status }
    }

    /// Loads without the cache. Joins only a load that has not started yet, because such a load sees every
    /// write that was committed before this call.
    async fn bypass(&self, key: EntryKey, why: BypassReason, load: Load) -> Result<CachedResponse> {
        self.0.counters.bypasses.inc();
        let cache = self.clone();
        let load = async move {
            let loaded_at = cache.0.clock.now();
            cache.0.counters.loads.inc();
            let answer = load.await?.answer;
            Ok(LoadOutcome {
                entry: Arc::new(Entry::new(answer, Vec::new(), loaded_at, Duration::ZERO)),
                is_stored: false,
                is_collapsed: false,
            })
        };
        let (outcome, _) = self.0.flights.join_unstarted(key, load).await?;
        let status = Status::Bypass(why);
        Ok(CachedResponse {
            entry: outcome.entry,
            status,
        })
    }

    /// Invalidates every answer that depends on one of the tags. Must be called after the commit of the
    /// write that touched them and before its response.
    pub(crate) async fn invalidate(&self, tags: &[Tag]) -> Invalidation {
        let Some(backend) = &self.0.backend else {
            return Invalidation::Off;
        };
        let epoch = Tag::epoch();
        let keys: Vec<Key<'_>> = match tags {
            [] => return Invalidation::Done,
            tags if tags.len() > MAX_TAGS => vec![Key::Tag(&epoch)],
            tags => tags.iter().map(Key::Tag).collect(),
        };
        match backend.store.delete(&keys).await {
            Ok(()) => {
                self.0.counters.invalidations.inc();
                Invalidation::Done
            }
            Err(error) => {
                tracing::debug!(%error, "the relay will delete the tags");
                self.0.counters.deferred.inc();
                Invalidation::Deferred
            }
        }
    }

    /// Whether the store responds; `None` if the server has no cache.
    pub(crate) fn is_up(&self) -> Option<bool> {
        self.0.backend.as_ref().map(|backend| backend.store.is_up())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.0.counters.register(registry);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let name = self
            .0
            .backend
            .as_ref()
            .map_or("off", |backend| backend.name);
        self.0.counters.stats(name, self.is_up().unwrap_or(false))
    }
}
