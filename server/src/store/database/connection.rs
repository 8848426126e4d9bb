//! A connection that detects a dead link. A network can drop packets without closing the connection, and the
//! driver would then wait for ever. After two seconds, a waiting call therefore checks over another connection
//! whether the database is still working on it ([`Watch`]). If it is not, the call fails and the connection is closed.

mod transaction;

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, Stream, TryFutureExt,
    future::{BoxFuture, Either as Either2, select},
    stream::{self, BoxStream, StreamExt, TryStreamExt},
};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor, PgConnection, Postgres, Row as _, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

pub(crate) use self::transaction::Transaction;
use super::{
    session::{NamedStatement, Session},
    watch::Watch,
};
use crate::http::error::Result;

/// A connection, and the state that its pool needs to know.
pub struct Connection {
    link: PgConnection,
    session: Arc<Session>,
    /// The backend process, as in `pg_stat_activity.pid`. If backends are shared, that of the last transaction.
    pid: i32,
    watch: Arc<Watch>,
    opened: Instant,
    used: Instant,
    /// Whether part of an answer may still be unread.
    is_unread: bool,
    /// Whether the link is dead or the server has closed it.
    is_broken: bool,
    in_transaction: bool,
}

/// The state in which a user leaves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Clean,
    /// An answer is unread, or a transaction is open.
    Unfinished,
    Broken,
}

impl Connection {
    pub(super) async fn open(session: Arc<Session>, watch: Arc<Watch>) -> sqlx::Result<Self> {
        let opened = session.open().await?;
        // A standby may lag behind writes that another server has acknowledged, so it is not used at all.
        let timeline = opened.timeline;
        let timeline = timeline.ok_or_else(|| io::Error::other("the database is a standby"))?;
        watch.connected_to(&timeline);
        let now = Instant::now();
        Ok(Self {
            link: opened.link,
            session,
            pid: opened.pid,
            watch,
            opened: now,
            used: now,
            is_unread: false,
            is_broken: false,
            in_transaction: false,
        })
    }

    pub(super) const fn condition(&self) -> Condition {
        if self.is_broken {
            Condition::Broken
        } else if self.is_unread || self.in_transaction {
            Condition::Unfinished
        } else {
            Condition::Clean
        }
    }

    /// Reads the rest of an unread answer and rolls back an open transaction.
    pub(super) async fn recover(&mut self) -> sqlx::Result<()> {
        self.link.flush().await?;
        if self.in_transaction {
            sqlx::raw_sql("rollback").execute(&mut self.link).await?;
            self.in_transaction = false;
        }
        self.is_unread = false;
        Ok(())
    }

    pub(super) async fn ping(&mut self) -> sqlx::Result<()> {
        self.link.ping().await
    }

    pub(super) async fn close(self) {
        // The socket is closed even if the terminate message cannot be sent.
        let _ = self.link.close().await;
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.used.elapsed()
    }

    pub(super) fn touch(&mut self) {
        self.used = Instant::now();
    }

    /// Whether a transaction is open, so that its statements can share one snapshot.
    pub(crate) const fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Begins a transaction with `statement` on this borrowed connection.
    pub(crate) async fn begin(
        &mut self,
        statement: &'static str,
    ) -> Result<Transaction<&mut Self>> {
        Transaction::begin(self, statement).await
    }

    /// Sends `bytes` to a `copy … from stdin`.
    pub(crate) async fn copy_in(&mut self, statement: &str, bytes: &[u8]) -> Result<()> {
        let (link, mut call) = self.split();
        let copy = async {
            let mut copy = link.copy_in_raw(statement).await?;
            copy.send(bytes).await?;
            copy.finish().await?;
            Ok(())
        };
        Ok(call.run(copy).await?)
    }

    /// Opens a transaction. If backends are shared, this also applies the settings of the session.
    async fn open_transaction(&mut self, statement: &'static str) -> sqlx::Result<()> {
        // Set before the statement runs: even if this call is cancelled, the transaction may be open.
        self.in_transaction = true;
        if !self.session.is_shared() {
            sqlx::raw_sql(statement).execute(self).await?;
            return Ok(());
        }
        let row = sqlx::raw_sql(self.session.begin(statement)).fetch_one(&mut *self);
        self.pid = row.await?.try_get("pid")?;
        Ok(())
    }

