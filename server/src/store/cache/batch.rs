//! Batcher commit, for reads: requests that arrive while a round trip is under way form the next group,
//! and one read of the store, sent after the last of them arrived, decides for all of them.

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

/// What one reader wants to know of the store.
pub(super) trait BatchRequest: Send + Sync + 'static {
    type Answer: Send + 'static;

    /// The keys whose values decide.
    fn keys(&self) -> impl Iterator<Item = Key<'_>> + Send;

    fn decide(&self, values: &Values<'_>) -> Self::Answer;
}

/// Are the nonces of this entry those of its tags?
#[derive(Debug)]
pub(super) struct Check(pub(super) Arc<Entry>);

/// What does the store have of this entry, and of the tags that it may depend on?
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) key: EntryKey,
    pub(super) tags: Arc<[Tag]>,
}

/// A question and the way back to who asked it.
type Pending<Q> = (
    Q,
    oneshot::Sender<Result<<Q as BatchRequest>::Answer, StoreError>>,
);

/// The way to the task that asks the store questions of one kind.
pub(super) struct Batcher<Q: BatchRequest>(mpsc::UnboundedSender<Pending<Q>>);

/// What the store had of an entry.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The entry, where it is there and its nonces are current.
    pub(super) entry: Option<Entry>,
    /// The nonces of the tags that were asked for, in their order.
    pub(super) nonces: Vec<Option<Nonce>>,
}

impl<Q: BatchRequest> Batcher<Q> {
    /// Starts the task, which answers so many questions at a time at the most; it ends when this is
    /// dropped.
    pub(super) fn start(store: Arc<dyn EntryStore>, counters: Counters, most: usize) -> Self {
        let (sender, questions) = mpsc::unbounded_channel();
        tokio::spawn(drive(store, questions, counters, most));
        Self(sender)
    }

    pub(super) async fn ask(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        // The task ends only with the runtime.
        let asked = self.0.send((question, answer));
        asked.map_err(|_| StoreError::Down)?;
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
    mut questions: mpsc::UnboundedReceiver<Pending<Q>>,
    counters: Counters,
    most: usize,
) {
    let mut group = Vec::new();
    while questions.recv_many(&mut group, most).await > 0 {
        // Those that are ready to ask do so now rather than wait for the next group.
        tokio::task::yield_now().await;
        while group.len() < most
            && let Ok(question) = questions.try_recv()
        {
            group.push(question);
        }
        // The group is closed: who arrives from here on, after the read is sent, is in the next.
        let (asking, answers): (Vec<Q>, Vec<_>) = group.drain(..).unzip();
        let asked = Asked::by(&asking);
        counters.round_trips.inc();
        counters.grouped.inc_by(asking.len() as u64);
        let values = store.read(&asked.keys).await;
        let values = values.map(|values| Values { asked, values });
        for (question, answer) in asking.iter().zip(answers) {
            let decided = match &values {
                Ok(values) => Ok(question.decide(values)),
                Err(error) => Err(error.clone()),
            };
            // Who has hung up meanwhile is not told.
            let _ = answer.send(decided);
        }
    }
}

/// The keys that a group asks for. Each stands once, so that equal questions cost no more.
struct Asked<'a> {
    keys: Vec<Key<'a>>,
    index: HashMap<Key<'a>, usize>,
}

impl<'a> Asked<'a> {
    fn by(group: &'a [impl BatchRequest]) -> Self {
        let (mut keys, mut index) = (Vec::new(), HashMap::with_capacity(2 * group.len()));
        for key in group.iter().flat_map(BatchRequest::keys) {
            index.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            });
        }
        Self { keys, index }
    }
}

/// What a round trip brought.
pub(super) struct Values<'a> {
    asked: Asked<'a>,
    values: Vec<Option<Bytes>>,
}

impl Values<'_> {
    fn get(&self, key: Key<'_>) -> Option<&Bytes> {
        let index = *self.asked.index.get(&key)?;
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
