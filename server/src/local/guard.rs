//! The guard: a small process that owns a private PostgreSQL and its Redis. Its stdin is a pipe from the server. When
//! the pipe closes, because the server stopped, panicked or was killed, the guard stops both and exits.

use std::{
    fs,
    io::Write,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
};

use super::{
    install::Installation,
    layout::{Durability, Layout, LocalError, ROLE, did_not_start},
    lock,
    redis::PrivateRedis,
    user::{User, command, make_private_dir, user},
};

/// What the guard prints to stdout once PostgreSQL accepts connections.
pub const READY: &str = "ready";
/// The same, if Redis accepts connections as well.
pub const READY_WITH_REDIS: &str = "ready with redis";
/// Part of the name of PostgreSQL's Unix socket; nothing listens on the network.
pub(crate) const PORT: u16 = 5432;

/// How long to wait for the previous guard of this folder to stop its PostgreSQL.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(60);
/// How long a fast shutdown may take before an immediate one, and that one before PostgreSQL is killed.
const FAST_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// How often a PostgreSQL that has died is started again, before the guard gives up.
const RESTARTS: u32 = 3;

/// Runs PostgreSQL on the data in `data_dir` until stdin closes or SIGTERM, SIGINT or SIGHUP arrives.
///
/// # Errors
/// If PostgreSQL cannot be set up or does not stay up.
pub async fn run(data_dir: &Path, durability: Durability) -> Result<(), LocalError> {
    let layout = Layout::new(data_dir);
    lock::make_dir(data_dir)?;
    let lock = lock::take_postgres(data_dir, TAKE_OVER_LIMIT)?;
    let result = own(&layout, durability).await;
    if durability == Durability::Ephemeral {
        // Best effort: the system cleans its temporary folder anyway.
        let _ = fs::remove_dir_all(&layout.sockets);
        let _ = fs::remove_dir_all(&layout.data_dir);
    }
    // Held until everything has stopped: the next guard of this folder waits for it.
    drop(lock);
    result
}

async fn own(layout: &Layout, durability: Durability) -> Result<(), LocalError> {
    let installation = Installation::find(&layout.data_dir)?;
    let user = user(layout)?;
    make_private_dir(&layout.sockets, user)?;
    if !layout.cluster.join("PG_VERSION").is_file() {
        init(layout, durability, &installation, user)?;
    }
    stop_leftover(layout, &installation, user)?;
    let redis = PrivateRedis::start(layout, user);
    let result = own_postgres(layout, durability, &installation, user, redis.as_ref()).await;
    if let Some(redis) = redis {
        redis.stop().await;
    }
    result
}

async fn own_postgres(
    layout: &Layout,
    durability: Durability,
    installation: &Installation,
    user: Option<User>,
    redis: Option<&PrivateRedis>,
) -> Result<(), LocalError> {
    let mut stop = std::pin::pin!(stop_requested());
    let mut restarts = 0;
    loop {
        let mut postgres = start(layout, durability, installation, user)?;
        tokio::select! {
            ready = wait_ready(layout, &mut postgres) => ready?,
            () = &mut stop => return stop_postgres(&mut postgres).await,
        }
        // The server waits for this line only once.
        if restarts == 0 {
            let has_redis = async {
                match redis {
                    Some(redis) => redis.is_ready().await,
                    None => false,
                }
            };
            let has_redis = tokio::select! {
                has_redis = has_redis => has_redis,
                () = &mut stop => return stop_postgres(&mut postgres).await,
            };
            print_line(if has_redis { READY_WITH_REDIS } else { READY });
        }
        tokio::select! {
            () = &mut stop => return stop_postgres(&mut postgres).await,
            _ = postgres.wait() => {
                restarts += 1;
                if restarts > RESTARTS {
                    return Err(did_not_start(layout));
                }
            }
        }
    }
}

/// Resolves when the server's end of the pipe closes or a signal to stop arrives.
async fn stop_requested() {
    let pipe = async {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        if let Ok(mut stdin) = stdin.and_then(pipe::Receiver::from_owned_fd) {
            let mut byte = [0];
            // The server writes nothing, so the read returns only when the pipe closes.
            while stdin.read(&mut byte).await.is_ok_and(|n| n > 0) {}
        }
    };
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        return pipe.await;
    };
    tokio::select! {
        () = pipe => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hup.recv() => {}
    }
}

fn print_line(word: &str) {
    let mut stdout = std::io::stdout();
    // This fails if the server has exited. Its end of our stdin is then closed too, which stops us.
    let _ = writeln!(stdout, "{word}").and_then(|()| stdout.flush());
}

