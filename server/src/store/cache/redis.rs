//! The store that servers share: Redis or Valkey, as one node, as a cluster or behind sentinels.

mod address;
mod link;

use std::{fmt, sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::future;
use redis::{Cmd, RedisWrite, ToRedisArgs, Value};
use tokio::sync::watch;

pub use self::address::RedisAddress;
use self::link::Link;
use super::{
    nonce::fresh_nonce,
    store::{EntryStore, Key, StoreError, StoreFuture, TAG_TTL},
    tag::Tag,
};

/// Time limit for deleting tags, including the retry, after which it is left to the relay.
const DELETE_BUDGET: Duration = Duration::from_millis(250);

pub(super) struct RedisStore {
    link: Link,
    prefix: KeyPrefix,
    /// Time limit for a reader's command, after which the database is used instead.
    budget: Duration,
}

/// The prefix of every key: the shop, and the timeline of its database. A failover of the database starts a new
/// timeline, which a server uses from its first connection to the new primary. It then shares no keys with what was
/// cached before, or with servers that are still connected to the old primary.
#[derive(Clone, Debug)]
pub(crate) struct KeyPrefix {
    pub(crate) shop: Arc<str>,
    pub(crate) timeline: watch::Receiver<Arc<str>>,
}

impl KeyPrefix {
    /// The current prefix. All keys of a command use the same one.
    fn now(&self) -> Prefix<'_> {
        Prefix {
            shop: &self.shop,
            timeline: self.timeline.borrow().clone(),
        }
    }

    fn epoch(&self) -> String {
        let key = Key::Tag(&Tag::epoch()).to_string();
        format!("{}{}:{key}", self.shop, *self.timeline.borrow())
    }
}

struct Prefix<'a> {
    shop: &'a str,
    timeline: Arc<str>,
}

impl Prefix<'_> {
    fn key<'a>(&'a self, key: Key<'a>) -> Prefixed<'a> {
        Prefixed(self, key)
    }
}

/// A key with its prefix, formatted without allocating a string.
struct Prefixed<'a>(&'a Prefix<'a>, Key<'a>);

impl ToRedisArgs for Prefixed<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let Prefix { shop, timeline } = self.0;
        out.write_arg_fmt(format_args!("{shop}{timeline}:{}", self.1));
    }
}

impl redis::ToSingleRedisArg for Prefixed<'_> {}

impl RedisStore {
    /// Starts to connect in the background. `prefix` precedes every key, because other shops and other
    /// programs may use the same Redis.
    pub(super) fn new(address: RedisAddress, prefix: KeyPrefix, budget: Duration) -> Self {
        Self {
            link: Link::maintain(address, prefix.clone()),
            prefix,
            budget,
        }
    }

    fn keys(&self, command: &str, keys: &[Key<'_>]) -> Cmd {
        let prefix = self.prefix.now();
        let mut cmd = redis::cmd(command);
        for key in keys {
            cmd.arg(prefix.key(*key));
        }
        cmd
    }

    async fn mget(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let values = match self
            .link
            .call(&self.keys("MGET", keys), self.budget)
            .await?
        {
            Value::Array(values) => values,
            other => return Err(unexpected(&other)),
        };
        let bytes = values.into_iter().map(|value| match value {
            Value::BulkString(bytes) => Some(bytes.into()),
            _ => None,
        });
        Ok(bytes.collect())
    }

    async fn set_tag(&self, tag: &Tag) -> Result<Value, StoreError> {
        let mut nonce = fresh_nonce();
        if *tag == Tag::epoch() {
            nonce = link::epoch(&self.link.run_id()?, &nonce);
        }
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.prefix.now().key(Key::Tag(tag)))
            .arg(nonce)
            .arg("NX")
            .arg("PX")
            .arg(millis(TAG_TTL));
        self.link.call(&cmd, self.budget).await
    }
}

impl EntryStore for RedisStore {
    fn read<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        Box::pin(self.mget(keys))
    }

    fn ensure<'a>(&'a self, tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            // Sent together, so they take one round trip.
            future::try_join_all(tags.iter().map(|tag| self.set_tag(tag))).await?;
            Ok(())
        })
    }

    fn fill<'a>(&'a self, key: Key<'a>, value: Bytes, ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut cmd = redis::cmd("SET");
            cmd.arg(self.prefix.now().key(key))
                .arg(&*value)
                .arg("PX")
                .arg(millis(ttl));
            self.link.call(&cmd, self.budget).await.map(|_| ())
        })
    }

    fn claim<'a>(&'a self, key: Key<'a>, ttl: Duration) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut cmd = redis::cmd("SET");
            cmd.arg(self.prefix.now().key(key))
                .arg("")
                .arg("NX")
                .arg("PX")
                .arg(millis(ttl));
            let answer = self.link.call(&cmd, self.budget).await?;
            Ok(answer != Value::Nil)
        })
    }

    fn delete<'a>(&'a self, keys: &'a [Key<'a>]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let cmd = self.keys("DEL", keys);
            self.link
                .retry_call(&cmd, self.budget.max(DELETE_BUDGET))
                .await
                .map(|_| ())
        })
    }

    fn is_up(&self) -> bool {
        self.link.run_id().is_ok()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unexpected(value: &Value) -> StoreError {
    StoreError::Failed(format!("unexpected reply: {value:?}"))
}
