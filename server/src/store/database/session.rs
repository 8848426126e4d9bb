//! How a session with PostgreSQL is set up. Poolers refuse settings that come with the first packet, so
//! they are sent as a statement. A pooler in transaction mode may give each transaction another backend:
//! there the settings, and the question which backend it is, are part of the beginning of each transaction.

use sqlx::{
    AssertSqlSafe, Connection as _, Execute, PgConnection, Postgres, Row as _, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgConnectOptions, PgStatement},
};

use crate::http::error::{Error, Result};

/// Whom `DATABASE_URL` leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// PostgreSQL itself, or a pooler that keeps a backend for as long as a connection is open.
    #[default]
    Session,
    /// A pooler that keeps a backend for a transaction only.
    Transaction,
}

/// What its connections are opened with.
#[derive(Debug)]
pub(super) struct Session {
    connect: PgConnectOptions,
    lock_timeout: &'static str,
    pooling: Pooling,
}

/// What a new connection leads to.
pub(super) struct Opened {
    pub(super) link: PgConnection,
    /// The backend process, as in `pg_stat_activity.pid`.
    pub(super) pid: i32,
    /// None for a standby.
    pub(super) timeline: Option<String>,
}

impl Session {
    /// `lock_timeout` with its unit, as PostgreSQL reads it.
    pub(super) fn new(
        connect: PgConnectOptions,
        pooling: Pooling,
        lock_timeout: &'static str,
    ) -> Self {
        Self {
            connect,
            lock_timeout,
            pooling,
        }
    }

    pub(super) async fn open(&self) -> sqlx::Result<Opened> {
        let mut link = PgConnection::connect_with(&self.connect).await?;
        let settings = match self.pooling {
            Pooling::Session => self.settings(false),
            // They would stay with a backend that others get next.
            Pooling::Transaction => String::new(),
        };
        let question = format!(
            "select {settings} pg_backend_pid() as pid, case when not pg_is_in_recovery()
                -- Its first eight digits are the timeline, right from the end of a recovery on.
                then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline"
        );
        let row = sqlx::raw_sql(AssertSqlSafe(question))
            .fetch_one(&mut link)
            .await?;
        Ok(Opened {
            pid: row.try_get("pid")?,
            timeline: row.try_get("timeline")?,
            link,
        })
    }

    pub(super) fn is_shared(&self) -> bool {
        self.pooling == Pooling::Transaction
    }

    /// The statements that begin a transaction where backends are shared; the row of the last one tells the
    /// `pid` of the backend.
    pub(super) fn begin(&self, statement: &str) -> AssertSqlSafe<String> {
        let settings = self.settings(true);
        AssertSqlSafe(format!(
            "{statement}; select {settings} pg_backend_pid() as pid"
        ))
    }

    /// Expressions of a select list that set them, for this transaction only or for the session.
    fn settings(&self, is_local: bool) -> String {
        [
            ("timezone", "UTC"),
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
            // A statement whose caller has gone ends soon, and lets go of its locks.
            ("client_connection_check_interval", "5s"),
            ("lock_timeout", self.lock_timeout),
        ]
        .map(|(name, value)| format!("set_config('{name}', '{value}', {is_local}),"))
        .concat()
    }
}

/// Options as poolers take them: PgBouncer refuses `extra_float_digits`, whose default has been right since
/// PostgreSQL 12.
pub(super) fn plain(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None)
}

/// A query whose statement is given a name, and kept under it, only where a connection has a backend of its
/// own: others would meet the name.
pub(super) struct NamedStatement<E> {
    pub(super) query: E,
    pub(super) is_kept: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for NamedStatement<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> std::result::Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.is_kept && self.query.persistent()
    }
}

/// Refuses an address that leads to a pooler in transaction mode although the settings do not say so: its
/// connections would get each other's settings, and calls would be taken for dead.
///
/// # Errors
/// Where two connections that are open at once have the same backend, or the database does not answer.
pub async fn check_pooling(options: &PgConnectOptions) -> Result<()> {
    const QUESTION: &str = "begin; select pg_backend_pid()";
    let options = plain(options.clone());
    let mut pids: Vec<i32> = Vec::new();
    let mut links = Vec::new();
    for end in ["commit", "rollback"] {
        let mut link = PgConnection::connect_with(&options).await?;
        let row = sqlx::raw_sql(QUESTION).fetch_one(&mut link).await?;
        pids.push(row.try_get(0)?);
        sqlx::raw_sql(end).execute(&mut link).await?;
        links.push(link);
    }
    for link in links {
        // Their answers were all that was wanted.
        let _ = link.close().await;
    }
    pids.dedup();
    match pids.len() {
        1 => Err(Error::Pooled),
        _ => Ok(()),
    }
}
