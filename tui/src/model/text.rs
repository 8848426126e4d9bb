//! Text for the terminal. Data passes through [`clean`] once, so that none of its control characters ever reach the
//! terminal.

use std::borrow::Cow;

use chrono::{DateTime, Local, Utc};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Maximum code points per grapheme cluster. The rest is cut, because stacked accents would spill over.
const MAX_CLUSTER: usize = 8;

/// The time zone in which times are shown. The API always uses UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Local,
    Utc,
}

/// Makes text safe to print: control characters become caret notation (`^[`), bidirectional marks and other invisible
/// characters become their code point (`<U+202E>`), and line breaks and tabs become a space.
pub fn clean(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if plain {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        for c in cluster.chars().take(MAX_CLUSTER) {
            push_clean(&mut cleaned, c);
        }
    }
    Cow::Owned(cleaned)
}

fn push_clean(cleaned: &mut String, c: char) {
    match c {
        '\n' | '\t' | '\r' => cleaned.push(' '),
        '\0'..='\x1f' => {
            cleaned.push('^');
            cleaned.push(char::from(c as u8 + 0x40));
        }
        '\x7f' => cleaned.push_str("^?"),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => {
            cleaned.push_str(&format!("<U+{:04X}>", u32::from(c)));
        }
        c => cleaned.push(c),
    }
}

/// The width of the text in terminal columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Adds a full stop, unless the text already ends with punctuation, so that another sentence can follow.
pub fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…', ':']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Cuts the text to `columns` terminal columns. `…` marks a cut.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut shortened = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        used += width(cluster);
        if used >= columns {
            break;
        }
        shortened.push_str(cluster);
    }
    if columns > 0 {
        shortened.push('…');
    }
    Cow::Owned(shortened)
}

/// Breaks text into lines of at most `columns` terminal columns, between words if possible.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = width(&line) + usize::from(!line.is_empty()) + width(word);
        if needed > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut rest = word;
        while width(rest) > columns.max(1) {
            let taken = head(rest, columns.max(1));
            lines.push(taken.to_owned());
            rest = &rest[taken.len()..];
        }
        line.push_str(rest);
    }
    lines.push(line);
    lines
}

/// The longest prefix that fits into `columns`, but at least one grapheme cluster.
fn head(text: &str, columns: usize) -> &str {
    let mut end = 0;
    let mut used = 0;
    for cluster in text.graphemes(true) {
        used += width(cluster);
        if used > columns && end > 0 {
            break;
        }
        end += cluster.len();
    }
    &text[..end]
}

/// Formats a number with commas: `1,234,567`.
pub fn integer(value: impl Into<i128>) -> String {
    let value = value.into();
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a size in bytes, such as `12.3 MiB`.
pub fn bytes(bytes: i64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1_000.0 {
            break;
        }
        (value, unit) = (value / 1_024.0, larger);
    }
    let places = usize::from(unit != "B" && value < 100.0);
    format!("{value:.places$} {unit}")
}

