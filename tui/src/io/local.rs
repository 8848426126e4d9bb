//! The shop on this machine: starts the `stockroom-server --local` binary from the same folder, or joins a server that
//! already runs. The server stops by itself after its last client has gone.

use std::{
    fs::File,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use stockroom_common::local_paths;
use tokio::process::{Child, Command};

/// How long the server may take to start. The first start creates a database, and recovery after a crash may also take
/// a while.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOG_VARIABLE: &str = "STOCKROOM_LOG";
const POLL: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct LocalServer {
    data_dir: PathBuf,
    socket: PathBuf,
}

impl LocalServer {
    /// The server of the user's own shop, or of the shop in `data_dir`. `None` if the home folder is unknown.
    pub fn new(data_dir: Option<PathBuf>) -> Option<Self> {
        let data_dir = data_dir.or_else(local_paths::data_dir)?;
        let data_dir = std::path::absolute(data_dir).ok()?;
        let socket = local_paths::api_socket(&data_dir);
        Some(Self { data_dir, socket })
    }

    /// Whether the folder contains a shop.
    pub fn has_shop(&self) -> bool {
        self.data_dir.join("postgres").is_dir()
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ensures that a server listens on the socket.
    ///
    /// # Errors
    /// If the server did not start: a message for the user, with the server's own reason from its log.
    pub async fn ensure(&self) -> Result<(), String> {
        if self.answers() {
            return Ok(());
        }
        let deadline = Instant::now() + START_LIMIT;
        let mut server = self.start()?;
        loop {
            if self.answers() {
                // The server keeps running after this client if other clients have joined it.
                return Ok(());
            }
            // The server also exits if another one holds the lock. That one is about to listen and can be used instead.
            if let Ok(Some(status)) = server.try_wait()
                && !status.success()
                && !self.is_occupied()
            {
                return Err(self.last_words());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "The local server did not start in {START_LIMIT:?}."
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The path of the server binary, in the same folder as this program.
    pub fn binary(&self) -> Option<PathBuf> {
        Some(
            std::env::current_exe()
                .ok()?
                .with_file_name("stockroom-server"),
        )
    }

    /// Whether a server of this user accepts connections on the socket.
    pub fn answers(&self) -> bool {
        // A folder of another user may contain another user's server.
        let dir = self.socket.parent().map(std::fs::symlink_metadata);
        let own = rustix::process::geteuid().as_raw();
        let is_own = matches!(dir, Some(Ok(dir)) if dir.is_dir() && dir.uid() == own);
        is_own && UnixStream::connect(&self.socket).is_ok()
    }

    fn start(&self) -> Result<Child, String> {
        let exe = std::env::current_exe().map_err(|error| error.to_string())?;
        let sibling = exe.with_file_name("stockroom-server");
        let failed = |error: std::io::Error| format!("Cannot start {}: {error}", sibling.display());
        // The same mode as the server uses. As root, PostgreSQL runs as another user, who must be able to pass through.
        let is_root = rustix::process::geteuid().is_root();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(if is_root { 0o711 } else { 0o700 })
            .create(&self.data_dir)
            .map_err(failed)?;
        let log = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.log())
            .map_err(failed)?;
        let mut command = Command::new(&sibling);
        if std::env::var_os(LOG_VARIABLE).is_none() {
            // One line per request would fill the disk of a shop that is open all day.
            command.env(LOG_VARIABLE, "info,stockroom_server::app::middleware=warn");
        }
        command
            .arg("--local")
            .arg("--listen")
            .arg(format!("unix:{}", self.socket.display()))
            .arg("--data-dir")
            .arg(&self.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Signals from the terminal must not reach the server: it may have other clients.
            .process_group(0)
            .spawn()
            .map_err(failed)
    }

    /// Whether a server holds the shop's lock.
    fn is_occupied(&self) -> bool {
        let lock = File::open(self.data_dir.join("server.lock"));
        lock.is_ok_and(|file| file.try_lock_shared().is_err())
    }

    fn log(&self) -> PathBuf {
        self.data_dir.join("server.log")
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let last = log
            .lines()
            .rev()
            .find(|line| line.contains("ERROR"))
            .unwrap_or_default();
        let reason = last
            .split_once("stockroom_server: ")
            .map_or(last, |(_, reason)| reason);
        format!(
            "The local server did not start: {reason} (log: {})",
            self.log().display()
        )
    }
}
