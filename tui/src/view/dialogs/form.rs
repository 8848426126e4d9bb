//! Draws a form: a box with a line for each field. The three fields of an order line are side by side.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Clear},
};

use crate::{
    dialogs::form::{Form, Slot, SlotValue},
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

const LABEL: usize = 13;
const MAX_WIDTH: u16 = 90;
/// Widths of product, quantity and price in an order line, in tenths of the available columns.
const LINE_SHARES: [usize; 3] = [5, 2, 3];

/// A line of the box.
enum Row<'a> {
    /// The heading above the order lines.
    Heading,
    Fields(String, Vec<(usize, &'a Slot)>),
    Error(String),
}

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, form: &Form, ctx: RenderContext<'_>) {
    let width = body.width.saturating_sub(2).min(MAX_WIDTH);
    let inner_width = usize::from(width).saturating_sub(4);
    let rows = rows(form, inner_width);
    let messages = form
        .message
        .as_deref()
        .map(|message| text::wrap(&text::clean(message), inner_width));
    let mut messages: Vec<(String, Style)> = messages
        .unwrap_or_default()
        .into_iter()
        .map(|line| (line, ctx.theme.bad))
        .collect();
    let notice = form.notice.as_deref().unwrap_or_default();
    if !notice.is_empty() {
        let lines = text::wrap(notice, inner_width).into_iter();
        messages.extend(lines.map(|line| (line, ctx.theme.fresh)));
    }
    let needed = rows.len() + messages.len() + 2;
    let height = (needed as u16).min(body.height);
    let area = Rect::new(
        body.x + (body.width - width) / 2,
        body.y + (body.height - height) / 2,
        width,
        height,
    );
    let state = if form.is_sending() { "saving… " } else { "" };
    let title = format!(
        " {} {state}",
        text::cut(&form.title, inner_width.saturating_sub(10))
    );
    let block = Block::bordered().title(title).border_style(ctx.theme.label);
    let inner = block.inner(area).inner(ratatui::layout::Margin::new(1, 0));
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);

    let room = usize::from(inner.height).saturating_sub(messages.len());
    let focused = rows.iter().position(|row| match row {
        Row::Fields(_, slots) => slots.iter().any(|(index, _)| *index == form.focus),
        Row::Error(_) | Row::Heading => false,
    });
    // Scrolls so that the focused field is visible, and the first line of its error below it.
    let top = (focused.unwrap_or_default() + 2).saturating_sub(room);
    let top = top.min(rows.len().saturating_sub(room));
    for (row, y) in rows.iter().skip(top).take(room).zip(inner.y..) {
        let at = Rect::new(inner.x, y, inner.width, 1);
        match row {
            Row::Heading => draw_heading(frame, at, ctx),
            Row::Fields(label, slots) => draw_fields(frame, at, form, label, slots, ctx),
            Row::Error(error) => {
                let shown = text::cut(error, usize::from(at.width).saturating_sub(LABEL));
                let line = format!("{:LABEL$}{shown}", "");
                frame.render_widget(Line::styled(line, ctx.theme.bad), at);
            }
        }
    }
    let below = inner.y + (rows.len() - top).min(room) as u16;
    for ((message, style), y) in messages.into_iter().zip(below..inner.bottom()) {
        let at = Rect::new(inner.x, y, inner.width, 1);
        frame.render_widget(Line::styled(message, style), at);
    }
}

fn rows(form: &Form, width: usize) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut errors: Vec<String> = Vec::new();
    for (index, slot) in form.slots.iter().enumerate() {
        let continues = slot.line().is_some() && !slot.pointer.ends_with("/product_id");
        if continues && let Some(Row::Fields(_, slots)) = rows.last_mut() {
            slots.push((index, slot));
        } else {
            rows.extend(errors.drain(..).map(Row::Error));
            if slot.line() == Some(0) {
                rows.push(Row::Heading);
            }
            let label = match slot.line() {
                Some(line) => format!("Line {}", line + 1),
                None => slot.label.clone(),
            };
            rows.push(Row::Fields(label, vec![(index, slot)]));
        }
        if let Some(error) = form.error_of(slot) {
            let of = if slot.line().is_some() {
                format!("{}: ", slot.label)
            } else {
                String::new()
            };
            let lines = text::wrap(&format!("{of}{}", text::clean(&error)), width - LABEL - 2);
            // Only the first line of an error has the arrow.
            let lines = lines.into_iter().enumerate();
            errors.extend(lines.map(|(index, line)| match index {
                0 => format!("↑ {line}"),
                _ => format!("  {line}"),
            }));
        }
    }
    rows.extend(errors.into_iter().map(Row::Error));
    rows
}