/// Creates the cluster in `postgres.new` and renames it once it is complete, so that an interrupted `initdb` is never
/// mistaken for a cluster.
fn init(
    layout: &Layout,
    durability: Durability,
    installation: &Installation,
    user: Option<User>,
) -> Result<(), LocalError> {
    let unfinished = layout.data_dir.join("postgres.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(LocalError::io("cannot remove", &unfinished))?;
    }
    make_private_dir(&unfinished, user)?;
    let initdb = installation.binary("initdb");
    let output = command(&initdb, user)
        .args([
            "--username",
            ROLE,
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
        ])
        .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
        .arg(&unfinished)
        .output()
        .map_err(LocalError::io("cannot run", &initdb))?;
    if !output.status.success() {
        let lines = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', " / ");
        let log = initdb.display().to_string();
        return Err(LocalError::DidNotStart { log, lines });
    }
    if durability == Durability::Kept {
        // `initdb` ran with --no-sync: syncing everything at once is much faster than file by file. It must happen
        // before the rename.
        let synced = command(&initdb, user)
            .args(["--sync-only", "--pgdata"])
            .arg(&unfinished)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(LocalError::io("cannot run", &initdb))?;
        if !synced.success() {
            let error = std::io::Error::other("its files cannot be written to the disk");
            return Err(LocalError::io("cannot make", &unfinished)(error));
        }
    }
    fs::rename(&unfinished, &layout.cluster)
        .map_err(LocalError::io("cannot move to", &layout.cluster))
}

/// Stops a PostgreSQL whose guard was killed. We hold the lock of its folder, so no other guard owns it.
fn stop_leftover(
    layout: &Layout,
    installation: &Installation,
    user: Option<User>,
) -> Result<(), LocalError> {
    let pid_file = layout.cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else {
        return Ok(());
    };
    let pg_ctl = installation.binary("pg_ctl");
    let pid = text.lines().next().unwrap_or_default();
    // The pid may meanwhile belong to another program, even to another PostgreSQL: its command line must name our
    // cluster.
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let cluster = layout.cluster.as_os_str().as_encoded_bytes();
    let is_ours = command_line
        .split(|byte| *byte == 0)
        .any(|argument| argument == cluster);
    if is_ours || !Path::new("/proc").is_dir() {
        let stopped = command(&pg_ctl, user)
            .args(["stop", "--mode=fast", "--silent", "--pgdata"])
            .arg(&layout.cluster)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(LocalError::io("cannot run", &pg_ctl))?;
        if is_ours && !stopped.success() {
            let error = std::io::Error::other(format!("process {pid} does not stop"));
            return Err(LocalError::io("cannot take over", &layout.cluster)(error));
        }
    }
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LocalError::io("cannot remove", &pid_file)(error))
        }
        _ => Ok(()),
    }
}

fn start(
    layout: &Layout,
    durability: Durability,
    installation: &Installation,
    user: Option<User>,
) -> Result<tokio::process::Child, LocalError> {
    let log = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&layout.log)
        .map_err(LocalError::io("cannot make", &layout.log))?;
    let log_too = log
        .try_clone()
        .map_err(LocalError::io("cannot open", &layout.log))?;
    let binary = installation.binary("postgres");
    let mut command = tokio::process::Command::from(command(&binary, user));
    command.arg("-D").arg(&layout.cluster);
    let sockets = layout.sockets.display();
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={sockets}"),
        format!("port={PORT}"),
        "unix_socket_permissions=0700".into(),
        "max_connections=200".into(),
        // One server without replicas: the smallest WAL, and COPY into new tables writes none.
        "wal_level=minimal".into(),
        "max_wal_senders=0".into(),
        "max_wal_size=2GB".into(),
        "jit=off".into(),
    ];
    if durability == Durability::Ephemeral {
        settings.extend(
            [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ]
            .map(Into::into),
        );
    }
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .process_group(0)
        .spawn()
        .map_err(LocalError::io("cannot run", &binary))
}

/// Waits until the postmaster writes to `postmaster.pid` that it accepts connections.
async fn wait_ready(
    layout: &Layout,
    postgres: &mut tokio::process::Child,
) -> Result<(), LocalError> {
    let pid_file = layout.cluster.join("postmaster.pid");
    loop {
        let ended: Option<ExitStatus> = postgres.try_wait().unwrap_or_default();
        if ended.is_some() {
            return Err(did_not_start(layout));
        }
        let status = fs::read_to_string(&pid_file).unwrap_or_default();
        // The eighth line is `starting`, `ready` or `stopping`.
        if status
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
        {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Stops PostgreSQL: first a fast shutdown (SIGINT), which ends connections and writes everything. If that hangs, an
/// immediate one (SIGQUIT), then SIGKILL; the next start then recovers from the WAL.
async fn stop_postgres(postgres: &mut tokio::process::Child) -> Result<(), LocalError> {
    let pid = postgres.id().and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else {
        return Ok(());
    };
    for (signal, limit) in [(Signal::INT, FAST_LIMIT), (Signal::QUIT, FAST_LIMIT)] {
        // It may already have ended.
        let _ = kill_process(pid, signal);
        if tokio::time::timeout(limit, postgres.wait()).await.is_ok() {
            return Ok(());
        }
    }
    let _ = postgres.kill().await;
    Ok(())
}
