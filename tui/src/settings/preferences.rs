//! The user's preferences for how the client looks and behaves.

use ratatui::style::Style;

use crate::settings::{keys::Keymap, theme::Theme};

#[derive(Debug, Default)]
pub struct Preferences {
    pub keys: Keymap,
    pub theme: Theme,
    /// ASCII only and no animation, for screen readers and old terminals.
    pub is_plain: bool,
    /// Whether the client handles the mouse. To select text with the terminal, users must then hold Shift.
    pub has_mouse: bool,
    /// The name of the server in `config.toml`, and the style in which it is always on the screen.
    pub server: Option<(String, Style)>,
    /// Whether the client refuses to change the shop.
    pub is_read_only: bool,
}
