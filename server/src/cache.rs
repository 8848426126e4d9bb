//! The read cache, never stale after an acknowledged write: nonce-validated tags.
//!
//! Each tag has a random nonce in the store. An entry holds the nonces that its tags had before it
//! was loaded, and answers a reader only if all of them are still the present ones. A write deletes
//! its tags after its commit and before its answer; a nonce never comes back. `docs/cache.md` has the
//! proof.
//!
//! Whatever goes wrong with the store, reads go to the database and writes go on.

mod counters;
mod entry;
mod flight;
mod group;
mod memory;
mod redis;
pub(crate) mod relay;
mod served;
pub mod store;
mod tag;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::future;
use prometheus_client::registry::Registry;
use quick_cache::sync::Cache as NearCache;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use stockroom_common::stats::CacheStats;

use self::{
    counters::Counters, entry::TTL, flight::Flights, group::Group, memory::MemoryStore,
    redis::RedisStore,
};
pub use axum::body::Bytes;

pub use self::{
    entry::EntryKey,
    redis::RedisAddress,
    store::{Key, Nonce, Store, StoreError, StoreFuture},
    tag::Tag,
};
pub(crate) use self::{
    entry::{Answer, Entry},
    served::{Reader, Served, Status, Why},
};
use crate::{error::Result, state::Clock};

/// Tags that one write deletes by name; one that touches more deletes the epoch alone.
const MAX_TAGS: usize = 1_000;
/// How long one server may load for all others before another tries.
const LEASE: Duration = Duration::from_secs(3);
/// How often a server looks whether another has filled an entry: at first, and in the end.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Where and how much to cache.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    pub place: Place,
    /// Bytes of answers that the server keeps in its own memory.
    pub memory_bytes: u64,
    /// Put around the store, for tests that break the protocol on purpose.
    pub wrap: Option<Wrap>,
}

/// What puts another store around one.
pub type Wrap = fn(Arc<dyn Store>) -> Arc<dyn Store>;

/// Where servers meet to tell each other what is old.
#[derive(Clone, Debug)]
pub enum Place {
    /// Nowhere: every read goes to the database.
    Off,
    /// In the memory of the one server that there is.
    Memory,
    Redis(RedisAddress),
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            place: Place::Off,
            memory_bytes: 64 << 20,
            wrap: None,
        }
    }
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Option<Backend>,
    flights: Flights<Landed>,
    counters: Counters,
    clock: Clock,
}

#[derive(Debug)]
struct Backend {
    name: &'static str,
    store: Arc<dyn Store>,
    /// What this server has read before. It is never trusted: each use is checked in the store.
    near: NearCache<EntryKey, Arc<Entry>, Bytewise>,
    group: Group,
}

#[derive(Clone, Debug)]
struct Bytewise;

impl quick_cache::Weighter<EntryKey, Arc<Entry>> for Bytewise {
    fn weight(&self, _: &EntryKey, entry: &Arc<Entry>) -> u64 {
        entry.weight()
    }
}

/// What a reader wants. What it takes to come by it is made only where it is not at hand: a hit must
/// not pay for it.
pub(crate) struct Wanted<T, L> {
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

/// What a flight brings.
#[derive(Clone, Debug)]
struct Landed {
    entry: Arc<Entry>,
    is_stored: bool,
    /// Whether another server loaded it.
    is_collapsed: bool,
}

/// What became of the tags of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// No reader finds the old rows any more.
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
    pub(crate) async fn open(pool: &PgPool, options: &CacheOptions, clock: Clock) -> Result<Self> {
        let counters = Counters::default();
        let (name, store): (_, Arc<dyn Store>) = match &options.place {
            Place::Off => return Ok(Self::new(None, pool, counters, clock)),
            Place::Memory => ("memory", Arc::new(MemoryStore::new(options.memory_bytes))),
            Place::Redis(address) => {
                let prefix = key_prefix(pool).await?;
                (
                    "redis",
                    Arc::new(RedisStore::new(address.clone(), prefix.into())),
                )
            }
        };
        let store = options.wrap.map_or(store.clone(), |wrap| wrap(store));
        let bytes = options.memory_bytes;
        let items = usize::try_from(bytes / 1_024).unwrap_or(usize::MAX);
        let backend = Backend {
            name,
            near: NearCache::with_weighter(items, bytes, Bytewise),
            group: Group::start(store.clone(), counters.clone()),
            store,
        };
        Ok(Self::new(Some(backend), pool, counters, clock))
    }

