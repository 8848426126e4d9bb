//! A flag by which a long write is told to end.

use std::sync::{Arc, OnceLock};

use stockroom_common::Kind;

use crate::http::error::{Error, Result};

/// Says whether a write of many rows is to end before its time, and why. Whatever reads its file looks here as well, for
/// a small file may unpack to hours of work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupted(Arc<OnceLock<&'static str>>);

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// # Errors
    /// 503 with the reason.
    pub(crate) fn check(&self) -> Result<()> {
        let why = self.0.get();
        why.map_or(Ok(()), |why| Err(Error::refused(Kind::Unavailable, *why)))
    }

    pub(crate) fn set(&self, why: &'static str) {
        // The first reason counts.
        let _ = self.0.set(why);
    }
}
