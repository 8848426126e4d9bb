//! Theirs, mine and what it was before, side by side; one below the other where it is narrow.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::overlay::{line_at, open};
use crate::{
    dialogs::form::{Clash, Conflict, Side, Slot, SlotValue},
    model::text,
    view::{
        cell::{self, Align},
        look::Look,
    },
};

const MAX_WIDTH: u16 = 110;
const LABEL: usize = 12;
/// From this width on the three stand side by side.
const WIDE: usize = 70;

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, conflict: &Conflict, look: Look<'_>) {
    let width = body.width.saturating_sub(2).min(MAX_WIDTH);
    let room = usize::from(width).saturating_sub(4);
    let mut lines = vec![Line::styled(
        text::cut(
            "Somebody changed the same while you did. Choose for each field:",
            room,
        )
        .into_owned(),
        look.theme.bold,
    )];
    let mut selected_line = 0;
    if room >= WIDE {
        let columns = (room - LABEL) / 3;
        let titles =
            ["  it was", "  theirs", "  mine"].map(|title| cell::fit(title, columns, Align::Left));
        let titles = titles.concat();
        lines.push(Line::styled(
            format!("{:LABEL$}{titles}", ""),
            look.theme.header,
        ));
    }
    for (index, clash) in conflict.clashes.iter().enumerate() {
        if index == conflict.selected {
            selected_line = lines.len();
        }
        let is_selected = index == conflict.selected;
        match room >= WIDE {
            true => beside(&mut lines, clash, is_selected, room, look),
            false => below(&mut lines, clash, is_selected, room, look),
        }
    }
    let left = match conflict.undecided() {
        0 => format!("{} saves what is marked.", look.keys.shown("form-save")),
        open => format!("{open} to choose yet."),
    };
    lines.push(Line::styled(left, look.theme.dim));
    let inner = open(
        frame,
        body,
        width,
        lines.len() as u16 + 2,
        "Both of you",
        look,
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
    clash: &Clash,
    is_selected: bool,
    room: usize,
    look: Look<'_>,
) {
    let columns = (room - LABEL) / 3;
    let values = versions(clash).map(|(side, slots)| {
        let mut lines = text::wrap(&value(slots, look), columns - 3);
        for (index, line) in lines.iter_mut().enumerate() {
            let mark = if index == 0 { mark(clash, side) } else { "  " };
            line.insert_str(0, mark);
        }
        (lines, style(clash, side, look))
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
            look.theme.label,
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
    clash: &Clash,
    is_selected: bool,
    room: usize,
    look: Look<'_>,
) {
    lines.push(Line::styled(label(clash, is_selected), look.theme.label));
    for (title, (side, slots)) in ["was", "theirs", "mine"].into_iter().zip(versions(clash)) {
        let line = format!("  {title:7}{}{}", mark(clash, side), value(slots, look));
        lines.push(Line::styled(
            text::cut(&line, room).into_owned(),
            style(clash, side, look),
        ));
    }
}

fn versions(clash: &Clash) -> [(Option<Side>, &[Slot]); 3] {
    [
        (None, &clash.base),
        (Some(Side::Theirs), &clash.theirs),
        (Some(Side::Mine), &clash.mine),
    ]
}

fn label(clash: &Clash, is_selected: bool) -> String {
    let mark = if is_selected { "› " } else { "  " };
    format!("{mark}{}", clash.field.label)
}

fn mark(clash: &Clash, side: Option<Side>) -> &'static str {
    match side {
        Some(_) if clash.choice == side => "✓ ",
        _ => "  ",
    }
}

fn style(clash: &Clash, side: Option<Side>, look: Look<'_>) -> Style {
    match side {
        None => look.theme.dim,
        Some(_) if clash.choice == side => look.theme.good,
        Some(_) => look.theme.plain,
    }
}

/// The value as people read it; order lines one after the other.
fn value(slots: &[Slot], look: Look<'_>) -> String {
    let words = |slot: &Slot| match &slot.value {
        SlotValue::Reference { id: Some(id), .. } => {
            let name = look.names.get(*id).unwrap_or("…");
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
