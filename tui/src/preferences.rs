//! How the client looks and behaves for whoever uses it.

use crate::{keys::Keymap, theme::Theme};

#[derive(Debug, Default)]
pub struct Preferences {
    pub keys: Keymap,
    pub theme: Theme,
    /// ASCII alone and nothing that moves, for screen readers and old terminals.
    pub is_plain: bool,
    /// Whether the client only looks.
    pub is_read_only: bool,
}
