//! Text that must not be shown: URLs with passwords, tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret. `Debug` hides it, so that it reaches no log by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let url = Secret::new("postgres://ada:secret@db/shop");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
