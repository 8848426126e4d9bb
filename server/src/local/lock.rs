//! Lock files that one process at a time can hold. The system releases a lock when its process ends, so locks cannot
//! become stale.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

use super::layout::LocalError;

/// The lock of the server that serves a data folder; released when dropped.
#[derive(Debug)]
pub struct ServerLock(#[expect(dead_code, reason = "held, not read")] File);

impl ServerLock {
    /// Takes the lock and writes this process's pid into it.
    ///
    /// # Errors
    /// If another server holds it (the error has its pid), or the file cannot be created.
    pub fn take(data_dir: &Path) -> Result<Self, LocalError> {
        make_dir(data_dir)?;
        let path = data_dir.join("server.lock");
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                let pid = std::process::id().to_string();
                let written = file
                    .set_len(0)
                    .and_then(|()| file.write_all(pid.as_bytes()));
                written.map_err(LocalError::io("cannot write", &path))?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = file.rewind().and_then(|()| file.read_to_string(&mut pid));
                read.map_err(LocalError::io("cannot read", &path))?;
                Err(LocalError::Occupied(pid))
            }
            Err(TryLockError::Error(error)) => Err(LocalError::io("cannot lock", &path)(error)),
        }
    }
}

/// Takes the lock of the PostgreSQL in the folder. Waits up to `limit` for a guard that is still stopping it.
pub(crate) fn take_postgres(data_dir: &Path, limit: Duration) -> Result<File, LocalError> {
    let path = data_dir.join("postgres.lock");
    let file = open(&path)?;
    let deadline = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(LocalError::Occupied("unknown".into())),
            Err(TryLockError::Error(error)) => {
                return Err(LocalError::io("cannot lock", &path)(error));
            }
        }
    }
}

/// Creates a private folder. As root, other users may pass through it but not list it, because PostgreSQL runs as
/// another user and must reach its data inside. An existing folder keeps its mode.
pub(crate) fn make_dir(path: &Path) -> Result<(), LocalError> {
    if path.is_dir() {
        return Ok(());
    }
    let mode = if rustix::process::geteuid().is_root() {
        0o711
    } else {
        0o700
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(LocalError::io("cannot make", path))?;
    // The umask applies to `mode` above, but not here.
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(LocalError::io("cannot close", path))
}

fn open(path: &Path) -> Result<File, LocalError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Private, because any process that can open the file can lock it.
        .mode(0o600)
        .open(path)
        .map_err(LocalError::io("cannot open", path))
}
