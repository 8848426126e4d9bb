//! Files that one process at a time may hold. The system lets go of them when the process ends, so
//! a stale lock cannot be.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, Instant},
};

use super::layout::LocalError;

/// Held by the server that serves a data folder.
#[derive(Debug)]
pub struct ServerLock(#[expect(dead_code, reason = "held, not read")] File);

impl ServerLock {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// Where another server holds it, or the file cannot be made.
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

/// Takes the lock of the PostgreSQL in the folder, waiting for a guard that is still stopping it.
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

/// Makes a folder that others may pass through but not look into: as root, PostgreSQL's own user
/// has to reach its data inside. One that is there keeps the mode that somebody gave it.
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
    // Whatever the mask of this process.
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(LocalError::io("cannot close", path))
}

fn open(path: &Path) -> Result<File, LocalError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Whoever can open it can hold it.
        .mode(0o600)
        .open(path)
        .map_err(LocalError::io("cannot open", path))
}