/// Formats an amount in minor units, such as `1,234.50`.
pub fn money(minor: impl Into<i128>) -> String {
    let minor = minor.into();
    let sign = if minor < 0 { "-" } else { "" };
    let (major, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    let major = integer(i128::try_from(major).unwrap_or(i128::MAX));
    format!("{sign}{major}.{cents:02}")
}

/// Parses an amount as users type it (`12`, `12.5`, `1,234.50`) into minor units.
pub fn parse_money(text: &str) -> Option<i64> {
    let (major, cents) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let major = ungrouped(major).filter(|major| !major.starts_with('+'))?;
    if cents.len() > 2 || !cents.bytes().all(|b| b.is_ascii_digit()) || major.is_empty() {
        return None;
    }
    let negative = major.starts_with('-');
    let major: i64 = major.parse().ok()?;
    let cents: i64 = format!("{cents:0<2}").parse().ok()?;
    let minor = major.checked_mul(100)?;
    if negative {
        minor.checked_sub(cents)
    } else {
        minor.checked_add(cents)
    }
}

/// Removes the commas from `1,234,567`. `None` if a comma is anywhere else: `12,50` may mean 12.50.
pub fn ungrouped(text: &str) -> Option<String> {
    let mut groups = text.trim_start_matches('-').split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let is_grouped = rest.is_empty() || (1..=3).contains(&first.len());
    let are_whole = rest.iter().all(|group| group.len() == 3);
    (is_grouped && are_whole).then(|| text.replace(',', ""))
}

/// Formats a time to the minute: `2026-11-24 09:30`.
pub fn time(at: DateTime<Utc>, zone: Zone) -> String {
    const FORMAT: &str = "%Y-%m-%d %H:%M";
    match zone {
        Zone::Local => at.with_timezone(&Local).format(FORMAT).to_string(),
        Zone::Utc => at.format(FORMAT).to_string(),
    }
}

/// Parses a time in the format of [`time`]. A date alone means midnight.
pub fn parse_time(text: &str, zone: Zone) -> Option<DateTime<Utc>> {
    use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

    let text = text.trim();
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .ok()
        .or_else(|| {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(date.and_time(NaiveTime::MIN))
        })?;
    match zone {
        Zone::Utc => Some(local.and_utc()),
        Zone::Local => Some(
            local
                .and_local_timezone(Local)
                .earliest()?
                .with_timezone(&Utc),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let sizes = [0, 999, 1_000, 8_192, 104_857_600, 1_073_741_824];
        let shown = sizes.map(bytes);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 KiB", "8.0 KiB", "100 MiB", "1.0 GiB"]
        );
    }

    #[test]
    fn controls_are_shown_and_never_sent() {
        assert_eq!(clean("a\x1b[2Jb\x07"), "a^[[2Jb^G");
        assert_eq!(clean("a\u{9b}31mb"), "a<U+009B>31mb");
        assert_eq!(clean("abc\u{202e}def"), "abc<U+202E>def");
        assert_eq!(clean("two\nlines\x7f"), "two lines^?");
        assert_eq!(clean("Ærø 東京 👩‍👧"), "Ærø 東京 👩‍👧");
        let tower = format!("a{}", "\u{301}".repeat(50));
        assert_eq!(clean(&tower).chars().count(), MAX_CLUSTER);
    }

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(cut("stockroom", 9), "stockroom");
        assert_eq!(cut("stockroom", 5), "stoc…");
        assert_eq!(cut("東京都", 5), "東京…");
        assert_eq!(cut("東京都", 4), "東…");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn text_is_wrapped_between_words_where_it_can() {
        assert_eq!(wrap("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(wrap("incomprehensible", 6), ["incomp", "rehens", "ible"]);
        assert_eq!(wrap("", 6), [""]);
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for minor in [0, 5, 99, 100, 123_456_789, -5, -150] {
            assert_eq!(parse_money(&money(minor)), Some(minor), "{}", money(minor));
        }
        assert_eq!(money(123_456_789), "1,234,567.89");
        assert_eq!(parse_money("12.5"), Some(1_250));
        for bad in [
            "", "x", "1.234", "1.-5", ".5", "12,50", "1,2345", ",100", "1234,567",
        ] {
            assert_eq!(parse_money(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = "2026-11-24T09:30:00Z".parse().unwrap();
        assert_eq!(parse_time(&time(at, Zone::Utc), Zone::Utc), Some(at));
        assert_eq!(parse_time(&time(at, Zone::Local), Zone::Local), Some(at));
        assert_eq!(parse_time("24.11.2026", Zone::Utc), None);
    }

    /// Whether a character controls the terminal or the direction of writing instead of being shown.
    fn is_harmful(c: char) -> bool {
        let is_bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || is_bidi || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    }

    /// Hostile text: letters mixed with control characters, combining marks, joiners and escape sequences.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            proptest::char::range('\0', '\u{a0}').prop_map(String::from),
            proptest::char::range('\u{200b}', '\u{2070}').prop_map(String::from),
            (any::<char>(), 0..30usize).prop_map(|(c, n)| format!("{c}{}", "\u{301}".repeat(n))),
            Just("\u{1b}]0;title\u{7}".to_owned()),
            Just("\u{1b}[2J".to_owned()),
            Just("\u{9b}31m".to_owned()),
            Just("👩\u{200d}👧".to_owned()),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_does_anything_to_a_terminal(text in hostile()) {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(is_harmful), "{text:?} gave {cleaned:?}");
            for cluster in cleaned.graphemes(true) {
                prop_assert!(cluster.chars().count() <= 2 * MAX_CLUSTER, "{cluster:?}");
            }
            let again = clean(&cleaned).into_owned();
            prop_assert!(!again.chars().any(is_harmful));
        }

        #[test]
        fn no_text_is_wider_than_its_column(text in hostile(), columns in 0..60usize) {
            let cleaned = clean(&text);
            prop_assert!(width(&cut(&cleaned, columns)) <= columns);
            for line in wrap(&cleaned, columns.max(2)) {
                prop_assert!(width(&line) <= columns.max(2), "{line:?}");
            }
        }
    }
}
