//! Batches reads of the store, as batch commit batches writes. Requests that arrive during a round trip
//! form the next batch. One read, sent after the last of them arrived, answers all of them, so no request
//! is answered with nonces that were read before it began.

use std::{collections::HashMap, fmt, sync::Arc};

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    counters::Counters,
    entry::{Entry, EntryKey},
    nonce::Nonce,
    store::{EntryStore, Key, StoreError},
    tag::Tag,
};

/// A request that is answered by values from the store.
pub(super) trait BatchRequest: Send + Sync + 'static {
    type Answer: Send + 'static;

    /// The keys whose values the answer needs.
    fn keys(&self) -> impl Iterator<Item = Key<'_>> + Send;

    fn decide(&self, values: &Values<'_>) -> Self::Answer;
}

/// Asks whether all nonces of this entry are still current.
#[derive(Debug)]
pub(super) struct Check(pub(super) Arc<Entry>);

/// Asks for an entry, and for the nonces of the tags that it may depend on.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) key: EntryKey,
    pub(super) tags: Arc<[Tag]>,
}

/// A request and the channel for its answer.
type Pending<Q> = (
    Q,
    oneshot::Sender<Result<<Q as BatchRequest>::Answer, StoreError>>,
);

/// A handle to the task that batches requests of one kind.
pub(super) struct Batcher<Q: BatchRequest>(mpsc::UnboundedSender<Pending<Q>>);

/// The answer to a [`Fetch`].
#[derive(Debug)]
pub(super) struct Fetched {
    /// The entry, if the store has it and its nonces are current.
    pub(super) entry: Option<Entry>,
    /// The nonces of the requested tags, in the same order; `None` for a tag without one.
    pub(super) nonces: Vec<Option<Nonce>>,
}

impl<Q: BatchRequest> Batcher<Q> {
    /// Starts the task. It answers at most `max` requests per round trip, and ends when the `Batcher` is
    /// dropped.
    pub(super) fn start(store: Arc<dyn EntryStore>, counters: Counters, max: usize) -> Self {
        let (sender, incoming) = mpsc::unbounded_channel();
        tokio::spawn(drive(store, incoming, counters, max));
        Self(sender)
    }

    pub(super) async fn ask(&self, request: Q) -> Result<Q::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        // Sending and receiving fail only if the task has ended, which happens only with the runtime.
        let keys = self.0.send((request, answer));
        keys.map_err(|_| StoreError::Down)?;
        answered.await.map_err(|_| StoreError::Down)?
    }
}

impl<Q: BatchRequest> fmt::Debug for Batcher<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batcher")
    }
}

async fn drive<Q: BatchRequest>(
    store: Arc<dyn EntryStore>,
    mut incoming: mpsc::UnboundedReceiver<Pending<Q>>,
    counters: Counters,
    max: usize,
) {
    let mut batch = Vec::new();
    while incoming.recv_many(&mut batch, max).await > 0 {
        // Lets tasks that are ready to send a request do so now, so that they need not wait for the next batch.
        tokio::task::yield_now().await;
        while batch.len() < max
            && let Ok(request) = incoming.try_recv()
        {
            batch.push(request);
        }
        // The batch is closed before the read is sent: later requests join the next batch.
        let (requests, answers): (Vec<Q>, Vec<_>) = batch.drain(..).unzip();
        let keys = UniqueKeys::of(&requests);
        counters.round_trips.inc();
        counters.batched.inc_by(requests.len() as u64);
        let values = store.read(&keys.keys).await;
        let values = values.map(|values| Values { keys, values });
        for (request, answer) in requests.iter().zip(answers) {
            let decided = match &values {
                Ok(values) => Ok(request.decide(values)),
                Err(error) => Err(error.clone()),
            };
            // Fails if the requester was cancelled meanwhile.
            let _ = answer.send(decided);
        }
    }
}

/// The keys of a batch without duplicates, so that equal requests cost nothing extra.
struct UniqueKeys<'a> {
    keys: Vec<Key<'a>>,
    index: HashMap<Key<'a>, usize>,
}

impl<'a> UniqueKeys<'a> {
    fn of(batch: &'a [impl BatchRequest]) -> Self {
        let (mut keys, mut index) = (Vec::new(), HashMap::with_capacity(2 * batch.len()));
        for key in batch.iter().flat_map(BatchRequest::keys) {
            index.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            });
        }
        Self { keys, index }
    }
}

/// The values that a round trip returned.
pub(super) struct Values<'a> {
    keys: UniqueKeys<'a>,
    values: Vec<Option<Bytes>>,
}

impl Values<'_> {
    fn get(&self, key: Key<'_>) -> Option<&Bytes> {
        let index = *self.keys.index.get(&key)?;
        self.values.get(index)?.as_ref()
    }

    fn nonce(&self, tag: &Tag) -> Option<&[u8]> {
        self.get(Key::Tag(tag)).map(|bytes| &**bytes)
    }
}

impl BatchRequest for Check {
    type Answer = bool;

    fn keys(&self) -> impl Iterator<Item = Key<'_>> + Send {
        self.0.nonces.iter().map(|(tag, _)| Key::Tag(tag))
    }

    fn decide(&self, values: &Values<'_>) -> bool {
        self.0.is_current(|tag| values.nonce(tag))
    }
}

impl BatchRequest for Fetch {
    type Answer = Fetched;

    fn keys(&self) -> impl Iterator<Item = Key<'_>> + Send {
        std::iter::once(Key::Entry(self.key)).chain(self.tags.iter().map(Key::Tag))
    }

    fn decide(&self, values: &Values<'_>) -> Fetched {
        let entry = values.get(Key::Entry(self.key)).and_then(Entry::decode);
        let nonce = |tag| Some(std::str::from_utf8(values.nonce(tag)?).ok()?.to_owned());
        Fetched {
            entry: entry.filter(|entry| entry.is_current(|tag| values.nonce(tag))),
            nonces: self.tags.iter().map(nonce).collect(),
        }
    }
}
