//! A line of text being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::text;

/// Characters beyond which typing stops: no field of the server takes more.
const MAX_LENGTH: usize = 5_000;

#[derive(Clone, Debug, Default)]
pub struct Line(Input);

impl Line {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Input::new(text.into()))
    }

    pub fn text(&self) -> &str {
        self.0.value()
    }

    /// Handles a key that edits text; false where it does not.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let request = match key.code {
            KeyCode::Char('a') if control => InputRequest::GoToStart,
            KeyCode::Char('e') if control => InputRequest::GoToEnd,
            KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
            KeyCode::Char('u') if control => InputRequest::DeleteLine,
            KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
            KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
            KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
            KeyCode::Char(c) if !control && !alt => {
                if self.0.value().len() >= MAX_LENGTH {
                    return true;
                }
                InputRequest::InsertChar(c)
            }
            KeyCode::Backspace if alt || control => InputRequest::DeletePrevWord,
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            KeyCode::Left if control => InputRequest::GoToPrevWord,
            KeyCode::Right if control => InputRequest::GoToNextWord,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            _ => return false,
        };
        self.0.handle(request);
        true
    }

    /// Types text that was pasted; line breaks become blanks.
    pub fn paste(&mut self, pasted: &str) {
        for c in pasted.chars().take(MAX_LENGTH) {
            let c = if c.is_control() { ' ' } else { c };
            self.0.handle(InputRequest::InsertChar(c));
        }
    }

    /// The part that fits into that many columns, and in which of them the cursor stands.
    pub fn view(&self, columns: usize) -> (String, usize) {
        let before: String = self.text().chars().take(self.0.cursor()).collect();
        let after: String = self.text().chars().skip(self.0.cursor()).collect();
        let (before, after) = (text::clean(&before), text::clean(&after));
        let room = columns.saturating_sub(1);
        let mut start = 0;
        while text::width(&before[start..]) > room {
            start += before[start..].chars().next().map_or(1, char::len_utf8);
        }
        let column = text::width(&before[start..]);
        (format!("{}{after}", &before[start..]), column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_in_sight() {
        let mut line = Line::new("abcdefghij");
        assert_eq!(line.view(20), ("abcdefghij".into(), 10));
        assert_eq!(line.view(5), ("ghij".into(), 4));
        line.key(KeyEvent::new(KeyCode::Home, KeyModifiers::NONE));
        assert_eq!(line.view(5).1, 0);
    }

    #[test]
    fn pasted_line_breaks_become_blanks() {
        let mut line = Line::default();
        line.paste("two\nlines\x1b");
        assert_eq!(line.text(), "two lines ");
    }
}
