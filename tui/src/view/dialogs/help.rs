//! Draws the help.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::panel::{line_at, open};
use crate::{
    dialogs::help::Help,
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, help: &Help, ctx: RenderContext<'_>) {
    let widths = help.lines.iter().map(|(keys, _)| text::width(keys));
    let keys_width = widths.max().unwrap_or_default().clamp(13, 24) + 1;
    let line = |(keys, meaning): &(String, &'static str)| {
        Line::from(vec![
            Span::styled(cell::fit(keys, keys_width, Align::Left), ctx.theme.bold),
            Span::raw(*meaning),
        ])
    };
    let lines: Vec<Line<'_>> = help.lines.iter().map(line).collect();
    let shown = usize::from(body.height.saturating_sub(2)).min(lines.len());
    let top = help.top.min(lines.len() - shown);
    let title = if shown < lines.len() {
        format!("Keys {}–{} of {}", top + 1, top + shown, lines.len())
    } else {
        "Keys".into()
    };
    let inner = open(frame, body, 78, lines.len() as u16 + 2, &title, ctx);
    for (row, line) in lines.into_iter().skip(top).enumerate() {
        line_at(frame, inner, row, line);
    }
}
