//! Draws the detail pane: the fields of a row, its links, and its history.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Clear},
};

use crate::{
    model::{entity::Detail, text},
    screens::list::{DetailPane, history::RowHistory},
    view::{cell, render::RenderContext},
};

const LABEL: usize = 12;

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    heading: &str,
    details: &[Detail],
    history: &RowHistory,
    pane: DetailPane,
    ctx: RenderContext<'_>,
) {
    let title = format!(
        " {} ",
        text::cut(heading, usize::from(area.width).saturating_sub(6))
    );
    let block = Block::bordered().title(title).border_style(ctx.theme.dim);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);

    let room = usize::from(inner.width).saturating_sub(LABEL + 4);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let (mut links, mut selected_line) = (0, 0);
    // A line without a label continues the one before; it is left out if it is empty.
    let shown = details
        .iter()
        .filter(|detail| !(detail.label.is_empty() && cell::show(&detail.value, ctx).is_empty()));
    for detail in shown {
        let is_link = detail.target.is_some();
        let is_selected = is_link && links == pane.link;
        links += usize::from(is_link);
        let value = cell::show(&detail.value, ctx);
        let style = match (is_selected, is_link) {
            (true, _) => ctx.theme.selected,
            (false, true) => ctx.theme.link,
            (false, false) => cell::style(&detail.value, ctx),
        };
        for (index, part) in text::wrap(&value, room).into_iter().enumerate() {
            if is_selected && index == 0 {
                selected_line = lines.len();
            }
            let label = if index == 0 { detail.label } else { "" };
            let marker = if is_selected && index == 0 {
                "› "
            } else {
                "  "
            };
            lines.push(Line::from(vec![
                Span::styled(format!(" {label:<LABEL$}"), ctx.theme.label),
                Span::raw(marker),
                Span::styled(part, style),
            ]));
        }
    }
    lines.extend(super::history::lines(
        history,
        usize::from(inner.width),
        ctx,
    ));
    let height = usize::from(inner.height);
    let top = (selected_line + 2).saturating_sub(height) + pane.top;
    let top = top.min(lines.len().saturating_sub(height));
    for (line, y) in lines.into_iter().skip(top).zip(inner.y..inner.bottom()) {
        frame.render_widget(line, Rect::new(inner.x, y, inner.width, 1));
    }
}
