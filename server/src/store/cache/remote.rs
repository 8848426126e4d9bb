//! Reads of entries that are not in the server's own memory: from the store, or by a load that one server
//! makes for all servers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::future;

use super::{
    Backend, Bytes, Cache, Load, LoadOutcome, Loaded,
    batch::Fetch,
    entry::{Entry, EntryKey, TTL},
    nonce::Nonce,
    store::{EntryStore, Key, StoreError},
    tag::Tag,
};
use crate::http::error::Result;

/// How long the other servers wait for the one that loads an entry, before they load it themselves.
const LEASE: Duration = Duration::from_secs(3);
/// Interval at which a waiting server checks whether another has filled the entry. It doubles from the first
/// value to the last.
const FIRST_POLL: Duration = Duration::from_millis(2);
const LAST_POLL: Duration = Duration::from_millis(50);

/// Maximum size of an encoded entry in the store, in bytes. A larger one stays in the server's own memory,
/// because all other commands on the one connection to the store would wait behind it.
const MAX_STORED: usize = 1 << 20;
/// What the store returned.
pub(super) enum Lookup {
    Found(Arc<Entry>),
    Missing(Vec<(Tag, Nonce)>),
}

/// Asks the store for an entry that is not in the server's own memory, and for the nonces that a new entry
/// would hold. Tags without a nonce get a fresh one.
pub(super) async fn lookup(
    backend: &Backend,
    key: EntryKey,
    tags: Arc<[Tag]>,
    now: DateTime<Utc>,
) -> Result<Lookup, StoreError> {
    let fetched = backend
        .fetches
        .ask(Fetch {
            key,
            tags: tags.clone(),
        })
        .await?;
    if let Some(entry) = fetched.entry.filter(|entry| !entry.is_expired(now)) {
        let entry = Arc::new(entry);
        backend.local.insert(key, entry.clone());
        return Ok(Lookup::Found(entry));
    }
    let pairs = tags.iter().zip(&fetched.nonces);
    let missing = pairs.filter(|(_, nonce)| nonce.is_none());
    let missing: Vec<Tag> = missing.map(|(tag, _)| tag.clone()).collect();
    let mut nonces = fetched.nonces;
    if !missing.is_empty() {
        // All nonces are read again, not only the missing ones: a mix of nonces from before and after a
        // restart of the store could equal those of an old load. The two calls share a round trip.
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
    nonces.map(Lookup::Missing).ok_or_else(vanished)
}

/// Who loads an entry.
pub(super) enum Lease {
    /// This server.
    Ours,
    /// Another server, which has already stored it.
    Filled(Entry),
}

/// Waits until this server may load the entry or another server has stored it. If the holder of the lease
/// dies, the others wait until the lease expires. After [`LEASE`] this server loads in any case.
pub(super) async fn take_lease(
    store: &dyn EntryStore,
    key: EntryKey,
    lease: EntryKey,
    nonces: &[(Tag, Nonce)],
) -> Lease {
    let lease = Key::Lease(lease);
    let keys: Vec<Key<'_>> = [Key::Entry(key), lease]
        .into_iter()
        .chain(nonces.iter().map(|(tag, _)| Key::Tag(tag)))
        .collect();
    let deadline = Instant::now() + LEASE;
    let mut pause = FIRST_POLL;
    let mut is_taken = false;
    while Instant::now() < deadline {
        if !is_taken {
            match store.claim(lease, LEASE).await {
                Ok(false) => {}
                // A store that does not respond must not prevent the load.
                Ok(true) | Err(_) => return Lease::Ours,
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_POLL);
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

impl Cache {
    /// Loads an entry and stores it, unless another server does so under the same nonces.
    pub(super) async fn load_and_fill(
        self,
        backend: Arc<Backend>,
        key: EntryKey,
        nonces: Vec<(Tag, Nonce)>,
        load: Load,
    ) -> Result<LoadOutcome> {
        let lease = key.with(&nonces);
        let store = &*backend.store;
        if let Lease::Filled(entry) = take_lease(store, key, lease, &nonces).await {
            let entry = Arc::new(entry);
            backend.local.insert(key, entry.clone());
            return Ok(LoadOutcome {
                entry,
                is_stored: true,
                is_collapsed: true,
            });
        }
        let loaded = match self.0.flights.permit().await {
            Ok(_permit) => {
                let loaded_at = self.0.clock.now();
                self.0.counters.loads.inc();
                load.await.map(|loaded| (loaded, loaded_at))
            }
            Err(error) => Err(error),
        };
        let outcome = match loaded {
            Ok((loaded, at)) => Ok(self.fill(&backend, key, &nonces, loaded, at).await),
            Err(error) => Err(error),
        };
        // Released only after the entry was stored: waiting servers look for the entry first, and load it
        // themselves if it is missing. Nothing on this server needs to wait for the release.
        tokio::spawn(async move {
            let _ = backend.store.delete(&[Key::Lease(lease)]).await;
        });
        outcome
    }

    async fn fill(
        &self,
        backend: &Backend,
        key: EntryKey,
        nonces: &[(Tag, Nonce)],
        loaded: Loaded,
        loaded_at: DateTime<Utc>,
    ) -> LoadOutcome {
        let dependencies = loaded.depends_on.and_then(|tags| {
            let tags = std::iter::once(Tag::epoch()).chain(tags);
            let pair = |tag: Tag| nonces.iter().find(|(known, _)| *known == tag).cloned();
            tags.map(pair).collect::<Option<Vec<_>>>()
        });
        // Up to 10 % shorter, so that entries do not expire together.
        let ttl = TTL.mul_f64(1.0 - rand::random::<f64>() / 10.0);
        let is_cacheable = dependencies.is_some();
        let entry = Entry::new(
            loaded.answer,
            dependencies.unwrap_or_default(),
            loaded_at,
            ttl,
        );
        let entry = Arc::new(entry);
        let mut is_stored = false;
        if is_cacheable {
            backend.local.insert(key, entry.clone());
            let encoded = entry.encode();
            is_stored = encoded.len() > MAX_STORED
                || backend
                    .store
                    .fill(Key::Entry(key), encoded, ttl)
                    .await
                    .is_ok();
        }
        if is_stored {
            self.0.counters.fills.inc();
        }
        LoadOutcome {
            entry,
            is_stored,
            is_collapsed: false,
        }
    }
}
