//! Draws an edit conflict: the base value, theirs and mine, side by side, or one below the other if the dialog is
//! narrow.

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
/// Columns of the field labels.
const LABEL: usize = 12;
/// The least width, in columns, at which the three values are side by side.
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
    for (index, conflict_field) in conflict.fields.iter().enumerate() {
        if index == conflict.selected {
            selected_line = lines.len();
        }
        let is_selected = index == conflict.selected;
        if room >= WIDE {
            side_by_side(&mut lines, conflict_field, is_selected, room, ctx)
        } else {
            stacked(&mut lines, conflict_field, is_selected, room, ctx)
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

/// Adds the three values of a field in columns, wrapped, with the chosen one marked.
fn side_by_side(
    lines: &mut Vec<Line<'static>>,
    conflict_field: &FieldConflict,
    is_selected: bool,
    room: usize,
    ctx: RenderContext<'_>,
) {
    let columns = (room - LABEL) / 3;
    let values = versions(conflict_field).map(|(side, slots)| {
        let mut lines = text::wrap(&value(slots, ctx), columns - 3);
        for (index, line) in lines.iter_mut().enumerate() {
            let marker = if index == 0 {
                marker(conflict_field, side)
            } else {
                "  "
            };
            line.insert_str(0, marker);
        }
        (lines, style(conflict_field, side, ctx))
    });
    let height = values
        .iter()
        .map(|(lines, _)| lines.len())
        .max()
        .unwrap_or(1);
    for line in 0..height {
        let label = if line == 0 {
            label(conflict_field, is_selected)
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

/// Adds the three values of a field, one per line, cut to the width.
fn stacked(
    lines: &mut Vec<Line<'static>>,
    conflict_field: &FieldConflict,
    is_selected: bool,
    room: usize,
    ctx: RenderContext<'_>,
) {
    lines.push(Line::styled(
        label(conflict_field, is_selected),
        ctx.theme.label,
    ));
    for (title, (side, slots)) in ["was", "theirs", "mine"]
        .into_iter()
        .zip(versions(conflict_field))
    {
        let line = format!(
            "  {title:7}{}{}",
            marker(conflict_field, side),
            value(slots, ctx)
        );
        lines.push(Line::styled(
            text::cut(&line, room).into_owned(),
            style(conflict_field, side, ctx),
        ));
    }
}

fn versions(conflict_field: &FieldConflict) -> [(Option<Resolution>, &[Slot]); 3] {
    [
        (None, &conflict_field.base),
        (Some(Resolution::Theirs), &conflict_field.theirs),
        (Some(Resolution::Mine), &conflict_field.mine),
    ]
}

fn label(conflict_field: &FieldConflict, is_selected: bool) -> String {
    let marker = if is_selected { "› " } else { "  " };
    format!("{marker}{}", conflict_field.field.label)
}

fn marker(conflict_field: &FieldConflict, side: Option<Resolution>) -> &'static str {
    match side {
        Some(_) if conflict_field.choice == side => "✓ ",
        _ => "  ",
    }
}

fn style(
    conflict_field: &FieldConflict,
    side: Option<Resolution>,
    ctx: RenderContext<'_>,
) -> Style {
    match side {
        None => ctx.theme.dim,
        Some(_) if conflict_field.choice == side => ctx.theme.good,
        Some(_) => ctx.theme.plain,
    }
}

/// The value as text. Order lines follow each other, each with its three slots.
fn value(slots: &[Slot], ctx: RenderContext<'_>) -> String {
    let shown = |slot: &Slot| match &slot.value {
        SlotValue::Reference { id: Some(id), .. } => {
            let name = ctx.names.get(*id).unwrap_or("…");
            text::clean(name).into_owned()
        }
        _ => text::clean(&slot.text()).into_owned(),
    };
    if let [only] = slots {
        return shown(only);
    }
    let lines = slots.chunks(3).map(|line| match line {
        [product, quantity, price] => {
            format!(
                "{} × {} at {}",
                shown(quantity),
                shown(product),
                shown(price)
            )
        }
        _ => String::new(),
    });
    lines.collect::<Vec<_>>().join(", ")
}
