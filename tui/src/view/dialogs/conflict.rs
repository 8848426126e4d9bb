//! Theirs, mine and what it was before, side by side; one below the other where it is narrow.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::panel::{line_at, open};
use crate::{
    dialogs::form::{Conflict, FieldConflict, Resolution, Slot, SlotValue},
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

const MAX_WIDTH: u16 = 110;
const LABEL: usize = 12;
/// From this width on the three stand side by side.
const WIDE: usize = 70;

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, conflict: &Conflict, ctx: RenderContext<'_>) {
    let width = body.width.saturating_sub(2).min(MAX_WIDTH);
    let room = usize::from(width).saturating_sub(4);
    let mut lines = vec![Line::styled(
        text::cut(
            "Somebody else changed the same fields. Choose a value for each:",
            room,
        )
        .into_owned(),
        ctx.theme.bold,
    )];
    let mut selected_line = 0;
    if room >= WIDE {
        let columns = (room - LABEL) / 3;
        let titles =
            ["  before", "  theirs", "  mine"].map(|title| cell::fit(title, columns, Align::Left));
        let titles = titles.concat();
        lines.push(Line::styled(
            format!("{:LABEL$}{titles}", ""),
            ctx.theme.header,
        ));
    }
    for (index, clash) in conflict.fields.iter().enumerate() {
        if index == conflict.selected {
            selected_line = lines.len();
        }
        let is_selected = index == conflict.selected;
        if room >= WIDE {
            beside(&mut lines, clash, is_selected, room, ctx)
        } else {
            below(&mut lines, clash, is_selected, room, ctx)
        }
    }
    let left = match conflict.undecided() {
        0 => format!("{} saves your choices.", ctx.keys.shown("form-save")),
        open => format!("{open} left to choose."),
    };
    lines.push(Line::styled(left, ctx.theme.dim));
    let inner = open(
        frame,
        body,
        width,
        lines.len() as u16 + 2,
        "Edit conflict",
        ctx,
    );
    let height = usize::from(inner.height);
    let top = (selected_line + 4).saturating_sub(height);
    let top = top.min(lines.len().saturating_sub(height));
    for (row, line) in lines.into_iter().skip(top).enumerate() {
        line_at(frame, inner, row, line);
    }
}

/// The three values in columns, wrapped, the chosen one marked.
fn beside(
    lines: &mut Vec<Line<'static>>,
    clash: &FieldConflict,
    is_selected: bool,
    room: usize,
    ctx: RenderContext<'_>,
) {
    let columns = (room - LABEL) / 3;
    let values = versions(clash).map(|(side, slots)| {
        let mut lines = text::wrap(&value(slots, ctx), columns - 3);
        for (index, line) in lines.iter_mut().enumerate() {
            let mark = if index == 0 { mark(clash, side) } else { "  " };
            line.insert_str(0, mark);
        }
        (lines, style(clash, side, ctx))
    });
    let height = values
        .iter()
        .map(|(lines, _)| lines.len())
        .max()
        .unwrap_or(1);
    for line in 0..height {
        let label = if line == 0 {
            label(clash, is_selected)
        } else {
            String::new()
        };
        let mut spans = vec![Span::styled(
            cell::fit(&label, LABEL, Align::Left),
            ctx.theme.label,
        )];
        for (value, style) in &values {
            let part = value.get(line).map_or("", String::as_str);
            spans.push(Span::styled(cell::fit(part, columns, Align::Left), *style));
        }
        lines.push(Line::from(spans));
    }
}

fn below(
    lines: &mut Vec<Line<'static>>,
    clash: &FieldConflict,
    is_selected: bool,
    room: usize,
    ctx: RenderContext<'_>,
) {
    lines.push(Line::styled(label(clash, is_selected), ctx.theme.label));
    for (title, (side, slots)) in ["was", "theirs", "mine"].into_iter().zip(versions(clash)) {
        let line = format!("  {title:7}{}{}", mark(clash, side), value(slots, ctx));
        lines.push(Line::styled(
            text::cut(&line, room).into_owned(),
            style(clash, side, ctx),
        ));
    }
}

fn versions(clash: &FieldConflict) -> [(Option<Resolution>, &[Slot]); 3] {
    [
        (None, &clash.base),
        (Some(Resolution::Theirs), &clash.theirs),
        (Some(Resolution::Mine), &clash.mine),
    ]
}

fn label(clash: &FieldConflict, is_selected: bool) -> String {
    let mark = if is_selected { "› " } else { "  " };
    format!("{mark}{}", clash.field.label)
}

fn mark(clash: &FieldConflict, side: Option<Resolution>) -> &'static str {
    match side {
        Some(_) if clash.choice == side => "✓ ",
        _ => "  ",
    }
}

fn style(clash: &FieldConflict, side: Option<Resolution>, ctx: RenderContext<'_>) -> Style {
    match side {
        None => ctx.theme.dim,
        Some(_) if clash.choice == side => ctx.theme.good,
        Some(_) => ctx.theme.plain,
    }
}

/// The value as people read it; order lines one after the other.
fn value(slots: &[Slot], ctx: RenderContext<'_>) -> String {
    let words = |slot: &Slot| match &slot.value {
        SlotValue::Reference { id: Some(id), .. } => {
            let name = ctx.names.get(*id).unwrap_or("…");
            text::clean(name).into_owned()
        }
        _ => text::clean(&slot.words()).into_owned(),
    };
    if let [only] = slots {
        return words(only);
    }
    let lines = slots.chunks(3).map(|line| match line {
        [product, quantity, price] => {
            format!(
                "{} × {} at {}",
                words(quantity),
                words(product),
                words(price)
            )
        }
        _ => String::new(),
    });
    lines.collect::<Vec<_>>().join(", ")
}
