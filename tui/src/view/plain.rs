//! The plain mode: what we draw ourselves becomes ASCII, cell by cell, so that nothing is left out by
//! mistake. Letters that come from the data stay as they are.

use ratatui::buffer::Buffer;

/// What stands for what; each takes one column.
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
