//! Rules on single values, for both ends: the client checks while one types, the server always.

use crate::FieldError;

/// The highest price, in minor units.
pub const MAX_PRICE_MINOR: i64 = 100_000_000_000;
/// The largest stock of one product.
pub const MAX_STOCK: i64 = 1_000_000_000;

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

    /// Text that may be empty, of at most `max` characters.
    pub fn text(&mut self, pointer: &str, text: &str, max: usize) {
        if text.contains('\0') {
            self.fail(pointer, "invalid_text", "holds a NUL character; remove it");
        }
        let length = text.chars().count();
        if length > max {
            let message = format!("has {length} characters; at most {max} are allowed");
            self.fail(pointer, "too_long", message);
        }
    }

    /// Text of at least one visible character.
    pub fn required_text(&mut self, pointer: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            return self.fail(pointer, "required", "must not be empty");
        }
        self.text(pointer, text, max);
    }

    pub fn range(&mut self, pointer: &str, value: i64, min: i64, max: i64) {
        if value < min || value > max {
            let message = format!("is {value}; it must be from {min} to {max}");
            self.fail(pointer, "out_of_range", message);
        }
    }

    /// One `@` with something on both sides and no space: the rest is the mail server's to know.
    pub fn email(&mut self, pointer: &str, text: &str) {
        self.required_text(pointer, text, 254);
        let shaped = text.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@')
        });
        let spaced = text.chars().any(|c| c.is_whitespace() || c.is_control());
        if !text.trim().is_empty() && (!shaped || spaced) {
            let message = "is not an e-mail address; write it like name@example.org";
            self.fail(pointer, "invalid_format", message);
        }
    }

    /// Nothing, or a country by its two letters (ISO 3166-1 alpha-2).
    pub fn country(&mut self, pointer: &str, text: &str) {
        let two_letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if !text.is_empty() && !two_letters {
            let message = "must be two capital letters, such as DE or JP";
            self.fail(pointer, "invalid_format", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email_codes(text: &str) -> Vec<String> {
        let mut checks = Checks::new();
        checks.email("/email", text);
        checks.into_errors().into_iter().map(|e| e.code).collect()
    }

    #[test]
    fn addresses_are_told_from_other_text() {
        assert_eq!(email_codes("ada@example.org"), Vec::<String>::new());
        assert_eq!(email_codes(""), ["required"]);
        for bad in ["ada", "@b", "a@", "a@b@c", "a b@c", "a\n@c"] {
            assert_eq!(email_codes(bad), ["invalid_format"], "{bad:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        let mut checks = Checks::new();
        checks.required_text("/a", &"ß".repeat(10), 10);
        checks.required_text("/b", &"ß".repeat(11), 10);
        let pointers: Vec<_> = checks
            .into_errors()
            .into_iter()
            .map(|e| e.pointer)
            .collect();
        assert_eq!(pointers, ["/b"]);
    }
}
