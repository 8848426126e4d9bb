//! Translates terminal events into events of the application. A click is resolved here, because its meaning depends on
//! what is drawn at that place.

use crossterm::event::{
    Event as TerminalEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Rect;

use super::{
    chrome::{tab_titles, tabs_width},
    dialogs::overlay,
};
use crate::{
    app::state::App,
    messages::event::{Event, Hit, MouseAction},
    model::text,
    settings::keys::Scope,
};

/// Translates a terminal event; none if the application ignores it.
pub fn translate(app: &App, event: TerminalEvent) -> Option<Event> {
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(key)),
        TerminalEvent::Paste(text) => Some(Event::Paste(text)),
        TerminalEvent::Mouse(event) => mouse_action(app, event).map(Event::Mouse),
        TerminalEvent::Resize(columns, rows) => Some(Event::Resize(columns, rows)),
        _ => None,
    }
}

fn mouse_action(app: &App, event: MouseEvent) -> Option<MouseAction> {
    match event.kind {
        MouseEventKind::ScrollUp => Some(MouseAction::ScrollUp),
        MouseEventKind::ScrollDown => Some(MouseAction::ScrollDown),
        MouseEventKind::Down(MouseButton::Left) => {
            hit(app, event.column, event.row).map(MouseAction::Click)
        }
        _ => None,
    }
}

/// Whether the application handles this kind of mouse event. Most events only report that the mouse has moved.
pub const fn is_relevant_mouse_event(kind: MouseEventKind) -> bool {
    matches!(
        kind,
        MouseEventKind::ScrollUp
            | MouseEventKind::ScrollDown
            | MouseEventKind::Down(MouseButton::Left)
    )
}

/// What can be clicked on at a column and row of the screen, if anything.
fn hit(app: &App, column: u16, row: u16) -> Option<Hit> {
    /// Screen lines above the first row of a list: tabs, title, header.
    const HEADER: u16 = 3;
    if let Some(overlay) = app.overlays.last() {
        let body = Rect::new(0, 1, app.size.0, app.size.1.saturating_sub(3));
        return overlay::item_at(overlay, body, (column, row)).map(Hit::Item);
    }
    if row == 0 {
        let mut end = 0;
        let mut titles = tab_titles(app, tabs_width(app)).into_iter();
        return titles.find_map(|(tab, title)| {
            end += text::width(&title);
            (usize::from(column) < end).then_some(Hit::Tab(tab))
        });
    }
    let below = app.size.1.saturating_sub(2);
    let has_rows = matches!(app.scope(), Scope::List | Scope::Jobs | Scope::Partitions);
    (has_rows && (HEADER..below).contains(&row)).then(|| Hit::Row(usize::from(row - HEADER)))
}
