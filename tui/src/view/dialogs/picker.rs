//! Draws the picker: a search line, and the rows that match.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::panel::{SEARCH_ROWS, first_shown, line_at, open};
use crate::{
    dialogs::picker::Picker,
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

/// Columns and rows of the picker, with its border.
pub(super) const SIZE: (u16, u16) = (92, 18);

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, picker: &Picker, ctx: RenderContext<'_>) {
    let title = format!("Choose from {}", picker.tab.path());
    let inner = open(frame, body, SIZE.0, SIZE.1, &title, ctx);
    let width = usize::from(inner.width);
    let prompt = "Search: ";
    let (typed, column) = picker.search.view(width.saturating_sub(prompt.len()));
    frame.set_cursor_position((inner.x + (prompt.len() + column) as u16, inner.y));
    let search = vec![Span::styled(prompt, ctx.theme.label), Span::raw(typed)];
    line_at(frame, inner, 0, Line::from(search));
    let height = usize::from(inner.height.saturating_sub(SEARCH_ROWS));
    let note = match &picker.error {
        Some(error) => Some((text::clean(error).into_owned(), ctx.theme.bad)),
        None if !picker.choices.is_empty() => None,
        None if picker.is_loading() => Some(("loading…".into(), ctx.theme.dim)),
        None => Some((
            format!("Nothing matches; {} goes back.", ctx.keys.shown("back")),
            ctx.theme.dim,
        )),
    };
    if let Some((message, style)) = note {
        return line_at(frame, inner, 2, Line::styled(message, style));
    }
    if picker.shows_similar {
        let message = "No exact match. Similar names:";
        line_at(frame, inner, 1, Line::styled(message, ctx.theme.warn));
    }
    let top = first_shown(picker.selected, height);
    for (row, (index, choice)) in picker
        .choices
        .iter()
        .enumerate()
        .skip(top)
        .take(height)
        .enumerate()
    {
        let marker = if index == picker.selected {
            "› "
        } else {
            "  "
        };
        let half = width * 11 / 20;
        let name = cell::fit(
            &format!("{marker}{}", text::clean(&choice.label)),
            half - 1,
            Align::Left,
        );
        let note = cell::fit(
            &format!(" {}", text::clean(&choice.note)),
            width + 1 - half,
            Align::Left,
        );
        let style = if index == picker.selected {
            ctx.theme.selected
        } else {
            ctx.theme.plain
        };
        let spans = vec![
            Span::styled(name, style),
            Span::styled(note, style.patch(ctx.theme.dim)),
        ];
        line_at(frame, inner, row + 2, Line::from(spans));
    }
}
