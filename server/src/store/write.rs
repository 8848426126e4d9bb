//! The write path, the same for every feature: one transaction writes the rows and their entries of the change log;
//! after the commit the cache tags that the write made stale are deleted; only then is the response sent.
//! All of this runs in its own task, so that a dropped connection cannot cancel half of it.

use std::{cell::Cell, collections::BTreeSet, future::Future};

use chrono::{DateTime, TimeDelta, Utc};
use stockroom_common::{Kind, change::Op};

use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    process::interrupted::Interrupted,
    store::{
        Store,
        cache::{Invalidation, MAX_TAGS, Tag},
        database::{Connection, Lease, Transaction},
        log::{self, Change, LogRun},
        stock_moves::StockMoves,
    },
};

/// A write that takes longer than this appends one more entry to the log when it ends.
const LONG_WRITE: TimeDelta = TimeDelta::minutes(1);
/// Most log entries that one statement writes.
const LOGGED_AT_ONCE: usize = 500;

/// Which connection pool a write uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    /// Somebody waits for the response: it waits at most two seconds for a lock.
    Interactive,
    /// It writes many rows, and may wait for a lock as long as a statement may take.
    Bulk,
}

/// A write in progress. If it is dropped without [`Write::commit`], nothing is written.
pub(crate) struct Write {
    pub(crate) store: Store,
    /// The instant of the write, the same for all its rows and log entries.
    pub(crate) at: DateTime<Utc>,
    actor: Actor,
    transaction: Option<Transaction<Lease>>,
    kind: WriteKind,
    interrupted: Interrupted,
    /// The stock that the rows of a bulk write have moved, not written to the products yet.
    pub(crate) stock: Option<StockMoves>,
    /// Whether the write was rolled back; it then cannot continue.
    is_abandoned: bool,
    /// Entries that are not written to the log yet.
    changes: Vec<Change>,
    /// Tags from [`Write::touch`] that are not part of an entry yet.
    touched: Vec<Tag>,
    /// The entries already written to the log.
    logged: Vec<LogRun>,
    /// All tags to delete from the cache after the commit.
    tags: BTreeSet<Tag>,
}

impl Write {
    /// A write of a row or two, whose caller waits for the response.
    pub(crate) fn new(store: Store, actor: Actor) -> Self {
        Self::of_kind(WriteKind::Interactive, store, actor)
    }

    /// A write of many rows, from its own pool so that it takes no connections from interactive writes.
    pub(crate) fn bulk(store: Store, actor: Actor) -> Self {
        Self::of_kind(WriteKind::Bulk, store, actor)
    }

    /// Makes [`Write::check_running`] fail once `interrupted` is set.
    pub(crate) fn until(self, interrupted: Interrupted) -> Self {
        Self {
            interrupted,
            ..self
        }
    }

    /// Fails if the write has been interrupted.
    ///
    /// # Errors
    /// 503 with the reason.
    pub(crate) fn check_running(&self) -> Result<()> {
        self.interrupted.check()
    }

    fn of_kind(kind: WriteKind, store: Store, actor: Actor) -> Self {
        let at = store.options.clock.now();
        Self {
            store,
            at,
            actor,
            transaction: None,
            kind,
            interrupted: Interrupted::default(),
            stock: None,
            is_abandoned: false,
            changes: Vec::new(),
            touched: Vec::new(),
            logged: Vec::new(),
            tags: BTreeSet::new(),
        }
    }

