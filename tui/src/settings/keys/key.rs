//! A single key: its notation in `config.toml`, and how the screen shows it.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers. Shift is part of the character: `G` and `g` are two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// The names of special keys in `config.toml`.
const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("space", KeyCode::Char(' ')),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("ins", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

impl Key {
    /// Whether the key types a character.
    pub(crate) fn is_typed(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && self.modifiers.is_empty()
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self {
            code: event.code,
            modifiers: event.modifiers - KeyModifiers::SHIFT,
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut rest, mut modifiers) = (text, KeyModifiers::NONE);
        loop {
            let (held, after) = match rest.split_once('-') {
                Some(("ctrl", after)) => (KeyModifiers::CONTROL, after),
                Some(("alt", after)) => (KeyModifiers::ALT, after),
                _ => break,
            };
            modifiers |= held;
            rest = after;
        }
        let mut characters = rest.chars();
        let function = rest
            .strip_prefix('f')
            .and_then(|number| number.parse().ok());
        let named = NAMED.iter().find(|(name, _)| *name == rest);
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) if c != ' ' => Some(KeyCode::Char(c)),
            _ => named
                .map(|(_, code)| *code)
                .or(function.filter(|n| (1..=24).contains(n)).map(KeyCode::F)),
        };
        let code = code.ok_or_else(|| {
            let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
            format!(
                "`{text}` is not a key; write a character, f1 to f24 or one of {}, with ctrl- or alt- before it",
                names.join(" ")
            )
        })?;
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("^")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("alt-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) if self.modifiers.contains(KeyModifiers::CONTROL) => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Up => f.write_str("Up"),
            KeyCode::Down => f.write_str("Down"),
            KeyCode::Left => f.write_str("Left"),
            KeyCode::Right => f.write_str("Right"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::BackTab => f.write_str("shift-Tab"),
            KeyCode::F(n) => write!(f, "F{n}"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let shown = |text: &str| text.parse::<Key>().map(|key| key.to_string());
        for (written, expected) in [
            ("G", "G"),
            ("-", "-"),
            ("ctrl-s", "^S"),
            ("alt-ctrl-x", "^alt-X"),
            ("ctrl--", "^-"),
            ("space", "space"),
            ("pgdn", "PgDn"),
            ("f12", "F12"),
            ("shift-tab", "shift-Tab"),
        ] {
            assert_eq!(shown(written).as_deref(), Ok(expected), "{written}");
        }
        for wrong in ["", " ", "gg", "ctrl-", "hyper-x", "f25", "f0"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_capital_letter_is_a_key_of_its_own() {
        let pressed = |c, modifiers| Key::from(KeyEvent::new(KeyCode::Char(c), modifiers));
        assert_eq!(Ok(pressed('G', KeyModifiers::SHIFT)), "G".parse());
        assert_eq!(Ok(pressed('g', KeyModifiers::NONE)), "g".parse());
        assert_ne!(Ok(pressed('n', KeyModifiers::CONTROL)), "n".parse());
    }
}