fn draw_heading(frame: &mut Frame<'_>, at: Rect, ctx: RenderContext<'_>) {
    let room = usize::from(at.width).saturating_sub(LABEL);
    let mut line = " ".repeat(LABEL);
    for (title, share) in ["Product", "Quantity", "Price"]
        .into_iter()
        .zip(LINE_SHARES)
    {
        line.push_str(&cell::fit(
            &format!(" {title}"),
            room * share / 10,
            Align::Left,
        ));
    }
    frame.render_widget(Line::styled(line, ctx.theme.dim), at);
}

fn draw_fields(
    frame: &mut Frame<'_>,
    at: Rect,
    form: &Form,
    label: &str,
    slots: &[(usize, &Slot)],
    ctx: RenderContext<'_>,
) {
    let has_focus = slots.iter().any(|(index, _)| *index == form.focus);
    let required = slots.len() == 1 && slots[0].1.is_required;
    let marker = if required { "*" } else { " " };
    let label = cell::fit(&format!("{label}{marker}"), LABEL, Align::Left);
    let style = if has_focus {
        ctx.theme.bold
    } else {
        ctx.theme.label
    };
    frame.render_widget(Line::styled(label, style), at);
    let room = usize::from(at.width).saturating_sub(LABEL);
    let mut x = at.x + LABEL as u16;
    for ((index, slot), share) in slots.iter().zip(LINE_SHARES) {
        let width = if slots.len() == 1 {
            room
        } else {
            room * share / 10
        };
        let area = Rect::new(x, at.y, width as u16, 1);
        draw_value(frame, area, slot, *index == form.focus, ctx);
        x += width as u16;
    }
}

fn draw_value(
    frame: &mut Frame<'_>,
    area: Rect,
    slot: &Slot,
    has_focus: bool,
    ctx: RenderContext<'_>,
) {
    let room = usize::from(area.width).saturating_sub(2);
    let frame_style = if has_focus {
        ctx.theme.bold
    } else {
        ctx.theme.dim
    };
    let mut value_style: Style = if has_focus {
        ctx.theme.input
    } else {
        ctx.theme.plain
    };
    let shown = match &slot.value {
        SlotValue::Text(line) => {
            let (shown, column) = line.view(room);
            if has_focus {
                frame.set_cursor_position((area.x + 1 + column as u16, area.y));
            }
            if shown.is_empty() && !has_focus {
                value_style = ctx.theme.dim;
            }
            if has_focus && line.is_selected() {
                value_style = ctx.theme.selected;
            }
            if shown.is_empty() {
                placeholder(slot).to_owned()
            } else {
                shown
            }
        }
        SlotValue::Flag(true) => "yes".into(),
        SlotValue::Flag(false) => "no".into(),
        SlotValue::Choice { options, index } => match options[*index] {
            "" => "any".into(),
            word => word.into(),
        },
        SlotValue::Reference { id: Some(id), .. } => {
            let name = ctx.names.get(*id);
            name.map_or_else(|| "…".into(), |name| text::clean(name).into_owned())
        }
        SlotValue::Reference { id: None, .. } => {
            value_style = ctx.theme.dim;
            "Enter to choose".into()
        }
    };
    let (open, close) = match slot.value {
        SlotValue::Flag(_) | SlotValue::Choice { .. } => ("‹", "›"),
        SlotValue::Reference { .. } => ("(", ")"),
        SlotValue::Text(_) => ("[", "]"),
    };
    let shown = cell::fit(&shown, room, Align::Left);
    let line = Line::from(vec![
        Span::styled(open, frame_style),
        Span::styled(shown, value_style),
        Span::styled(close, frame_style),
    ]);
    frame.render_widget(line, area);
}

fn placeholder(slot: &Slot) -> &'static str {
    if slot.pointer.ends_with("/unit_price_minor") {
        return "list price";
    }
    if slot.pointer.ends_with("/placed_at") {
        "now"
    } else {
        ""
    }
}
