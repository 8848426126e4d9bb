//! Boxes and lines shared by the dialogs.

use ratatui::{
    Frame,
    layout::{Margin, Rect},
    text::{Line, Span},
    widgets::{Block, Clear},
};

use crate::{dialogs::line::Line as InputLine, model::text, view::render::RenderContext};

/// Rows of the search line and the note below it.
pub(crate) const SEARCH_ROWS: u16 = 2;
/// Columns that the typed text needs: with fewer, the keys next to it are left out.
const MIN_TYPED: usize = 16;

/// Draws an empty box of at most that size in the middle of the body, and returns its inner area.
pub(crate) fn open(
    frame: &mut Frame<'_>,
    body: Rect,
    width: u16,
    height: u16,
    title: &str,
    ctx: RenderContext<'_>,
) -> Rect {
    let area = middle(body, width, height);
    let block = Block::bordered()
        .title(format!(" {title} "))
        .border_style(ctx.theme.label);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inside(area)
}

/// The area of a box in the middle of the body, no larger than the body.
pub(crate) fn middle(body: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(body.width), height.min(body.height));
    Rect::new(
        body.x + (body.width - width) / 2,
        body.y + (body.height - height) / 2,
        width,
        height,
    )
}

/// The area of a box without its border and the blank column on each side.
pub(crate) fn inside(area: Rect) -> Rect {
    area.inner(Margin::new(2, 1))
}

/// The index of the first item to show, so that the selected one is visible.
pub(crate) const fn first_shown(selected: usize, rows: usize) -> usize {
    (selected + 1).saturating_sub(rows)
}

/// Draws a line at a row of the area; draws nothing below the area.
pub(crate) fn line_at(frame: &mut Frame<'_>, area: Rect, row: usize, line: Line<'_>) {
    if row < usize::from(area.height) {
        frame.render_widget(line, Rect::new(area.x, area.y + row as u16, area.width, 1));
    }
}

/// Draws an input line over the hint line, with the keys that finish or cancel it on the right.
pub(crate) fn draw_input(
    frame: &mut Frame<'_>,
    area: Rect,
    prompt: String,
    line: &InputLine,
    (go, ctx): (&str, RenderContext<'_>),
) {
    let (enter, esc) = (ctx.keys.shown(go), ctx.keys.shown("back"));
    let ends = [(enter, " go "), (esc, " back ")];
    let ends_width: usize = ends
        .iter()
        .map(|(key, meaning)| text::width(key) + meaning.len() + 1)
        .sum();
    let start = text::width(&prompt);
    let has_room = usize::from(area.width) > start + ends_width + MIN_TYPED;
    let room = usize::from(area.width) - if has_room { ends_width } else { 0 };
    let (typed, column) = line.view(room.saturating_sub(start));
    frame.render_widget(Clear, area);
    let rest = room.saturating_sub(start + text::width(&typed));
    let style = if line.is_selected() {
        ctx.theme.selected
    } else {
        ctx.theme.plain
    };
    let mut spans = vec![
        Span::styled(prompt, ctx.theme.label),
        Span::styled(typed, style),
        Span::raw(" ".repeat(rest)),
    ];
    if has_room {
        for (key, meaning) in ends {
            spans.push(Span::styled(format!(" {key}"), ctx.theme.bold));
            spans.push(Span::styled(meaning, ctx.theme.dim));
        }
    }
    frame.render_widget(Line::from(spans), area);
    frame.set_cursor_position((area.x + (start + column) as u16, area.y));
}
