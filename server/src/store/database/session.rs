//! Setup of a session with PostgreSQL. Poolers reject settings in the startup packet, so a statement applies
//! them. A pooler in transaction mode may use another backend for each transaction, so there each transaction
//! starts by applying the settings and reading the process ID of its backend.

use sqlx::{
    AssertSqlSafe, Connection as _, Execute, PgConnection, Postgres, Row as _, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgConnectOptions, PgStatement},
};

use crate::http::error::{Error, Result};

/// What `DATABASE_URL` leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// PostgreSQL itself, or a pooler that assigns a backend for as long as a connection is open.
    #[default]
    Session,
    /// A pooler that assigns a backend only for the duration of a transaction.
    Transaction,
}

/// How the connections of a pool are opened.
#[derive(Debug)]
pub(super) struct Session {
    connect: PgConnectOptions,
    lock_timeout: &'static str,
    pooling: Pooling,
}

/// A new connection, and what the database reported about itself.
pub(super) struct Opened {
    pub(super) link: PgConnection,
    /// The backend process, as in `pg_stat_activity.pid`.
    pub(super) pid: i32,
    /// `None` if the database is a standby.
    pub(super) timeline: Option<String>,
}

impl Session {
    /// `lock_timeout` is in PostgreSQL's format, with a unit.
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
            // They would stay with the backend, which other clients use next.
            Pooling::Transaction => String::new(),
        };
        let question = format!(
            "select {settings} pg_backend_pid() as pid, case when not pg_is_in_recovery()
                -- The first eight digits are the timeline; they are right as soon as a recovery has ended.
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

    /// The statements that begin a transaction if backends are shared. The last one returns the `pid` of the
    /// backend.
    pub(super) fn begin(&self, statement: &str) -> AssertSqlSafe<String> {
        let settings = self.settings(true);
        AssertSqlSafe(format!(
            "{statement}; select {settings} pg_backend_pid() as pid"
        ))
    }

    /// Expressions for a select list that apply the settings, either to this transaction only or to the session.
    fn settings(&self, is_local: bool) -> String {
        [
            ("timezone", "UTC"),
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
            // Cancels a statement whose client has disconnected, so that its locks are released.
            ("client_connection_check_interval", "5s"),
            ("lock_timeout", self.lock_timeout),
        ]
        .map(|(name, value)| format!("set_config('{name}', '{value}', {is_local}),"))
        .concat()
    }
}

/// Returns options that poolers accept: PgBouncer rejects `extra_float_digits`, whose default has been right since
/// PostgreSQL 12.
pub(super) fn pooler_compatible(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None)
}

/// A query that is prepared under a name, and kept for reuse, only if the connection has its own backend. On a
/// shared backend the names of several clients would collide.
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

/// Rejects an address that leads to a pooler in transaction mode if the server is not configured for one.
/// Connections would otherwise get each other's settings, and calls in progress would be considered dead.
///
/// # Errors
/// If two connections that are open at once have the same backend, or the database does not respond.
pub async fn check_pooling(options: &PgConnectOptions) -> Result<()> {
    const QUESTION: &str = "begin; select pg_backend_pid()";
    let options = pooler_compatible(options.clone());
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
        // The connections were only a test, so a failed close does not matter.
        let _ = link.close().await;
    }
    pids.dedup();
    match pids.len() {
        1 => Err(Error::Pooled),
        _ => Ok(()),
    }
}
