//! Draws the rows that a bulk call refused, each with the reason.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::panel::{line_at, open};
use crate::{
    dialogs::outcome::BulkOutcome,
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    body: Rect,
    outcome: &BulkOutcome,
    ctx: RenderContext<'_>,
) {
    let width = 100.min(body.width);
    let room = usize::from(width).saturating_sub(4);
    let label_width = room / 4;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (label, reason) in outcome.refused.iter().skip(outcome.top) {
        let reasons = text::wrap(reason, room.saturating_sub(label_width + 2));
        for (index, reason) in reasons.into_iter().enumerate() {
            let label = if index == 0 { label.as_str() } else { "" };
            lines.push(Line::from(vec![
                Span::styled(cell::fit(label, label_width, Align::Left), ctx.theme.bold),
                Span::raw("  "),
                Span::styled(reason, ctx.theme.bad),
            ]));
        }
    }
    let height = (lines.len() as u16).saturating_add(4);
    let inner = open(frame, body, width, height, &outcome.title, ctx);
    let shown = usize::from(inner.height).saturating_sub(2);
    let close = ctx.keys.shown("report-close");
    let note = if lines.len() > shown {
        format!("{close} closes this. More below.")
    } else {
        format!("{close} closes this.")
    };
    for (row, line) in lines.into_iter().take(shown).enumerate() {
        line_at(frame, inner, row, line);
    }
    let last = usize::from(inner.height).saturating_sub(1);
    line_at(frame, inner, last, Line::styled(note, ctx.theme.label));
}
