//! Draws the whole screen as a function of the state alone.

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    text::Line,
    widgets::Paragraph,
};
use stockroom_common::job::JobKind;

use super::{
    chrome,
    dialogs::overlay,
    plain,
    render::RenderContext,
    screens::{dashboard, jobs, list, partitions},
};
use crate::{
    app::state::{App, MIN_SIZE},
    model::{tab::Tab, text},
};

/// Draws the whole screen, or a notice if the terminal is smaller than [`MIN_SIZE`].
pub fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    let (columns, rows) = MIN_SIZE;
    if area.width < columns || area.height < rows {
        let line = format!(
            "This terminal has {}×{}; Stockroom needs {columns}×{rows}.",
            area.width, area.height
        );
        let lines: Vec<Line<'_>> = text::wrap(&line, usize::from(area.width))
            .into_iter()
            .map(Line::from)
            .collect();
        return frame.render_widget(Paragraph::new(lines), area);
    }
    let [tabs, body, hints, status] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let ctx = RenderContext {
        names: &app.names,
        zone: app.zone,
        theme: &app.preferences.theme,
        keys: &app.preferences.keys,
        is_plain: app.preferences.is_plain,
    };
    let (screens, link) = (&app.screens, &app.connection.link);
    chrome::draw_tabs(frame, tabs, app, ctx);
    match app.navigation.tab {
        Tab::Orders => list::draw(frame, body, &screens.orders, link, ctx),
        Tab::Customers => list::draw(frame, body, &screens.customers, link, ctx),
        Tab::Products => list::draw(frame, body, &screens.products, link, ctx),
        Tab::Categories => list::draw(frame, body, &screens.categories, link, ctx),
        Tab::Jobs => jobs::draw(frame, body, &screens.jobs, ctx),
        Tab::Partitions => {
            let job = screens.jobs.under_way(JobKind::Partitions);
            partitions::draw(frame, body, (&screens.partitions, job), ctx);
        }
        Tab::Dashboard => {
            let latencies = &app.connection.latencies;
            dashboard::draw(frame, body, (&screens.dashboard, latencies), ctx);
        }
    }
    chrome::draw_hints(frame, hints, app, ctx);
    chrome::draw_status(frame, status, app, ctx);
    for overlay in &app.overlays {
        overlay::draw(frame, (body, hints), overlay, ctx);
    }
    if ctx.is_plain {
        plain::translate(frame.buffer_mut());
    }
}
