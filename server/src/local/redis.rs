//! A private Redis beside the private PostgreSQL, without persistence: what it holds can be read again.
//! It is started again where it dies, and without one installed the server caches in its own memory.

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

/// Both speak the same protocol; the first that is found is taken.
const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];
/// Where they may lie beside PATH.
const USUAL_PLACES: &[&str] = &["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
/// Far more than the answers of ten busy minutes.
const MAX_MEMORY: &str = "256mb";
const START_LIMIT: Duration = Duration::from_secs(5);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const RESTART_AFTER: Duration = Duration::from_millis(500);
/// One that ends sooner than this has failed, and after so many in a row it is left.
const STEADY: Duration = Duration::from_secs(2);
const MAX_FAILURES: u32 = 3;
const POLL: Duration = Duration::from_millis(5);

/// A private Redis that is kept up until told to stop.
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl PrivateRedis {
    /// Starts it in the background; none where it is not installed.
    pub(crate) fn start(layout: &Layout, user: Option<User>) -> Option<Self> {
        let program = find()?;
        let socket = socket(&layout.sockets);
        if let Err(error) = stop_leftover(&socket) {
            // Two on one socket would take it from each other.
            tracing::warn!(%error, "a Redis of an earlier server does not stop; there is none now");
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keep(program, layout.clone(), user, stopped));
        Some(Self {
            socket,
            stop,
            keeper,
        })
    }

    /// Whether it has come up.
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
        // The keeper waits for this or has ended.
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }
}

/// The socket that it listens on.
pub(crate) fn socket(sockets: &Path) -> PathBuf {
    sockets.join("redis.sock")
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(USUAL_PLACES.iter().map(PathBuf::from));
    let places: Vec<PathBuf> = places.collect();
    PROGRAMS
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|program| program.is_file())
}

async fn keep(
    program: PathBuf,
    layout: Layout,
    user: Option<User>,
    mut stopped: oneshot::Receiver<()>,
) {
    let log = layout.data_dir.join("redis.log");
    // What an earlier one said; all that this one says, however often it is started, stays.
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
        "the private Redis does not stay up; its log is {}",
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

/// Ends a Redis whose guard was killed. We hold its lock, so it has no owner any more.
fn stop_leftover(socket: &Path) -> std::io::Result<()> {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Ok(());
    };
    stream.write_all(b"SHUTDOWN NOSAVE\r\n")?;
    stream.set_read_timeout(Some(STOP_LIMIT))?;
    // It closes the connection once it has stopped, and has nothing to save.
    stream.read(&mut [0; 64]).map(|_| ())
}

async fn end(redis: &mut Child) {
    let pid = redis.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP_LIMIT, redis.wait())
        .await
        .is_err()
    {
        let _ = redis.kill().await;
    }
}