    async fn end_transaction(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(statement).execute(&mut *self).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Whether a statement needs its own transaction, because only a transaction applies the settings of the session.
    fn needs_transaction(&self) -> bool {
        self.session.is_shared() && !self.in_transaction
    }

    fn named<E>(&self, query: E) -> NamedStatement<E> {
        NamedStatement {
            query,
            is_kept: !self.session.is_shared(),
        }
    }

    /// Runs a statement in its own transaction. All rows are read before the transaction ends.
    async fn run_alone<'q, E>(&mut self, query: E) -> sqlx::Result<Vec<Step>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        self.open_transaction("begin").await?;
        let steps = (&mut *self).fetch_many(query).try_collect().await;
        let end = match &steps {
            Ok(_) => "commit",
            Err(_) if self.is_broken => return steps,
            Err(_) => "rollback",
        };
        self.end_transaction(end).await?;
        steps
    }

    /// Splits the connection into its link and the state of one call over it.
    fn split(&mut self) -> (&mut PgConnection, Call<'_>) {
        self.is_unread = true;
        let call = Call {
            watch: &self.watch,
            pid: self.pid,
            is_unread: &mut self.is_unread,
            is_broken: &mut self.is_broken,
        };
        (&mut self.link, call)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.pid)
    }
}

/// A call in progress.
struct Call<'c> {
    watch: &'c Arc<Watch>,
    pid: i32,
    is_unread: &'c mut bool,
    is_broken: &'c mut bool,
}

impl Call<'_> {
    /// Waits for the answer, and fails if the link is found dead.
    async fn run<T>(
        &mut self,
        answer: impl Future<Output = sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        let loss = std::pin::pin!(self.watch.clone().wait_until_lost(self.pid));
        let answer = std::pin::pin!(answer);
        // `select` polls the answer first, so an answer that has arrived wins over a dead link.
        match select(answer, loss).await {
            Either2::Left((Ok(answer), _)) => {
                self.ended();
                Ok(answer)
            }
            Either2::Left((Err(error), _)) => Err(self.failed(error)),
            Either2::Right(((), _)) => Err(self.give_up()),
        }
    }

    fn ended(&mut self) {
        *self.is_unread = false;
        self.watch.mark_alive();
    }

    fn failed(&mut self, error: sqlx::Error) -> sqlx::Error {
        if ends_link(&error) {
            *self.is_broken = true
        } else {
            self.watch.mark_alive()
        }
        error
    }

    fn give_up(&mut self) -> sqlx::Error {
        *self.is_broken = true;
        tracing::warn!(
            pid = self.pid,
            "a connection to PostgreSQL is dead and is closed"
        );
        io::Error::new(io::ErrorKind::TimedOut, "the connection is dead").into()
    }
}

/// Whether the connection is unusable after `error`.
fn ends_link(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // The server is shutting down or has become a standby; a new connection may reach the new primary.
            matches!(&*code, "25006" | "57P01" | "57P02" | "57P03") || code.starts_with("08")
        }),
        _ => false,
    }
}

type Step = Either<PgQueryResult, PgRow>;

/// The rows of a call. Ends with an error if the link is found dead.
struct Rows<'c> {
    rows: BoxStream<'c, sqlx::Result<Step>>,
    call: Call<'c>,
    /// Resolves when the link is found dead. Created for each wait.
    loss: Option<BoxFuture<'static, ()>>,
}

impl Stream for Rows<'_> {
    type Item = sqlx::Result<Step>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match this.rows.as_mut().poll_next(cx) {
            Poll::Ready(step) => {
                this.loss = None;
                match step {
                    None => this.call.ended(),
                    Some(Ok(step)) => return Poll::Ready(Some(Ok(step))),
                    Some(Err(error)) => return Poll::Ready(Some(Err(this.call.failed(error)))),
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                let (watch, pid) = (this.call.watch, this.call.pid);
                let loss = this
                    .loss
                    .get_or_insert_with(|| watch.clone().wait_until_lost(pid).boxed());
                match loss.poll_unpin(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(this.call.give_up()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.needs_transaction() {
            let steps = async move { Ok(stream::iter(self.run_alone(query).await?).map(Ok)) };
            return steps.try_flatten_stream().boxed();
        }
        let query = self.named(query);
        let (link, call) = self.split();
        Box::pin(Rows {
            rows: link.fetch_many(query),
            call,
            loss: None,
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.needs_transaction() {
            return Box::pin(async move {
                let steps = self.run_alone(query).await?;
                Ok(steps.into_iter().find_map(Either::right))
            });
        }
        let query = self.named(query);
        let (link, mut call) = self.split();
        let row = link.fetch_optional(query);
        Box::pin(async move { call.run(row).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        let (link, mut call) = self.split();
        let statement = link.prepare_with(sql, parameters);
        Box::pin(async move { call.run(statement).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        let (link, mut call) = self.split();
        let description = link.describe(sql);
        Box::pin(async move { call.run(description).await })
    }
}
