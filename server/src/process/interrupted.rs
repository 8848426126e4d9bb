//! A flag that interrupts a long write.

use std::sync::{Arc, OnceLock};

use stockroom_common::Kind;

use crate::http::error::{Error, Result};

/// Whether a write of many rows must end early, and why. Code that reads the file of a write checks the flag as well,
/// because a small compressed file may expand to hours of work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupted(Arc<OnceLock<&'static str>>);

impl Interrupted {
    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// Fails if the flag is set.
    ///
    /// # Errors
    /// 503 with the reason.
    pub(crate) fn check(&self) -> Result<()> {
        let why = self.0.get();
        why.map_or(Ok(()), |why| Err(Error::refused(Kind::Unavailable, *why)))
    }

    pub(crate) fn set(&self, why: &'static str) {
        // Only the first reason is kept.
        let _ = self.0.set(why);
    }
}
