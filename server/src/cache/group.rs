//! Group commit, for reads: requests that arrive while a round trip is under way form the next group,
//! and one read of the store, sent after the last of them arrived, decides for all of them.

use std::{collections::HashMap, sync::Arc};

use axum::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    counters::Counters,
    entry::{Entry, EntryKey},
    store::{Key, Nonce, Store, StoreError},
    tag::Tag,
};

/// The way to the task that asks the store.
#[derive(Debug)]
pub(super) struct Group(mpsc::UnboundedSender<Question>);

#[derive(Debug)]
enum Question {
    /// Are the nonces of this entry those of its tags?
    Check {
        entry: Arc<Entry>,
        answer: oneshot::Sender<Result<bool, StoreError>>,
    },
    /// What does the store have?
    Fetch {
        key: EntryKey,
        tags: Arc<[Tag]>,
        answer: oneshot::Sender<Result<Fetched, StoreError>>,
    },
}

/// What the store had of an entry.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The entry, where it is there and its nonces are current.
    pub(super) entry: Option<Entry>,
    /// The nonces of the tags that were asked for, in their order.
    pub(super) nonces: Vec<Option<Nonce>>,
}

impl Group {
    /// Starts the task, which answers so many questions at a time at the most; it ends when this is
    /// dropped.
    pub(super) fn start(store: Arc<dyn Store>, counters: Counters, most: usize) -> Self {
        let (sender, questions) = mpsc::unbounded_channel();
        tokio::spawn(drive(store, questions, counters, most));
        Self(sender)
    }

    pub(super) async fn check(&self, entry: Arc<Entry>) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::Check { entry, answer }, answered).await
    }

    pub(super) async fn fetch(
        &self,
        key: EntryKey,
        tags: Arc<[Tag]>,
    ) -> Result<Fetched, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::Fetch { key, tags, answer }, answered)
            .await
    }

    async fn ask<T>(
        &self,
        question: Question,
        answered: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // The task ends only with the runtime.
        self.0.send(question).map_err(|_| StoreError::Down)?;
        answered.await.map_err(|_| StoreError::Down)?
    }
}

async fn drive(
    store: Arc<dyn Store>,
    mut questions: mpsc::UnboundedReceiver<Question>,
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
        let asked = Asked::by(&group);
        counters.round_trips.inc();
        counters.grouped.inc_by(group.len() as u64);
        let values = store.read(&asked.keys).await;
        let values = values.map(|values| Values { asked, values });
        let decide = |question: &Question| match &values {
            Ok(values) => Ok(question.decide(values)),
            Err(error) => Err(error.clone()),
        };
        let verdicts: Vec<_> = group.iter().map(decide).collect();
        for (question, verdict) in group.drain(..).zip(verdicts) {
            question.tell(verdict);
        }
    }
}

/// The keys that a group asks for. Each stands once, so that equal questions cost no more.
struct Asked<'a> {
    keys: Vec<Key<'a>>,
    index: HashMap<Key<'a>, usize>,
}

impl<'a> Asked<'a> {
    fn by(group: &'a [Question]) -> Self {
        let (mut keys, mut index) = (Vec::new(), HashMap::with_capacity(2 * group.len()));
        for key in group.iter().flat_map(Question::keys) {
            index.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            });
        }
        Self { keys, index }
    }
}

/// What a round trip brought.
struct Values<'a> {
    asked: Asked<'a>,
    values: Vec<Option<Bytes>>,
}

impl Values<'_> {
    fn get(&self, key: Key<'_>) -> Option<&Bytes> {
        let index = *self.asked.index.get(&key)?;
        self.values.get(index)?.as_ref()
    }
}

/// What a round trip decides of a question.
enum Verdict {
    Checked(bool),
    Fetched(Fetched),
}

impl Question {
    fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let (key, tags, nonces) = match self {
            Self::Check { entry, .. } => (None, [].as_slice(), entry.nonces.as_slice()),
            Self::Fetch { key, tags, .. } => (Some(Key::Entry(*key)), &**tags, [].as_slice()),
        };
        let tags = tags.iter().chain(nonces.iter().map(|(tag, _)| tag));
        key.into_iter().chain(tags.map(Key::Tag))
    }

    fn decide(&self, values: &Values<'_>) -> Verdict {
        let present = |tag: &Tag| values.get(Key::Tag(tag)).map(|bytes| &**bytes);
        match self {
            Self::Check { entry, .. } => Verdict::Checked(entry.is_current(present)),
            Self::Fetch { key, tags, .. } => {
                let entry = values.get(Key::Entry(*key)).and_then(Entry::decode);
                let nonce = |tag| Some(std::str::from_utf8(present(tag)?).ok()?.to_owned());
                Verdict::Fetched(Fetched {
                    entry: entry.filter(|entry| entry.is_current(present)),
                    nonces: tags.iter().map(nonce).collect(),
                })
            }
        }
    }

    fn tell(self, verdict: Result<Verdict, StoreError>) {
        // Who has hung up meanwhile is not told.
        match (self, verdict) {
            (Self::Check { answer, .. }, Ok(Verdict::Checked(is_current))) => {
                let _ = answer.send(Ok(is_current));
            }
            (Self::Fetch { answer, .. }, Ok(Verdict::Fetched(fetched))) => {
                let _ = answer.send(Ok(fetched));
            }
            (Self::Check { answer, .. }, Err(error)) => {
                let _ = answer.send(Err(error));
            }
            (Self::Fetch { answer, .. }, Err(error)) => {
                let _ = answer.send(Err(error));
            }
            _ => {}
        }
    }
}
