//! A private Redis next to the private PostgreSQL. It does not persist anything, as the cache can be loaded again from
//! the database. If it dies, it is restarted. If Redis is not installed, the server caches in its own memory.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Child, sync::oneshot, task::JoinHandle};

use super::{
    layout::Layout,
    user::{self, User},
};

/// Compatible programs; the first one found is used.
const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];
/// Folders to search after those of `PATH`.
const USUAL_PLACES: &[&str] = &["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
/// Far more than the responses of ten busy minutes take (cache entries live for ten minutes).
const MAX_MEMORY: &str = "256mb";
const START_LIMIT: Duration = Duration::from_secs(5);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const RESTART_AFTER: Duration = Duration::from_millis(500);
/// A Redis that ends sooner than this counts as failed; after [`MAX_FAILURES`] in a row it is not restarted.
const STEADY: Duration = Duration::from_secs(2);
const MAX_FAILURES: u32 = 3;
const POLL: Duration = Duration::from_millis(5);

/// A private Redis, restarted if it dies, until [`PrivateRedis::stop`].
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl PrivateRedis {
    /// Starts Redis in the background. `None` if it is not installed, or if a leftover one cannot be stopped.
    pub(crate) fn start(layout: &Layout, user: Option<User>) -> Option<Self> {
        let program = find()?;
        let socket = socket(&layout.sockets);
        if let Err(error) = stop_leftover(&socket) {
            // Two servers on one socket path would take it from each other.
            tracing::warn!(%error, "the Redis of an earlier server does not stop; this server uses none");
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(supervise(program, layout.clone(), user, stopped));
        Some(Self {
            socket,
            stop,
            keeper,
        })
    }

    /// Waits up to 5 s until Redis accepts connections; returns whether it does.
    pub(crate) async fn is_ready(&self) -> bool {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline && !self.keeper.is_finished() {
            if UnixStream::connect(&self.socket).is_ok() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    pub(crate) async fn stop(self) {
        // This fails only if the keeper has already ended.
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }
}

/// The path of the socket that Redis listens on.
pub(crate) fn socket(sockets: &Path) -> PathBuf {
    sockets.join("redis.sock")
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(USUAL_PLACES.iter().map(PathBuf::from));
    let folders: Vec<PathBuf> = folders.collect();
    PROGRAMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

async fn supervise(
    program: PathBuf,
    layout: Layout,
    user: Option<User>,
    mut stopped: oneshot::Receiver<()>,
) {
    let log = layout.data_dir.join("redis.log");
    // Removes the log of an earlier server. The log then collects the output of all restarts.
    let _ = fs::remove_file(&log);
    let mut failures = 0;
    while failures < MAX_FAILURES {
        let began = Instant::now();
        let mut redis = match spawn(&program, &layout, &log, user) {
            Ok(redis) => redis,
            Err(error) => return tracing::warn!(%error, "the private Redis cannot be run"),
        };
        tokio::select! {
            _ = &mut stopped => return end(&mut redis).await,
            _ = redis.wait() => {}
        }
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(RESTART_AFTER) => {}
        }
        failures = if began.elapsed() < STEADY {
            failures + 1
        } else {
            0
        };
    }
    tracing::warn!(
        "the private Redis keeps ending; its log is {}",
        log.display()
    );
}

fn spawn(
    program: &Path,
    layout: &Layout,
    log: &Path,
    user: Option<User>,
) -> std::io::Result<Child> {
    let log = fs::File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)?;
    let mut command = tokio::process::Command::from(user::command(program, user));
    command
        .args([
            "--port",
            "0",
            "--daemonize",
            "no",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args([
            "--maxmemory",
            MAX_MEMORY,
            "--maxmemory-policy",
            "allkeys-lru",
        ])
        .arg("--unixsocket")
        .arg(socket(&layout.sockets))
        .args(["--unixsocketperm", "700", "--dir"])
        .arg(&layout.sockets)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Stops a Redis whose guard was killed. We hold the lock of its folder, so no other guard owns it.
fn stop_leftover(socket: &Path) -> std::io::Result<()> {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Ok(());
    };
    stream.write_all(b"SHUTDOWN NOSAVE\r\n")?;
    stream.set_read_timeout(Some(STOP_LIMIT))?;
    // Redis closes the connection when it has stopped; with nothing to save, that is soon.
    stream.read(&mut [0; 64]).map(|_| ())
}

async fn end(redis: &mut Child) {
    let pid = redis.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may already have ended.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP_LIMIT, redis.wait())
        .await
        .is_err()
    {
        let _ = redis.kill().await;
    }
}
