//! Draws the command palette: a search line, and the commands that match.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::panel::{SEARCH_ROWS, first_shown, line_at, open};
use crate::{
    dialogs::palette::Palette,
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

/// Columns and rows of the palette, with its border.
pub(crate) const SIZE: (u16, u16) = (76, 18);
/// Columns of the command names, and of the keys.
const NAME: usize = 18;
const KEYS: usize = 12;

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, palette: &Palette, ctx: RenderContext<'_>) {
    let inner = open(frame, body, SIZE.0, SIZE.1, "Commands", ctx);
    let width = usize::from(inner.width);
    let (typed, column) = palette.line.view(width.saturating_sub(2));
    frame.set_cursor_position((inner.x + 2 + column as u16, inner.y));
    let prompt = vec![Span::styled(": ", ctx.theme.label), Span::raw(typed)];
    line_at(frame, inner, 0, Line::from(prompt));
    if palette.shown.is_empty() {
        let message = format!("No command matches; {} goes back.", ctx.keys.shown("back"));
        let message = Line::styled(message, ctx.theme.dim);
        return line_at(frame, inner, 2, message);
    }
    let height = usize::from(inner.height.saturating_sub(SEARCH_ROWS));
    let top = first_shown(palette.selected, height);
    let shown = palette.shown.iter().enumerate().skip(top).take(height);
    for (row, (index, entry)) in shown.enumerate() {
        let is_selected = index == palette.selected;
        let (marker, style) = if is_selected {
            ("› ", ctx.theme.selected)
        } else {
            ("  ", ctx.theme.plain)
        };
        let name = cell::fit(&format!("{marker}{}", entry.name), NAME, Align::Left);
        let room = width.saturating_sub(NAME + KEYS);
        let help = cell::fit(entry.help, room, Align::Left);
        let keys = cell::fit(&text::cut(&entry.keys, KEYS), KEYS, Align::Right);
        let spans = vec![
            Span::styled(name, style.patch(ctx.theme.bold)),
            Span::styled(help, style),
            Span::styled(keys, style.patch(ctx.theme.dim)),
        ];
        line_at(frame, inner, row + 2, Line::from(spans));
    }
}
