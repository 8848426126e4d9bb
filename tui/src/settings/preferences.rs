//! How the client looks and behaves for whoever uses it.

use crate::settings::{keys::Keymap, theme::Theme};

#[derive(Debug, Default)]
pub struct Preferences {
    pub keys: Keymap,
    pub theme: Theme,
    /// ASCII alone and nothing that moves, for screen readers and old terminals.
    pub is_plain: bool,
    /// Whether wheel and clicks are ours; the terminal's own selection is reached with shift then.
    pub has_mouse: bool,
    /// Whether the client only looks.
    pub is_read_only: bool,
}
