//! The clipboard: that of the desktop, if available, and that of the terminal (OSC 52), which also works over SSH.

use std::io::{Write, stdout};

use base64::{Engine, engine::general_purpose::STANDARD};

/// Maximum bytes of text to copy through the terminal. Terminals accept about this much.
const MAX_BYTES: usize = 74_000;

pub(crate) struct Clipboard {
    /// Kept as long as the client runs, because X11 requests the text from the client again and again.
    desktop: Option<arboard::Clipboard>,
}

impl Clipboard {
    pub(crate) const fn new() -> Self {
        Self { desktop: None }
    }

    /// Copies text to both clipboards, if they are available.
    pub(crate) fn copy(&mut self, text: &str) {
        let is_remote = std::env::var_os("SSH_CONNECTION").is_some();
        let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"]
            .into_iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if !is_remote && (has_desktop || cfg!(target_os = "macos")) {
            if self.desktop.is_none() {
                self.desktop = arboard::Clipboard::new().ok();
            }
            if let Some(desktop) = &mut self.desktop {
                // If this fails, the terminal's clipboard still receives the text.
                let _ = desktop.set_text(text);
            }
        }
        let mut out = stdout();
        let _ = out.write_all(osc52(text).as_bytes());
        let _ = out.flush();
    }
}

/// The OSC 52 sequence that copies text to the terminal's clipboard. Base64 keeps control characters in the text from
/// taking effect.
fn osc52(text: &str) -> String {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_text_reaches_the_terminal_as_control() {
        let sent = osc52("a\x07\x1b]0;x\x07");
        let inside = sent
            .strip_prefix("\x1b]52;c;")
            .unwrap()
            .strip_suffix('\x07')
            .unwrap();
        assert!(
            inside
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        );
        assert!(osc52(&"ä".repeat(80_000)).len() < 100_000);
    }
}