    fn new(backend: Option<Backend>, pool: &PgPool, counters: Counters, clock: Clock) -> Self {
        let connections = pool.options().get_max_connections() as usize;
        Self(Arc::new(Shared {
            backend,
            flights: Flights::new((connections * 3 / 4).max(1)),
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
        wanted: Wanted<T, L>,
        is_bypass: bool,
    ) -> Result<Served>
    where
        T: FnOnce() -> Vec<Tag>,
        L: FnOnce() -> F,
        F: Future<Output = Result<Loaded>> + Send + 'static,
    {
        let Wanted { key, tags, load } = wanted;
        let now = self.0.clock.now();
        let near = self.0.backend.as_ref().filter(|_| !is_bypass);
        let near = near.and_then(|backend| Some((backend, backend.near.get(&key)?)));
        let checked = match near {
            Some((backend, entry)) if !entry.is_expired(now) => {
                match backend.group.check(entry.clone()).await {
                    Ok(true) => return Ok(self.hit(entry, now)),
                    Ok(false) => {
                        let is_same = |other: &Arc<Entry>| Arc::ptr_eq(other, &entry);
                        backend.near.remove_if(&key, is_same);
                        Near::Stale
                    }
                    Err(_) => Near::Unknown,
                }
            }
            _ => Near::Absent,
        };
        // On the heap, and out of the way of hits: futures that load are large.
        let load: Load = Box::pin(load());
        let why = match (&self.0.backend, checked) {
            (None, _) => Why::Off,
            _ if is_bypass => Why::Told,
            (Some(_), Near::Unknown) => Why::Down,
            (Some(backend), _) => {
                let tags = std::iter::once(Tag::epoch()).chain(tags()).collect();
                let was_stale = matches!(checked, Near::Stale);
                return Box::pin(self.read_far(backend, key, tags, was_stale, load)).await;
            }
        };
        Box::pin(self.bypass(key, why, load)).await
    }

    /// Reads what is not near: from the store, by a flight, or past a store that does not answer.
    async fn read_far(
        &self,
        backend: &Backend,
        key: EntryKey,
        tags: Arc<[Tag]>,
        was_stale: bool,
        load: Load,
    ) -> Result<Served> {
        let (counters, now) = (&self.0.counters, self.0.clock.now());
        let nonces = match look(backend, key, tags, now).await {
            Ok(Looked::Found(entry)) if was_stale => {
                // Another server was first. By its one round trip alone this would not be a hit.
                counters.misses.inc();
                counters.collapsed.inc();
                let status = Status::Miss {
                    was_stale,
                    is_stored: true,
                    is_collapsed: true,
                };
                return Ok(Served { entry, status });
            }
            Ok(Looked::Found(entry)) => return Ok(self.hit(entry, now)),
            Ok(Looked::Missing(nonces)) => nonces,
            Err(_) => return self.bypass(key, Why::Down, load).await,
        };
        counters.misses.inc();
        let joined_by = key.with(&nonces);
        let flight = self.clone().fly(key, nonces, load);
        let (landed, is_first) = self.0.flights.join(joined_by, flight).await?;
        let is_collapsed = landed.is_collapsed || !is_first;
        if is_collapsed {
            counters.collapsed.inc();
        }
        let status = Status::Miss {
            was_stale,
            is_stored: landed.is_stored,
            is_collapsed,
        };
        Ok(Served {
            entry: landed.entry,
            status,
        })
    }

    fn hit(&self, entry: Arc<Entry>, now: DateTime<Utc>) -> Served {
        self.0.counters.hits.inc();
        let ttl = (entry.expires_at - now).num_seconds();
        let status = Status::Hit { ttl };
        Served { entry, status }
    }

    /// Loads past the cache. Joins only a load that has not begun: it sees whatever was written before.
    async fn bypass(&self, key: EntryKey, why: Why, load: Load) -> Result<Served> {
        self.0.counters.bypasses.inc();
        let cache = self.clone();
        let load = async move {
            let loaded_at = cache.0.clock.now();
            cache.0.counters.loads.inc();
            let answer = load.await?.answer;
            Ok(Landed {
                entry: Arc::new(Entry::new(answer, Vec::new(), loaded_at, Duration::ZERO)),
                is_stored: false,
                is_collapsed: false,
            })
        };
        let (landed, _) = self.0.flights.join_unstarted(key, load).await?;
        let status = Status::Bypass(why);
        Ok(Served {
            entry: landed.entry,
            status,
        })
    }

    /// Loads an entry and fills the store with it, unless another server does so for the same nonces.
    async fn fly(self, key: EntryKey, nonces: Vec<(Tag, Nonce)>, load: Load) -> Result<Landed> {
        let Some(backend) = &self.0.backend else {
            unreachable!("only a cache with a store has misses");
        };
        let lease = Key::Lease(key.with(&nonces));
        if let Lease::Filled(entry) = take_lease(&*backend.store, key, lease, &nonces).await {
            let entry = Arc::new(entry);
            backend.near.insert(key, entry.clone());
            return Ok(Landed {
                entry,
                is_stored: true,
                is_collapsed: true,
            });
        }
        let turns = self.0.flights.turns();
        let turn = turns.acquire().await;
        let loaded_at = self.0.clock.now();
        self.0.counters.loads.inc();
        let loaded = load.await;
        drop(turn);
        let landed = match loaded {
            Ok(loaded) => Ok(self.keep(backend, key, &nonces, loaded, loaded_at).await),
            Err(error) => Err(error),
        };
        // Those who wait elsewhere look for the entry first; without one they load it themselves.
        let _ = backend.store.delete(&[lease]).await;
        landed
    }

    async fn keep(
        &self,
        backend: &Backend,
        key: EntryKey,
        nonces: &[(Tag, Nonce)],
        loaded: Loaded,
        loaded_at: DateTime<Utc>,
    ) -> Landed {
        let kept = loaded.depends_on.and_then(|tags| {
            let tags = std::iter::once(Tag::epoch()).chain(tags);
            let pair = |tag: Tag| nonces.iter().find(|(known, _)| *known == tag).cloned();
            tags.map(pair).collect::<Option<Vec<_>>>()
        });
        let ttl = TTL.mul_f64(1.0 - rand::random::<f64>() / 10.0);
        let is_kept = kept.is_some();
        let entry = Entry::new(loaded.answer, kept.unwrap_or_default(), loaded_at, ttl);
        let entry = Arc::new(entry);
        let mut is_stored = false;
        if is_kept {
            backend.near.insert(key, entry.clone());
            let filled = backend
                .store
                .fill(Key::Entry(key), entry.encode(), ttl)
                .await;
            is_stored = filled.is_ok();
        }
        if is_stored {
            self.0.counters.fills.inc();
        }
        Landed {
            entry,
            is_stored,
            is_collapsed: false,
        }
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

/// What became of an entry in the server's own memory.
#[derive(Clone, Copy)]
enum Near {
    Absent,
    Stale,
    /// The store did not say.
    Unknown,
}

enum Looked {
    Found(Arc<Entry>),
    Missing(Vec<(Tag, Nonce)>),
}

/// Asks the store for an entry that is not near, and for the nonces that a new one would have.
async fn look(
    backend: &Backend,
    key: EntryKey,
    tags: Arc<[Tag]>,
    now: DateTime<Utc>,
) -> Result<Looked, StoreError> {
    let fetched = backend.group.fetch(key, tags.clone()).await?;
    if let Some(entry) = fetched.entry.filter(|entry| !entry.is_expired(now)) {
        let entry = Arc::new(entry);
        backend.near.insert(key, entry.clone());
        return Ok(Looked::Found(entry));
    }
    let pairs = tags.iter().zip(&fetched.nonces);
    let missing = pairs.filter(|(_, nonce)| nonce.is_none());
    let missing: Vec<Tag> = missing.map(|(tag, _)| tag.clone()).collect();
    let mut nonces = fetched.nonces;
    if !missing.is_empty() {
        // All of them are read again, never some: nonces of before and after a restart of the
        // store, taken together, could be those of an old load. The two calls share a round trip.
        let keys: Vec<Key<'_>> = tags.iter().map(Key::Tag).collect();
        let (ensured, read) = (backend.store.ensure(&missing), backend.store.read(&keys));
        let ((), values) = future::try_join(ensured, read).await?;
        let nonce = |value: Option<Bytes>| String::from_utf8(value?.into()).ok();
        nonces = values.into_iter().map(nonce).collect();
    }
    let complete = tags.iter().cloned().zip(nonces);
    let complete = complete.map(|(tag, nonce)| Some((tag, nonce?)));
    let nonces = complete.collect::<Option<Vec<_>>>();
    let vanished = || StoreError::Failed("a tag vanished at once".into());
    nonces.map(Looked::Missing).ok_or_else(vanished)
}

enum Lease {
    /// The load is ours to make.
    Ours,
    /// Another server has made it.
    Filled(Entry),
}

/// Waits until this server may load the entry or another has filled it. A server that holds the lease
/// and dies holds the others up until the lease ends.
async fn take_lease(
    store: &dyn Store,
    key: EntryKey,
    lease: Key<'_>,
    nonces: &[(Tag, Nonce)],
) -> Lease {
    let keys: Vec<Key<'_>> = [Key::Entry(key), lease]
        .into_iter()
        .chain(nonces.iter().map(|(tag, _)| Key::Tag(tag)))
        .collect();
    let deadline = Instant::now() + LEASE;
    let mut pause = FIRST_LOOK;
    let mut is_taken = false;
    while Instant::now() < deadline {
        if !is_taken {
            match store.claim(lease, LEASE).await {
                Ok(false) => {}
                // A store that does not answer keeps nobody from loading.
                Ok(true) | Err(_) => return Lease::Ours,
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
        let Ok(values) = store.read(&keys).await else {
            return Lease::Ours;
        };
        let present = nonces.iter().map(|(tag, _)| tag).zip(values.iter().skip(2));
        let present: Vec<_> = present.collect();
        let nonce = |tag: &Tag| {
            present
                .iter()
                .find(|(known, _)| *known == tag)?
                .1
                .as_deref()
        };
        let entry = values
            .first()
            .and_then(Option::as_ref)
            .and_then(Entry::decode);
        if let Some(entry) = entry.filter(|entry| entry.is_current(nonce)) {
            return Lease::Filled(entry);
        }
        is_taken = values.get(1).is_some_and(Option::is_some);
    }
    Lease::Ours
}

/// What stands before every key of this shop, for a Redis may serve others: a copy of the database
/// under another name is another shop.
async fn key_prefix(pool: &PgPool) -> Result<String> {
    let secret = crate::database::secret(pool, "shop").await?;
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(pool)
        .await?;
    let hash = Sha256::new()
        .chain_update(secret)
        .chain_update(name)
        .finalize();
    let short = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
    Ok(format!("stockroom:{short:016x}:"))
}
