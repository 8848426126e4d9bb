//! Limits the total disk space of received files.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use stockroom_common::Kind;

use crate::{
    http::error::{Error, Result},
    store::Store,
};

/// The disk space that one file uses; released with the file.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    used: Arc<AtomicU64>,
    bytes: u64,
    limit: u64,
    file_limit: u64,
}

impl DiskSpace {
    pub(super) fn of(store: &Store) -> Self {
        Self {
            used: store.spool.used.clone(),
            bytes: 0,
            limit: store.spool.limit,
            file_limit: store.options.import_limit,
        }
    }

    /// Maximum size of a file as sent, in bytes.
    pub(super) const fn file_limit(&self) -> u64 {
        self.file_limit
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        self.bytes += bytes;
        if self.used.fetch_add(bytes, SeqCst) + bytes <= self.limit {
            return Ok(());
        }
        let detail = "The files that are being imported use all the allowed disk space. Try again when one \
            is done.";
        Err(Error::refused(Kind::Unavailable, detail))
    }
}

impl Drop for DiskSpace {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, SeqCst);
    }
}

pub(super) fn cannot_store(error: io::Error) -> Error {
    tracing::error!(%error, "a file cannot be stored");
    let detail = "The server cannot store the file; its disk may be full.";
    Error::refused(Kind::Unavailable, detail)
}
