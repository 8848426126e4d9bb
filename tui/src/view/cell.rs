//! Values as text.

use ratatui::style::Style;

use crate::{
    model::{
        show::{Cell, Show},
        text,
    },
    view::render::RenderContext,
};

/// Where a value stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The value in harmless text.
pub(crate) fn show(cell: &Cell, ctx: RenderContext<'_>) -> String {
    let RenderContext { names, zone, .. } = ctx;
    Show { names, zone }.words(cell)
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

/// The text in exactly that many columns. A number that does not fit is not shown: part of it would be another number.
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

/// What stands before the row that is selected, and before the others.
pub(crate) const fn mark(is_selected: bool) -> &'static str {
    if is_selected { "› " } else { "  " }
}
