//! Draws a dialog, and finds the item under the mouse.

use ratatui::{Frame, layout::Rect};

use super::{
    confirm, conflict, form, help, import, menu, outcome, palette,
    panel::{SEARCH_ROWS, draw_input, first_shown, inside, middle},
    picker,
};
use crate::{dialogs::overlay::Overlay, view::render::RenderContext};

/// Draws a dialog over the body, or an input line over the hint line.
pub(crate) fn draw(
    frame: &mut Frame<'_>,
    (body, hints): (Rect, Rect),
    overlay: &Overlay,
    ctx: RenderContext<'_>,
) {
    match overlay {
        Overlay::Form(form) => match form.shown_conflict() {
            Some(conflict) => conflict::draw(frame, body, conflict, ctx),
            None => form::draw(frame, body, form, ctx),
        },
        Overlay::Picker(picker) => picker::draw(frame, body, picker, ctx),
        Overlay::Menu(menu) => menu::draw(frame, body, menu, ctx),
        Overlay::Confirm(confirm) => confirm::draw(frame, body, confirm, ctx),
        Overlay::Prompt(prompt) => {
            let title = format!(" {}: ", prompt.title);
            let hidden = prompt.is_hidden().then(|| prompt.line.hidden());
            let line = hidden.as_ref().unwrap_or(&prompt.line);
            draw_input(frame, hints, title, line, ("prompt-go", ctx));
        }
        Overlay::Export(export) => {
            let title = " Export to (.csv or .ndjson): ".into();
            draw_input(frame, hints, title, &export.line, ("export-go", ctx));
        }
        Overlay::Import(prompt) => {
            let title = format!(" Import {} from (.csv, .ndjson): ", prompt.resource);
            draw_input(frame, hints, title, &prompt.line, ("import-preview", ctx));
        }
        Overlay::ImportReview(review) => import::draw(frame, body, review, ctx),
        Overlay::BulkOutcome(outcome) => outcome::draw(frame, body, outcome, ctx),
        Overlay::Palette(palette) => palette::draw(frame, body, palette, ctx),
        Overlay::Help(help) => help::draw(frame, body, help, ctx),
    }
}

/// The index of the dialog's item at that column and row of the screen, if any.
pub(crate) fn item_at(overlay: &Overlay, body: Rect, at: (u16, u16)) -> Option<usize> {
    let (size, above, selected, count) = match overlay {
        Overlay::Menu(menu) => (menu::size(menu), 0, menu.selected, menu.items.len()),
        Overlay::Picker(picker) => (
            picker::SIZE,
            SEARCH_ROWS,
            picker.selected,
            picker.choices.len(),
        ),
        Overlay::Palette(palette) => (
            palette::SIZE,
            SEARCH_ROWS,
            palette.selected,
            palette.shown.len(),
        ),
        _ => return None,
    };
    let mut rows = inside(middle(body, size.0, size.1));
    rows.y += above;
    rows.height = rows.height.saturating_sub(above);
    if !rows.contains(at.into()) {
        return None;
    }
    let index = first_shown(selected, usize::from(rows.height)) + usize::from(at.1 - rows.y);
    (index < count).then_some(index)
}
