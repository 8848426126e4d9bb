//! The write path, the same for everything: one transaction that holds the rows and what the change
//! log says of them, then the end of every cached answer that they make old, and only then the reply.
//! All of it in a task of its own, so that a dropped connection cannot cancel half of it.

use std::{cell::Cell, collections::BTreeSet, future::Future};

use chrono::{DateTime, TimeDelta, Utc};
use stockroom_common::{Kind, change::Op};

use crate::{
    http::{
        error::{Error, Result},
        extract::Actor,
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

/// A write that takes longer says in the log when it ended.
const LONG: TimeDelta = TimeDelta::minutes(1);
/// Entries of the log that one statement writes.
const LOGGED_AT_ONCE: usize = 500;

/// Whose connections a write uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    /// Somebody waits for it: it waits for locks for two seconds at the most.
    Interactive,
    /// It has many rows, and waits for locks for as long as a statement may take.
    Bulk,
}

/// A write under way; dropped without [`Write::commit`] it leaves nothing.
pub(crate) struct Write {
    pub(crate) store: Store,
    /// The instant that every row of this write bears.
    pub(crate) at: DateTime<Utc>,
    actor: Actor,
    transaction: Option<Transaction<Lease>>,
    kind: WriteKind,
    interrupted: Interrupted,
    /// What rows that are written together have moved and that is yet to be written.
    pub(crate) stock: Option<StockMoves>,
    /// Whether what was done so far is undone, and nothing more can be.
    is_abandoned: bool,
    changes: Vec<Change>,
    touched: Vec<Tag>,
    /// What is in the log already, and the tags of it.
    logged: Vec<LogRun>,
    tags: BTreeSet<Tag>,
}

impl Write {
    /// A write of a row or two, for somebody who waits.
    pub(crate) fn new(store: Store, actor: Actor) -> Self {
        Self::of_kind(WriteKind::Interactive, store, actor)
    }

    /// A write of many rows, which leaves the connections of the others alone.
    pub(crate) fn bulk(store: Store, actor: Actor) -> Self {
        Self::of_kind(WriteKind::Bulk, store, actor)
    }

    /// The same write, which is to end when that says so.
    pub(crate) fn until(self, interrupted: Interrupted) -> Self {
        Self {
            interrupted,
            ..self
        }
    }

    /// Refuses to go on where nobody waits for it any more.
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

    /// The connection of the transaction, which begins with the first call: what a write has to
    /// prepare on other connections comes before, and so never holds two of the pool.
    pub(crate) async fn conn(&mut self) -> Result<&mut Connection> {
        let transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None if self.is_abandoned => {
                let detail = "What the write needs has changed under it; try again.";
                return Err(Error::refused(Kind::Unavailable, detail));
            }
            None => {
                let database = &self.store.database;
                let pool = match self.kind {
                    WriteKind::Interactive => &database.writes,
                    WriteKind::Bulk => &database.bulk,
                };
                pool.begin().await?
            }
        };
        Ok(&mut *self.transaction.insert(transaction))
    }

    /// Undoes what was done so far and gives the connection back.
    pub(crate) async fn abandon(&mut self) -> Result<()> {
        self.is_abandoned = true;
        if let Some(transaction) = self.transaction.take() {
            transaction.rollback().await?;
        }
        Ok(())
    }

    /// Logs what happened.
    pub(crate) fn log(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Names something else that the write changed, such as the stock of a product. It is told in
    /// the first entry that is yet to be logged.
    pub(crate) fn touch(&mut self, tag: Tag) {
        self.touched.push(tag);
    }

    /// Writes the log as far as it goes, so that a long write need not remember all of it.
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
        let (at, actor) = (self.at, self.actor.0.clone());
        for entries in entries.chunks(LOGGED_AT_ONCE) {
            let behind = self.logged.last().copied();
            let conn = self.conn().await?;
            let run = log::append_all(conn, at, &actor, entries, behind.as_ref()).await?;
            self.logged.push(run);
        }
        // Where nothing was logged, what was touched is old all the same.
        let touched = self.touched.iter().cloned();
        let tags = entries.into_iter().flat_map(|change| change.tags);
        self.tags.extend(tags.chain(touched));
        if self.tags.len() > MAX_TAGS {
            self.tags = BTreeSet::from([Tag::epoch()]);
        }
        Ok(())
    }

    /// Writes the log, commits and makes old answers end.
    pub(crate) async fn commit(mut self) -> Result<Invalidation> {
        self.write_log().await?;
        let now = self.store.options.clock.now();
        if now - self.at > LONG && !self.logged.is_empty() {
            // A relay takes its entries for as old as they say they are, which is as good as forgotten.
            // This one says that everything has changed now.
            let end = Change {
                entity: "import",
                entity_id: None,
                op: Op::Import,
                version: None,
                before: None,
                after: None,
                tags: vec![Tag::epoch()],
            };
            let actor = self.actor.0.clone();
            let run = log::append(self.conn().await?, now, &actor, &end).await?;
            self.logged.push(run);
            self.tags.insert(Tag::epoch());
        }
        // A write that has done nothing fails here where what it needs is gone.
        self.conn().await?;
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

/// What becomes of a failed `commit`: where the link was lost on the way, it may have been done.
fn outcome_unknown(error: Error) -> Error {
    match error {
        Error::Database(error) if !is_refusal(&error) => Error::OutcomeUnknown(error),
        error => error,
    }
}

/// Whether the database itself has refused, and so has done nothing. One that is shut down while it commits
/// says so, too, and may have done it.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| !code.starts_with("57P0"))
}

/// Runs a write to its end even if its caller hangs up.
pub(crate) async fn detached<T: Send + 'static>(
    write: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    use tracing::Instrument;

    // Outside of a request nobody asks.
    let _ = IS_BEGUN.try_with(|is_begun| is_begun.set(true));
    tokio::spawn(write.in_current_span()).await?
}

tokio::task_local! {
    /// Whether the request that is served has begun a write.
    static IS_BEGUN: Cell<bool>;
}

/// Serves a request; tells also whether it has begun a write by the end.
pub(crate) async fn watched<T>(serve: impl Future<Output = T>) -> (T, bool) {
    let serve = async {
        let answer = serve.await;
        (answer, IS_BEGUN.with(Cell::get))
    };
    IS_BEGUN.scope(Cell::new(false), serve).await
}
