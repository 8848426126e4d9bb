//! A single-line text input.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::model::text;

/// Characters that a line holds; the longest text field of the API takes 2,000.
const MAX_LENGTH: usize = 5_000;

#[derive(Clone, Debug, Default)]
pub struct Line {
    input: Input,
    /// Whether the whole text is selected: the next character replaces it.
    is_selected: bool,
}

impl Line {
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            input: Input::new(text.into()),
            is_selected: false,
        }
    }

    /// A line whose text is selected.
    pub fn selected(text: impl Into<String>) -> Self {
        let mut line = Self::new(text);
        line.select();
        line
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// The same line with each character replaced, so that nobody can read it.
    #[must_use]
    pub fn hidden(&self) -> Self {
        let stars = "*".repeat(self.text().chars().count());
        Self {
            input: Input::new(stars).with_cursor(self.input.cursor()),
            is_selected: self.is_selected,
        }
    }

    /// Selects the whole text, unless it is empty.
    pub fn select(&mut self) {
        self.is_selected = !self.text().is_empty();
    }

    pub const fn is_selected(&self) -> bool {
        self.is_selected
    }

    /// Removes the selected text. False if nothing is selected.
    fn clear_selected(&mut self) -> bool {
        let was_selected = std::mem::take(&mut self.is_selected);
        if was_selected {
            self.input = Input::default();
        }
        was_selected
    }

    /// Handles a key that edits text or moves the cursor. False if the key does neither.
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
                self.clear_selected();
                if self.room() == 0 {
                    return true;
                }
                InputRequest::InsertChar(c)
            }
            KeyCode::Backspace | KeyCode::Delete if self.clear_selected() => return true,
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
        self.is_selected = false;
        self.input.handle(request);
        true
    }

    /// Characters that still fit.
    fn room(&self) -> usize {
        MAX_LENGTH.saturating_sub(self.text().chars().count())
    }

    /// Inserts pasted text. Control characters, including line breaks, become blanks; line breaks at the end are
    /// removed.
    pub fn paste(&mut self, pasted: &str) {
        self.clear_selected();
        let room = self.room();
        let pasted = pasted.trim_end_matches(['\r', '\n']);
        for c in pasted.chars().take(room) {
            let c = if c.is_control() { ' ' } else { c };
            self.input.handle(InputRequest::InsertChar(c));
        }
    }

    /// The text from the first character that is visible in that many columns, and the column of the cursor. The end of
    /// the text may be wider than the columns.
    pub fn view(&self, columns: usize) -> (String, usize) {
        let before: String = self.text().chars().take(self.input.cursor()).collect();
        let after: String = self.text().chars().skip(self.input.cursor()).collect();
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
    fn what_is_typed_takes_the_place_of_what_is_selected() {
        let press = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let selected = || {
            let mut line = Line::new("1");
            line.select();
            line
        };
        let mut typed = selected();
        typed.key(press(KeyCode::Char('3')));
        typed.key(press(KeyCode::Char('0')));
        assert_eq!(typed.text(), "30");
        let mut cleared = selected();
        cleared.key(press(KeyCode::Backspace));
        assert_eq!(cleared.text(), "");
        let mut moved = selected();
        moved.key(press(KeyCode::End));
        moved.key(press(KeyCode::Char('3')));
        assert_eq!(moved.text(), "13");
        let mut pasted = selected();
        pasted.paste("7");
        assert_eq!(pasted.text(), "7");
    }

    #[test]
    fn pasted_line_breaks_become_blanks() {
        let mut line = Line::default();
        line.paste("two\nlines\x1b");
        assert_eq!(line.text(), "two lines ");
        let mut line = Line::default();
        line.paste("x@example.org\r\n");
        assert_eq!(line.text(), "x@example.org");
    }
}
