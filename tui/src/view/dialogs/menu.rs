//! Draws a menu.

use ratatui::{Frame, layout::Rect, text::Line};

use super::panel::{first_shown, line_at, open};
use crate::{
    messages::request::Menu,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

pub(crate) fn draw(frame: &mut Frame<'_>, body: Rect, menu: &Menu, ctx: RenderContext<'_>) {
    let (width, height) = size(menu);
    let inner = open(frame, body, width, height, &menu.title, ctx);
    let top = first_shown(menu.selected, usize::from(inner.height));
    for (row, (index, item)) in menu.items.iter().enumerate().skip(top).enumerate() {
        let is_selected = index == menu.selected;
        let marker = if is_selected { "› " } else { "  " };
        let label = cell::fit(
            &format!("{marker}{}", item.label),
            usize::from(inner.width),
            Align::Left,
        );
        let style = if is_selected {
            ctx.theme.selected
        } else {
            ctx.theme.plain
        };
        line_at(frame, inner, row, Line::styled(label, style));
    }
}

/// The columns and rows of the menu, with its border.
pub(super) fn size(menu: &Menu) -> (u16, u16) {
    (30, menu.items.len() as u16 + 2)
}
