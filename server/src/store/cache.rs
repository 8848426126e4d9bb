//! The read cache, never stale after an acknowledged write: nonce-validated tags.
//!
//! Each tag has a random nonce in the store. An entry holds the nonces that its tags had before it
//! was loaded, and answers a cache_control only if all of them are still the present ones. A write deletes
//! its tags after its commit and before its answer; a nonce never comes back. `docs/cache.md` has the
//! proof.
//!
//! Whatever goes wrong with the store, reads go to the database and writes go on.

mod batch;
mod counters;
mod entry;
mod memory;
mod nonce;
mod options;
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
use sha2::{Digest, Sha256};

use stockroom_common::stats::CacheStats;

pub use axum::body::Bytes;

use self::{
    batch::{Batcher, Check, Fetch},
    counters::Counters,
    memory::MemoryStore,
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

/// Tags that one write deletes by name; one that touches more deletes the epoch alone.
pub(crate) const MAX_TAGS: usize = 1_000;
/// Questions that one round trip answers at the most: nonces are small, entries need not be.
const MAX_CHECKS: usize = 256;
const MAX_FETCHES: usize = 32;

/// Cheap to clone.
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
    /// What this server has read before. It is never trusted: each use is checked in the store.
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

/// What a cache_control wants. What it takes to come by it is made only where it is not at hand: a hit must
/// not pay for it.
pub(crate) struct ReadRequest<T, L> {
    pub(crate) key: EntryKey,
    /// Names everything that the answer may depend on.
    pub(crate) tags: T,
    /// Begins to load it, and must read all that it uses after it is first polled.
    pub(crate) load: L,
}

type Load = Pin<Box<dyn Future<Output = Result<Loaded>> + Send>>;

/// An answer that was read from the database.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) answer: Answer,
    /// Those of the wanted tags that it does depend on; none where that cannot be said, and the
    /// answer not kept.
    pub(crate) depends_on: Option<Vec<Tag>>,
}

/// What became of an entry in the server's own memory.
enum LocalEntry {
    Absent,
    Stale,
    /// The store did not say.
    Unknown(StoreError),
}

/// What a flight brings.
#[derive(Clone, Debug)]
struct LoadOutcome {
    entry: Arc<Entry>,
    is_stored: bool,
    /// Whether another server loaded it.
    is_collapsed: bool,
}

/// What became of the tags of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// No cache_control finds the old rows any more.
    Done,
    /// The relay will do it.
    Deferred,
    /// This server has no cache; the relays of others look after theirs.
    Off,
}

impl Cache {
    /// Opens the cache of the shop in the database behind `pool`.
    ///
    /// # Errors
    /// Where the database cannot be reached. That of Redis is no error, now or later.
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
        // The store in memory holds the same answers once more.
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

    /// Answers from the cache what is current there, and otherwise loads it.
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
                        let is_same = |other: &Arc<Entry>| Arc::ptr_eq(other, &entry);
                        backend.local.remove_if(&key, is_same);
                        LocalEntry::Stale
                    }
                    Err(error) => LocalEntry::Unknown(error),
                }
            }
            _ => LocalEntry::Absent,
        };
        // On the heap, and out of the way of hits: futures that load are large.
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

    /// Reads what is not local: from the store, by a flight, or past a store that does not answer.
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
                // Another server was first. By its one round trip alone this would not be a hit.
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

    /// Loads past the cache. Joins only a load that has not begun: it sees whatever was written before.
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

    /// Makes every answer old that depends on one of the tags: after the commit of the write that
    /// touched them, before its answer.
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
                tracing::debug!(%error, "tags are left to the relay");
                self.0.counters.deferred.inc();
                Invalidation::Deferred
            }
        }
    }

    /// Whether there is a store, and whether it answers.
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

/// What stands before every key of this shop, for a Redis may serve others: a copy of the database
/// under another name, or in another cluster, is another shop.
async fn shop_prefix(database: &Database) -> Result<String> {
    let pool = &database.background;
    let secret = crate::store::database::secret(pool, "shop").await?;
    let mut conn = pool.acquire().await?;
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut *conn)
        .await?;
    let cluster = "select system_identifier::text from pg_control_system()";
    let cluster: sqlx::Result<String> = sqlx::query_scalar(cluster).fetch_one(&mut *conn).await;
    let cluster = cluster.unwrap_or_else(|error| {
        tracing::warn!(%error, "the database does not say which cluster it is: do not let a copy of it under \
            the same name use this Redis");
        String::new()
    });
    let hash = Sha256::new()
        .chain_update(secret)
        .chain_update(name)
        .chain_update([0])
        .chain_update(cluster)
        .finalize();
    let short = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
    Ok(format!("stockroom:{short:016x}:"))
}
