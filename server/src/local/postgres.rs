//! A private PostgreSQL for one user of this machine, made from the installed binaries. It belongs to
//! a guard process ([`guard`]) that stops it when the server is gone, however the server went.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use stockroom_common::place;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{guard, install::Installation, redis};

/// The superuser of a private PostgreSQL, and its database.
pub const ROLE: &str = "stockroom";
pub const DATABASE: &str = "stockroom";

/// How long the guard may take until PostgreSQL answers: recovery after a crash included.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to stop everything.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What can keep a private PostgreSQL from running, each with what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("PostgreSQL is not installed here; install it with: {0}")]
    NotInstalled(String),
    #[error(
        "the data in {data_dir} was made by PostgreSQL {made_by}, which is not installed here; \
         install that version with: {hint}"
    )]
    OtherVersion {
        data_dir: String,
        made_by: String,
        hint: String,
    },
    #[error("this system tells no home folder; set STOCKROOM_DATA_DIR to one for the shop's data")]
    NoHome,
    #[error("another stockroom-server (process {0}) already serves this folder")]
    Occupied(String),
    #[error(
        "as root PostgreSQL must run as another user, and there is no `postgres`; make one with: \
        useradd --system --no-create-home stockroom"
    )]
    NoUser,
    #[error(
        "as root PostgreSQL runs as another user, who cannot enter {0}; allow it with `chmod o+x {0}`, or name \
        another folder"
    )]
    NoEntry(String),
    #[error("{what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("PostgreSQL did not start; its last words in {log}: {words}")]
    DidNotStart { log: String, words: String },
}

impl LocalError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// How much a private PostgreSQL does for its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The data outlives everything: the user's own shop.
    Kept,
    /// The data is removed with the server: tests.
    Ephemeral,
}

/// The files of one private PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) data_dir: PathBuf,
    /// PostgreSQL's own folder.
    pub(crate) cluster: PathBuf,
    pub(crate) sockets: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.into(),
            cluster: data_dir.join("postgres"),
            sockets: place::socket_dir(data_dir, "sockets"),
            log: data_dir.join("postgres.log"),
        }
    }
}

/// A running private PostgreSQL. It stops when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct LocalPostgres {
    layout: Layout,
    guard: Child,
    has_redis: bool,
}

impl LocalPostgres {
    /// Starts PostgreSQL on the data in `data_dir`, which is made where it is absent. `server_exe`
    /// is a `stockroom-server`, whose hidden `guard` command does the work.
    ///
    /// # Errors
    /// Where it is not installed or does not come up.
    pub async fn start(
        data_dir: &Path,
        durability: Durability,
        server_exe: &Path,
    ) -> Result<Self, LocalError> {
        // Said here, where the user sees it, rather than in the guard's log.
        Installation::find(data_dir)?;
        guard::check_entry(&Layout::new(data_dir))?;
        let mut command = Command::new(server_exe);
        command
            .arg("guard")
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of reach of the terminal's ctrl-c, which is for the server.
            .process_group(0);
        if durability == Durability::Ephemeral {
            command.arg("--ephemeral");
        }
        let mut guard = command
            .spawn()
            .map_err(LocalError::io("cannot start the guard", server_exe))?;
        let layout = Layout::new(data_dir);
        let Some(stdout) = guard.stdout.take() else {
            return Err(did_not_start(&layout));
        };
        let mut answer = String::new();
        let mut stdout = BufReader::new(stdout);
        let read = tokio::time::timeout(START_LIMIT, stdout.read_line(&mut answer)).await;
        let has_redis = match answer.trim() {
            guard::READY_WITH_REDIS => true,
            guard::READY => false,
            _ => return Err(did_not_start(&layout)),
        };
        match read {
            Ok(Ok(_)) => Ok(Self {
                layout,
                guard,
                has_redis,
            }),
            _ => Err(did_not_start(&layout)),
        }
    }

    /// How to connect to one of its databases.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.layout.sockets)
            .port(guard::PORT)
            .username(ROLE)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The socket of the Redis beside it, where one is installed.
    pub fn redis_socket(&self) -> Option<PathBuf> {
        let socket = redis::socket(&self.layout.sockets);
        Some(socket).filter(|_| self.has_redis)
    }

    /// Stops PostgreSQL and waits until it has written everything.
    ///
    /// # Errors
    /// Where the guard cannot be waited for.
    pub async fn stop(mut self) -> io::Result<()> {
        drop(self.guard.stdin.take());
        match tokio::time::timeout(STOP_LIMIT, self.guard.wait()).await {
            Ok(status) => status.map(|_| ()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

pub(crate) fn did_not_start(layout: &Layout) -> LocalError {
    let log = std::fs::read_to_string(&layout.log).unwrap_or_default();
    let words: Vec<&str> = log.lines().rev().take(3).collect();
    LocalError::DidNotStart {
        log: layout.log.display().to_string(),
        words: words.into_iter().rev().collect::<Vec<_>>().join(" / "),
    }
}

/// Makes a folder that nobody else but root can enter.
///
/// # Errors
/// Where it belongs to somebody else.
pub fn make_private_dir(path: &Path) -> Result<(), LocalError> {
    guard::make_private_dir(path, None)
}

/// The folder for the shop's data: as told, or the user's own.
///
/// # Errors
/// Where the system tells no home.
pub fn data_dir(told: Option<&Path>) -> Result<PathBuf, LocalError> {
    match told {
        Some(path) => std::path::absolute(path).map_err(LocalError::io("cannot find", path)),
        None => place::data_dir().ok_or(LocalError::NoHome),
    }
}

/// Creates the shop's database where it is not there yet.
///
/// # Errors
/// Where PostgreSQL refuses.
pub async fn create_database(options: &PgConnectOptions) -> sqlx::Result<()> {
    use sqlx::{ConnectOptions, Connection};

    let mut conn = options.connect().await?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut conn)
            .await?;
    if !exists {
        let create = format!("create database {DATABASE}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut conn)
            .await?;
    }
    conn.close().await
}
