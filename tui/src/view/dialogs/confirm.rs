//! Draws a confirmation dialog.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::panel::{line_at, open};
use crate::{dialogs::confirm::ConfirmDialog, model::text, view::render::RenderContext};

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    body: Rect,
    confirm: &ConfirmDialog,
    ctx: RenderContext<'_>,
) {
    let width = 60.min(body.width.saturating_sub(2));
    let room = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in text::wrap(&confirm.question, room) {
        lines.push(Line::styled(line, ctx.theme.bold));
    }
    for line in text::wrap(&confirm.consequence, room) {
        lines.push(Line::raw(line));
    }
    lines.push(Line::default());
    let mut cursor = 0;
    match &confirm.typed {
        Some(typed) => {
            let prompt = format!("Type {}: ", typed.expected);
            let (shown, column) = typed.line.view(room.saturating_sub(text::width(&prompt)));
            cursor = text::width(&prompt) + column;
            lines.push(Line::from(vec![
                Span::styled(prompt, ctx.theme.bold),
                Span::raw(shown),
            ]));
        }
        None => lines.push(Line::from(vec![
            Span::styled(ctx.keys.shown("yes"), ctx.theme.bold),
            Span::raw(" yes   "),
            Span::styled(ctx.keys.shown("no"), ctx.theme.bold),
            Span::raw(" no"),
        ])),
    }
    let inner = open(
        frame,
        body,
        width,
        lines.len() as u16 + 2,
        "Are you sure?",
        ctx,
    );
    if confirm.typed.is_some() {
        let row = (lines.len() as u16).saturating_sub(1);
        frame.set_cursor_position((inner.x + cursor as u16, inner.y + row));
    }
    for (row, line) in lines.into_iter().enumerate() {
        line_at(frame, inner, row, line);
    }
}
