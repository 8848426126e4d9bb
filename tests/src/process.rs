//! Runs the real binaries as processes and waits for their effects.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use stockroom_common::{Secret, local_paths};
use tempfile::TempDir;

use crate::with_token;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a binary of this workspace, which must already be built.
pub fn binary(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let found = exe
        .ancestors()
        .skip(1)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built; run the tests with `make test`"))
}

/// The path of the first of these system programs that is installed.
pub(crate) fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian installs servers there, and usually only root has it in PATH.
    places.push("/usr/sbin".into());
    let programs = names
        .iter()
        .flat_map(|name| places.iter().map(move |dir| dir.join(name)));
    let found = programs.into_iter().find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{names:?} is not installed; run the tests with `make test`"))
}

/// A port that nobody listens on. It has just carried a connection, which stays in TIME_WAIT for a minute. Until then
/// the system gives the port only to a process that asks for it by number.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let caller = TcpStream::connect(address).unwrap();
    let (answered, _) = listener.accept().unwrap();
    // The side that closes first goes into TIME_WAIT.
    drop(answered);
    drop(caller);
    address.port()
}

/// Wraps the command so that the process is killed when the thread that starts it ends, if `setpriv` is installed. A
/// killed test then leaves no process behind.
pub(crate) fn tied(command: Command) -> Command {
    let has_setpriv = Path::new("/usr/bin/setpriv").is_file();
    if !has_setpriv {
        return command;
    }
    let mut tied = Command::new("/usr/bin/setpriv");
    tied.args(["--pdeathsig", "KILL"])
        .arg(command.get_program());
    tied
}

/// A temporary folder that the PostgreSQL user can also enter.
pub fn temp_dir(purpose: &str) -> TempDir {
    let prefix = format!("stockroom-test-{purpose}-");
    let dir = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Waits until the condition returns a value.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not happen in {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `stockroom-server` with its own data folder, listening on a socket in it.
pub struct ServerProcess {
    pub child: Child,
    pub socket: PathBuf,
}

impl ServerProcess {
    /// Starts the server and waits until it listens.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Self {
        let mut server = Self::spawn(data_dir, flags);
        eventually("listening", || {
            let ended = server.child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended before it listened");
            std::os::unix::net::UnixStream::connect(&server.socket).ok()
        });
        server
    }

    /// Starts the server without waiting.
    pub fn spawn(data_dir: &Path, flags: &[&str]) -> Self {
        let socket = data_dir.join("test.sock");
        let child = Command::new(binary("stockroom-server"))
            .args(flags)
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .env_remove("DATABASE_URL")
            .env("STOCKROOM_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    /// An HTTP client that connects to the socket; the host in URLs is `localhost`.
    pub fn client(&self) -> reqwest::Client {
        crate::shop::install_tls();
        let folder = self.socket.parent().unwrap();
        let token = std::fs::read_to_string(local_paths::token_file(folder)).unwrap();
        let token = Secret::new(token.trim());
        reqwest::Client::builder()
            .unix_socket(self.socket.as_path())
            .default_headers(with_token(&token))
            .build()
            .unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until the process has ended; returns whether it succeeded.
    pub fn wait(&mut self) -> bool {
        eventually("the end of the server", || self.child.try_wait().unwrap()).success()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Fails if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