    /// Begins the transaction, unless it has begun. What the write prepares on other connections must come before: two
    /// writes that each hold a connection of the pool and wait for a second one would block each other.
    ///
    /// # Errors
    /// 503 if the write was abandoned, or no connection is free in time.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        if self.is_abandoned {
            return Err(abandoned());
        }
        if self.transaction.is_none() {
            let database = &self.store.database;
            let pool = match self.kind {
                WriteKind::Interactive => &database.writes,
                WriteKind::Bulk => &database.bulk,
            };
            self.transaction = Some(pool.begin().await?);
        }
        Ok(())
    }

    /// The connection of the transaction, once it has begun.
    ///
    /// # Errors
    /// 503 if the write was abandoned.
    pub(crate) fn conn(&mut self) -> Result<&mut Connection> {
        match &mut self.transaction {
            Some(transaction) => Ok(&mut *transaction),
            None => Err(abandoned()),
        }
    }

    /// Rolls back and returns the connection to the pool.
    pub(crate) async fn abandon(&mut self) -> Result<()> {
        self.is_abandoned = true;
        if let Some(transaction) = self.transaction.take() {
            transaction.rollback().await?;
        }
        Ok(())
    }

    /// Adds an entry to the change log; it is written by the next [`Write::write_log`].
    pub(crate) fn log(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Adds the tag of something else that the write changed, such as the stock of a product. It goes into the first
    /// entry that is not written to the log yet.
    pub(crate) fn touch(&mut self, tag: Tag) {
        self.touched.push(tag);
    }

    /// Writes the log entries collected so far. Long writes call it repeatedly, to keep memory use low.
    pub(crate) async fn write_log(&mut self) -> Result<()> {
        let mut entries = std::mem::take(&mut self.changes);
        self.touched.sort();
        self.touched.dedup();
        if self.touched.len() > MAX_TAGS {
            self.touched = vec![Tag::epoch()];
        }
        if let Some(first) = entries.first_mut() {
            let touched = std::mem::take(&mut self.touched);
            first.tags.extend(touched);
            first.tags.sort();
            first.tags.dedup();
        }
        let (at, actor) = (self.at, self.actor.clone());
        for entries in entries.chunks(LOGGED_AT_ONCE) {
            let behind = self.logged.last().copied();
            let conn = self.conn()?;
            let run = log::append_all(conn, at, &actor, entries, behind.as_ref()).await?;
            self.logged.push(run);
        }
        // If no entry was logged, `touched` was not taken above, and its tags must still be deleted.
        let touched = self.touched.iter().cloned();
        let tags = entries.into_iter().flat_map(|change| change.tags);
        self.tags.extend(tags.chain(touched));
        if self.tags.len() > MAX_TAGS {
            self.tags = BTreeSet::from([Tag::epoch()]);
        }
        Ok(())
    }

    /// Writes the log, commits, and then deletes the stale tags from the cache. If that fails, the relay does it later.
    pub(crate) async fn commit(mut self) -> Result<Invalidation> {
        self.write_log().await?;
        let now = self.store.options.clock.now();
        if now - self.at > LONG_WRITE && !self.logged.is_empty() {
            // All entries have the instant at which the write began, so the relay may consider them too old to matter
            // although they are committed only now. This entry is dated now, and its tag covers everything.
            let end = Change {
                entity: "import",
                entity_id: None,
                op: Op::Import,
                version: None,
                before: None,
                after: None,
                tags: vec![Tag::epoch()],
            };
            let actor = self.actor.clone();
            let run = log::append(self.conn()?, now, &actor, &end).await?;
            self.logged.push(run);
            self.tags.insert(Tag::epoch());
        }
        // An abandoned write fails here, even if it had nothing to log.
        self.conn()?;
        if let Some(transaction) = self.transaction {
            transaction.commit().await.map_err(outcome_unknown)?;
        }
        let tags: Vec<Tag> = self.tags.into_iter().collect();
        let invalidation = self.store.cache.invalidate(&tags).await;
        if invalidation == Invalidation::Done {
            self.store.relay.push(self.logged);
        }
        Ok(invalidation)
    }
}

/// Converts the error of a failed `commit`: if the connection was lost, the commit may still have succeeded.
fn outcome_unknown(error: Error) -> Error {
    match error {
        Error::Database(error) if !is_refusal(&error) => Error::OutcomeUnknown(error),
        error => error,
    }
}

/// Whether the database rejected the commit, so that nothing was written. The codes 57P0x do not count: a database
/// that shuts down during a commit reports one of them, and may have committed.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| !code.starts_with("57P0"))
}

/// Why an abandoned write cannot continue.
fn abandoned() -> Error {
    let detail = "Rows that the write needs have just changed. Try again.";
    Error::refused(Kind::Unavailable, detail)
}

/// Runs a write in its own task, to its end even if the client disconnects.
pub(crate) async fn detached<T: Send + 'static>(
    write: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    use tracing::Instrument;

    // Fails outside a request, where nothing reads the flag.
    let _ = IS_BEGUN.try_with(|is_begun| is_begun.set(true));
    tokio::spawn(write.in_current_span()).await?
}

tokio::task_local! {
    /// Whether the current request has begun a write.
    static IS_BEGUN: Cell<bool>;
}

/// Serves a request; also returns whether it has begun a write, which continues even if the request has timed out.
pub(crate) async fn watched<T>(serve: impl Future<Output = T>) -> (T, bool) {
    let serve = async {
        let answer = serve.await;
        (answer, IS_BEGUN.with(Cell::get))
    };
    IS_BEGUN.scope(Cell::new(false), serve).await
}
