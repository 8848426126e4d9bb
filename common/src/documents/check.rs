//! Rules for single values. The client checks them while the user types; the server always checks them.

use crate::FieldError;

/// The highest price, in minor units.
pub const MAX_PRICE_MINOR: i64 = 100_000_000_000;
/// The largest stock that a caller may set for one product.
pub const MAX_STOCK: i64 = 1_000_000_000;
/// The highest total of an order, in minor units. It is below 2^53, so that every JSON reader keeps all its digits.
pub const MAX_TOTAL_MINOR: i64 = 1_000_000_000_000_000;
/// The highest version of a restored row. It is below 2^53 for the same reason, with room for further versions.
pub const MAX_VERSION: i64 = 1 << 52;
/// The error code for invisible characters in text. Rows that were stored before this rule existed keep them.
pub const UNPRINTABLE: &str = "unprintable";

/// Collects the rules that a document breaks.
#[derive(Debug, Default)]
pub struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    pub fn fail(&mut self, pointer: &str, code: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, code, message));
    }

    /// Text of at most `max` characters; may be empty.
    pub fn text(&mut self, pointer: &str, text: &str, max: usize) {
        if text.contains('\0') {
            self.fail(pointer, "invalid_text", "has a NUL character; remove it");
        }
        let length = text.chars().count();
        if length > max {
            let message = format!("has {length} characters; at most {max} are allowed");
            self.fail(pointer, "too_long", message);
        }
    }

    /// One line of text of at most `max` characters; may be empty.
    pub fn line(&mut self, pointer: &str, text: &str, max: usize) {
        self.text(pointer, text, max);
        // `text` has already reported a NUL. White space at the ends is removed before the text is stored.
        if let Some(c) = text
            .trim()
            .chars()
            .find(|c| *c != '\0' && is_disruptive(*c))
        {
            self.fail_unseen(pointer, c);
        }
        if !text.trim().is_empty() && text.chars().all(is_invisible) {
            self.fail(pointer, UNPRINTABLE, "has no visible character");
        }
    }

    /// A line with at least one visible character.
    pub fn required_line(&mut self, pointer: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            return self.fail(pointer, "required", "must not be empty");
        }
        self.line(pointer, text, max);
    }

    pub fn range(&mut self, pointer: &str, value: i64, min: i64, max: i64) {
        if value < min || value > max {
            let message = format!("is {value}; it must be from {min} to {max}");
            self.fail(pointer, "out_of_range", message);
        }
    }

    /// A line that identifies a row, such as a SKU: no invisible characters except spaces.
    pub fn key(&mut self, pointer: &str, text: &str, max: usize) {
        let errors_before = self.errors.len();
        self.required_line(pointer, text, max);
        let unseen = text.trim().chars().find(|c| *c != ' ' && is_invisible(*c));
        if let Some(c) = unseen.filter(|_| self.errors.len() == errors_before) {
            self.fail_unseen(pointer, c);
        }
    }

    fn fail_unseen(&mut self, pointer: &str, c: char) {
        let code = u32::from(c);
        let message = format!("has the invisible character U+{code:04X}; remove it");
        self.fail(pointer, UNPRINTABLE, message);
    }

    /// One `@` with text on both sides and no white space. Only the mail server can check the rest.
    pub fn email(&mut self, pointer: &str, text: &str) {
        self.key(pointer, text, 254);
        let text = text.trim();
        let shaped = text.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@')
        });
        let spaced = text.chars().any(|c| c.is_whitespace() || c.is_control());
        if !text.is_empty() && (!shaped || spaced) {
            let message = "is not an e-mail address; write it like name@example.org";
            self.fail(pointer, "invalid_format", message);
        }
    }

    /// Empty, or a country code of two letters (ISO 3166-1 alpha-2).
    pub fn country(&mut self, pointer: &str, text: &str) {
        let two_letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if !text.is_empty() && !two_letters {
            let message = "must be two capital letters, such as DE or JP";
            self.fail(pointer, "invalid_format", message);
        }
    }
}

/// Whether a character breaks its line, or changes the writing direction of the text after it.
pub fn is_disruptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text without invisible characters at its ends: white space, and marks that are copied along by accident. Text that
/// consists only of such marks keeps them, so that it is refused.
pub fn trimmed(text: &str) -> &str {
    let is_unseen =
        |c: char| c.is_whitespace() || matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}');
    match text.trim_matches(is_unseen) {
        "" => text.trim(),
        trimmed => trimmed,
    }
}

/// Whether a character is invisible: white space, fillers, joiners, direction marks, variation selectors.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_something_to_see_and_nothing_that_disrupts_them() {
        let codes = |text: &str| {
            let mut checks = Checks::new();
            checks.required_line("/name", text, 20);
            let codes = checks.into_errors().into_iter().map(|error| error.code);
            codes.collect::<Vec<_>>()
        };
        for seen in [
            "Tea",
            "  Tea\n",
            "茶",
            "e\u{301}",
            "👩\u{200d}🌾",
            "\u{5d0}\u{200f}!",
        ] {
            assert_eq!(codes(seen), Vec::<String>::new(), "{seen:?}");
        }
        for unseen in ["\u{200b}", "\u{2800}", "\u{3164}", "\u{feff} \u{ad}"] {
            assert_eq!(codes(unseen), [UNPRINTABLE], "{unseen:?}");
        }
        for disrupted in ["a\u{202e}b", "a\u{7}b", "a\nb", "a\u{2066}b", "a\u{2028}b"] {
            assert_eq!(codes(disrupted), [UNPRINTABLE], "{disrupted:?}");
        }
        assert_eq!(codes(" \u{a0} "), ["required"]);
    }

    fn email_codes(text: &str) -> Vec<String> {
        let mut checks = Checks::new();
        checks.email("/email", text);
        checks.into_errors().into_iter().map(|e| e.code).collect()
    }

    #[test]
    fn addresses_are_told_from_other_text() {
        assert_eq!(email_codes("ada@example.org"), Vec::<String>::new());
        assert_eq!(email_codes(""), ["required"]);
        assert_eq!(email_codes("ada@example.org\r\n"), Vec::<String>::new());
        for bad in ["ada", "@b", "a@", "a@b@c", "a b@c"] {
            assert_eq!(email_codes(bad), ["invalid_format"], "{bad:?}");
        }
        assert_eq!(email_codes("a\n@c"), [UNPRINTABLE, "invalid_format"]);
    }

    #[test]
    fn length_is_counted_in_characters() {
        let mut checks = Checks::new();
        checks.required_line("/a", &"ß".repeat(10), 10);
        checks.required_line("/b", &"ß".repeat(11), 10);
        let pointers: Vec<_> = checks
            .into_errors()
            .into_iter()
            .map(|e| e.pointer)
            .collect();
        assert_eq!(pointers, ["/b"]);
    }
}
