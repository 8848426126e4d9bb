//! Formats values as text for table cells.

use ratatui::style::Style;

use crate::{
    model::{
        show::{Cell, Formatter},
        text,
    },
    view::render::RenderContext,
};

/// The alignment of a value in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The value as text that is safe to print.
pub(crate) fn show(cell: &Cell, ctx: RenderContext<'_>) -> String {
    let RenderContext { names, zone, .. } = ctx;
    Formatter { names, zone }.format(cell)
}

pub(crate) const fn align(cell: &Cell) -> Align {
    match cell {
        Cell::Integer(_) | Cell::Money(_) => Align::Right,
        _ => Align::Left,
    }
}

pub(crate) const fn style(cell: &Cell, ctx: RenderContext<'_>) -> Style {
    match cell {
        Cell::Status(status) => ctx.theme.status(*status),
        Cell::Flag(false) => ctx.theme.dim,
        _ => ctx.theme.plain,
    }
}

/// Pads or cuts the text to exactly that many columns. Right-aligned text is a number: if it does not fit, only `…` is
/// shown, because part of a number would read as another number.
pub(crate) fn fit(text: &str, columns: usize, align: Align) -> String {
    let cut = match align {
        Align::Right if text::width(text) > columns => text::cut("……", columns.min(1)),
        _ => text::cut(text, columns),
    };
    let pad = " ".repeat(columns.saturating_sub(text::width(&cut)));
    match align {
        Align::Left => format!("{cut}{pad}"),
        Align::Right => format!("{pad}{cut}"),
    }
}

/// The marker in front of a row: an arrow for the selected one, otherwise blank.
pub(crate) const fn marker(is_selected: bool) -> &'static str {
    if is_selected { "› " } else { "  " }
}
