//! Bars, with a resolution of an eighth of a character, and sparklines.

use super::cell::{self, Align};

/// A bar in that many columns, of which `most` would fill all. Any value above zero gets at least an eighth of a
/// column.
pub(crate) fn filled(value: i128, most: i128, columns: usize) -> String {
    let share = value as f64 / most.max(1) as f64;
    let eighths = (share * columns as f64 * 8.0).round() as usize;
    let eighths = eighths.max(usize::from(value > 0)).min(columns * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
        bar.push_str(part);
    }
    cell::fit(&bar, columns, Align::Left)
}

/// A sparkline: one character per value, scaled to the largest.
pub(crate) fn sparkline(values: impl Iterator<Item = u64> + Clone) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().max().unwrap_or_default().max(1);
    values
        .map(|value| STEPS[(value * 7 / most).min(7) as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_nothing_is_nothing() {
        assert_eq!(filled(0, 100, 4), "    ");
        assert_eq!(filled(1, 1_000_000, 4), "▏   ");
        assert_eq!(filled(50, 100, 4), "██  ");
        assert_eq!(filled(100, 100, 4), "████");
        assert_eq!(filled(5, 0, 4), "████");
        assert_eq!(sparkline([0, 7, 14].into_iter()), "▁▄█");
        assert_eq!(sparkline(std::iter::empty()), "");
    }
}
