//! The plain mode: replaces the symbols that the client draws by ASCII, in the finished buffer, so that none is missed.
//! Non-ASCII letters in the data stay as they are.

use ratatui::buffer::Buffer;

/// Each symbol with its ASCII replacement. Both are one column wide.
const ASCII: &[(&str, &str)] = &[
    ("─", "-"),
    ("│", "|"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("├", "+"),
    ("┤", "+"),
    ("›", ">"),
    ("‹", "<"),
    ("…", "~"),
    ("–", "-"),
    ("·", "-"),
    ("×", "x"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("→", ">"),
    ("●", "*"),
    ("○", "o"),
    ("◌", "."),
    ("•", "*"),
    ("◉", "@"),
    ("✓", "+"),
    ("✗", "!"),
    ("█", "#"),
    ("▓", "#"),
    ("░", "."),
    ("▏", " "),
    ("▎", " "),
    ("▍", " "),
    ("▌", "#"),
    ("▋", "#"),
    ("▊", "#"),
    ("▉", "#"),
    ("“", "\""),
    ("”", "\""),
];

pub(crate) fn translate(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let symbol = cell.symbol();
        if let Some((_, plain)) = ASCII.iter().find(|(fancy, _)| *fancy == symbol) {
            cell.set_symbol(plain);
        }
    }
}
