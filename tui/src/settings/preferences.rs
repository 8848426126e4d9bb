//! The user's preferences for how the client looks and behaves.

use crate::settings::{keys::Keymap, theme::Theme};

#[derive(Debug, Default)]
pub struct Preferences {
    pub keys: Keymap,
    pub theme: Theme,
    /// ASCII only and no animation, for screen readers and old terminals.
    pub is_plain: bool,
    /// Whether the client handles the mouse. To select text with the terminal, users must then hold Shift.
    pub has_mouse: bool,
    /// Whether the client refuses to change the shop.
    pub is_read_only: bool,
}
