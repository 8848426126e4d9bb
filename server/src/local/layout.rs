//! The files of a private PostgreSQL, and the errors that prevent it from running.

use std::{
    io,
    path::{Path, PathBuf},
};

use stockroom_common::local_paths;

/// The superuser of a private PostgreSQL.
pub const ROLE: &str = "stockroom";
/// The shop's database in a private PostgreSQL.
pub const DATABASE: &str = "stockroom";

/// Why a private PostgreSQL cannot run. Messages say what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("PostgreSQL is not installed here; install it with: {0}")]
    NotInstalled(String),
    #[error(
        "the data in {data_dir} was created by PostgreSQL {made_by}, which is not installed here; install that version \
            with: {hint}"
    )]
    OtherVersion {
        data_dir: String,
        made_by: String,
        hint: String,
    },
    #[error("the home folder is unknown; set STOCKROOM_DATA_DIR to a folder for the shop's data")]
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
    #[error("PostgreSQL did not start; the last lines of {log}: {lines}")]
    DidNotStart { log: String, lines: String },
}

impl LocalError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// Whether the data of a private PostgreSQL is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The data is kept, and survives crashes: the user's own shop.
    Kept,
    /// The data is removed when the server stops: tests.
    Ephemeral,
}

/// The paths of a private PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) data_dir: PathBuf,
    /// PostgreSQL's data directory.
    pub(crate) cluster: PathBuf,
    pub(crate) sockets: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.into(),
            cluster: data_dir.join("postgres"),
            sockets: local_paths::socket_dir(data_dir, "sockets"),
            log: data_dir.join("postgres.log"),
        }
    }
}

pub(crate) fn did_not_start(layout: &Layout) -> LocalError {
    let log = std::fs::read_to_string(&layout.log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    LocalError::DidNotStart {
        log: layout.log.display().to_string(),
        lines: lines.into_iter().rev().collect::<Vec<_>>().join(" / "),
    }
}
