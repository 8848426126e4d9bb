//! A private PostgreSQL for one user of this machine, run from the installed binaries. It belongs to a guard process
//! ([`guard`]), which stops it when the server exits, crashes or is killed.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use stockroom_common::local_paths;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{
    guard,
    install::Installation,
    layout::{DATABASE, Durability, Layout, LocalError, ROLE, did_not_start},
    redis, user,
};

/// How long the guard may take until PostgreSQL is ready, including recovery after a crash.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long to wait for the guard to stop everything.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running private PostgreSQL. It stops when this value is dropped or the process ends.
#[derive(Debug)]
pub struct LocalPostgres {
    layout: Layout,
    guard: Child,
    has_redis: bool,
}

impl LocalPostgres {
    /// Starts PostgreSQL on the data in `data_dir`, which is created if absent. `server_exe` is a `stockroom-server`
    /// binary, whose hidden `guard` command does the work.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, cannot enter the folder, or does not start within 120 s.
    pub async fn start(
        data_dir: &Path,
        durability: Durability,
        server_exe: &Path,
    ) -> Result<Self, LocalError> {
        // Also checked by the guard; checked here first, so that the user sees the error.
        Installation::find(data_dir)?;
        user::check_entry(&Layout::new(data_dir))?;
        let mut command = Command::new(server_exe);
        command
            .arg("guard")
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The terminal's ctrl-c must reach only the server, so the guard gets its own process group.
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

    /// The options to connect to one of its databases, as its superuser.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.layout.sockets)
            .port(guard::PORT)
            .username(ROLE)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The socket of the private Redis, if that was running when PostgreSQL became ready.
    pub fn redis_socket(&self) -> Option<PathBuf> {
        let socket = redis::socket(&self.layout.sockets);
        Some(socket).filter(|_| self.has_redis)
    }

    /// Stops PostgreSQL and waits, up to 30 s, until the guard has exited.
    ///
    /// # Errors
    /// If the guard does not exit in time, or cannot be waited for.
    pub async fn stop(mut self) -> io::Result<()> {
        drop(self.guard.stdin.take());
        match tokio::time::timeout(STOP_LIMIT, self.guard.wait()).await {
            Ok(status) => status.map(|_| ()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Creates a folder that only this user and root can enter.
///
/// # Errors
/// If it cannot be created, or exists and belongs to another user.
pub fn make_private_dir(path: &Path) -> Result<(), LocalError> {
    user::make_private_dir(path, None)
}

/// The absolute path of the folder for the shop's data: the given one, or the default in the user's home folder.
///
/// # Errors
/// If no folder is given and the home folder is unknown.
pub fn data_dir(given: Option<&Path>) -> Result<PathBuf, LocalError> {
    match given {
        Some(path) => std::path::absolute(path).map_err(LocalError::io("cannot find", path)),
        None => local_paths::data_dir().ok_or(LocalError::NoHome),
    }
}

/// Creates the shop's database if it does not exist yet.
///
/// # Errors
/// If PostgreSQL cannot be reached or refuses.
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
