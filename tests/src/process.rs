//! The real binaries as processes, and waiting for what they do.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a binary of this workspace, which must have been built before.
pub fn binary(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let found = exe
        .ancestors()
        .skip(1)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built; run the tests with `make test`"))
}

/// The path of one of these programs of the system, the first that is installed.
pub(crate) fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Servers lie there, and only root looks there.
    places.push("/usr/sbin".into());
    let programs = names
        .iter()
        .flat_map(|name| places.iter().map(move |dir| dir.join(name)));
    let found = programs.into_iter().find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{names:?} is not installed; run the tests with `make test`"))
}

/// A port that nobody listens on. It has just carried a connection: until that is forgotten, a
/// minute later, the system gives the port to nobody who does not ask for it by number.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let caller = TcpStream::connect(address).unwrap();
    let (answered, _) = listener.accept().unwrap();
    // The side that closes first is the one that is remembered.
    drop(answered);
    drop(caller);
    address.port()
}

/// The command as one that does not outlive the thread that starts it, where the system can see to
/// that: a test that is killed leaves nothing behind then.
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

/// A folder that PostgreSQL's own user can reach as well.
pub fn temp_dir(purpose: &str) -> TempDir {
    let prefix = format!("stockroom-test-{purpose}-");
    let dir = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Waits until the condition gives a value.
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

/// `stockroom-server` on a data folder of its own, listening on a socket in it.
pub struct ServerProcess {
    pub child: Child,
    pub socket: PathBuf,
}

impl ServerProcess {
    /// Starts it and waits until it listens.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Self {
        let mut server = Self::spawn(data_dir, flags);
        eventually("listening", || {
            let ended = server.child.try_wait().unwrap();
            assert_eq!(ended, None, "the server ended before it listened");
            std::os::unix::net::UnixStream::connect(&server.socket).ok()
        });
        server
    }

    /// Starts it without waiting.
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

    /// An HTTP client that talks to it; the host of the URL is `localhost`.
    pub fn client(&self) -> reqwest::Client {
        crate::shop::install_tls();
        reqwest::Client::builder()
            .unix_socket(self.socket.as_path())
            .build()
            .unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until it has ended, and whether well.
    pub fn wait(&mut self) -> bool {
        eventually("the end of the server", || self.child.try_wait().unwrap()).success()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It has usually ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
