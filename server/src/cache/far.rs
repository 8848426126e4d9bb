//! Reading what is not near: from the store, or by a load that one server makes for all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::future;

use super::{
    Backend, Bytes,
    entry::{Entry, EntryKey},
    store::{Key, Nonce, Store, StoreError},
    tag::Tag,
};

/// How long one server may load for all others before another tries.
const LEASE: Duration = Duration::from_secs(3);
/// How often a server looks whether another has filled an entry: at first, and in the end.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// What the store had for a reader.
pub(super) enum Looked {
    Found(Arc<Entry>),
    Missing(Vec<(Tag, Nonce)>),
}

/// Asks the store for an entry that is not near, and for the nonces that a new one would have.
pub(super) async fn look(
    backend: &Backend,
    key: EntryKey,
    tags: Arc<[Tag]>,
    now: DateTime<Utc>,
) -> Result<Looked, StoreError> {
    let fetched = backend.fetches.fetch(key, tags.clone()).await?;
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

/// Who loads.
pub(super) enum Lease {
    /// The load is ours to make.
    Ours,
    /// Another server has made it.
    Filled(Entry),
}

/// Waits until this server may load the entry or another has filled it. A server that holds the lease
/// and dies holds the others up until the lease ends.
pub(super) async fn take_lease(
    store: &dyn Store,
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
