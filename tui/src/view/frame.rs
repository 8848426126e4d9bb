//! Drawing: a function of the state, and of nothing else.

pub use crate::view::screens::list::LEGEND;

use crossterm::event::{MouseButton, MouseEventKind};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use stockroom_common::job::JobKind;

use super::{
    dialogs::{conflict, form, import, overlay, palette},
    look::Look,
    plain,
    screens::{dashboard, jobs, list, partitions},
};
use crate::{
    app::state::{App, MIN_SIZE},
    dialogs::overlay::Overlay,
    messages::{
        context::Toast,
        event::{Link, Source},
    },
    model::{
        entity::Tab,
        text::{self},
    },
    settings::keys::Scope,
};

/// Draws the whole screen.
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
    let look = Look {
        names: &app.names,
        zone: app.zone,
        theme: &app.preferences.theme,
        keys: &app.preferences.keys,
        is_plain: app.preferences.is_plain,
    };
    draw_tabs(frame, tabs, app, look);
    match app.tab {
        Tab::Orders => list::draw(frame, body, &app.orders, &app.link, look),
        Tab::Customers => list::draw(frame, body, &app.customers, &app.link, look),
        Tab::Products => list::draw(frame, body, &app.products, &app.link, look),
        Tab::Categories => list::draw(frame, body, &app.categories, &app.link, look),
        Tab::Jobs => jobs::draw(frame, body, &app.jobs, look),
        Tab::Partitions => {
            let job = app.jobs.under_way(JobKind::Partitions);
            partitions::draw(frame, body, (&app.partitions, job), look);
        }
        Tab::Dashboard => dashboard::draw(frame, body, app, look),
    }
    draw_hints(frame, hints, app, look);
    draw_status(frame, status, app, look);
    for overlay in &app.overlays {
        match overlay {
            Overlay::Form(form) => match form.shown_conflict() {
                Some(conflict) => conflict::draw(frame, body, conflict, look),
                None => form::draw(frame, body, form, look),
            },
            Overlay::Picker(picker) => overlay::draw_picker(frame, body, picker, look),
            Overlay::Menu(menu) => overlay::draw_menu(frame, body, menu, look),
            Overlay::Confirm(confirm) => overlay::draw_confirm(frame, body, confirm, look),
            Overlay::Prompt(prompt) => overlay::draw_prompt(frame, hints, prompt, look),
            Overlay::Outcomes(outcomes) => overlay::draw_outcomes(frame, body, outcomes, look),
            Overlay::Export(export) => overlay::draw_export(frame, hints, export, look),
            Overlay::Import(ask) => import::draw_ask(frame, hints, ask, look),
            Overlay::Review(review) => import::draw_review(frame, body, review, look),
            Overlay::Palette(palette) => palette::draw(frame, body, palette, look),
            Overlay::Help(help) => overlay::draw_help(frame, body, help, look),
        }
    }
    if look.is_plain {
        plain::translate(frame.buffer_mut());
    }
}

/// What lies under the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    Tab(Tab),
    /// The row that stands so far below the header.
    Row(usize),
    /// One of the choices of what lies over the screen.
    Choice(usize),
}

/// What stands at a place of the screen and can be clicked on.
pub fn hit(app: &App, column: u16, row: u16) -> Option<Hit> {
    const ROWS: u16 = 3;
    if let Some(overlay) = app.overlays.last() {
        let body = Rect::new(0, 1, app.size.0, app.size.1.saturating_sub(3));
        return overlay::choice_at(overlay, body, (column, row)).map(Hit::Choice);
    }
    if row == 0 {
        let mut end = 0;
        let mut titles = tab_titles(app, usize::from(app.size.0)).into_iter();
        return titles.find_map(|(tab, title)| {
            end += text::width(&title);
            (usize::from(column) < end).then_some(Hit::Tab(tab))
        });
    }
    let below = app.size.1.saturating_sub(2);
    let has_rows = matches!(app.scope(), Scope::List | Scope::Jobs | Scope::Partitions);
    (has_rows && (ROWS..below).contains(&row)).then(|| Hit::Row(usize::from(row - ROWS)))
}

/// Whether something is meant by it: the mouse moves much and says little.
pub const fn is_telling(kind: MouseEventKind) -> bool {
    matches!(
        kind,
        MouseEventKind::ScrollUp
            | MouseEventKind::ScrollDown
            | MouseEventKind::Down(MouseButton::Left)
    )
}

fn draw_tabs(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look<'_>) {
    let mut crumbs: Vec<&str> = app.breadcrumb().into_iter().map(Tab::title).collect();
    let mut way = crumbs.join(" › ");
    let mut spans = Vec::new();
    for (tab, title) in tab_titles(app, usize::from(area.width)) {
        let style = match tab == app.tab {
            true => look.theme.active_tab,
            false => look.theme.plain,
        };
        spans.push(Span::styled(title, style));
    }
    let taken: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    let room = usize::from(area.width).saturating_sub(taken);
    // The last steps are those to go back first.
    while text::width(&way) + 4 > room && crumbs.len() > 1 {
        crumbs.remove(0);
        way = format!("… › {}", crumbs.join(" › "));
    }
    if !crumbs.is_empty() {
        spans.push(Span::styled(format!("  ‹ {way}"), look.theme.dim));
    }
    frame.render_widget(Line::from(spans), area);
}

/// The tabs as they stand side by side in that many columns: where there is no room for all titles, one
/// must still see where one is and came from.
fn tab_titles(app: &App, width: usize) -> Vec<(Tab, String)> {
    let crumbs: Vec<&str> = app.breadcrumb().into_iter().map(Tab::title).collect();
    let way_back = match crumbs.is_empty() {
        true => 0,
        false => text::width(&crumbs.join(" › ")) + 4,
    };
    let titles = |show: fn(usize, Tab, bool) -> String| {
        let tabs = Tab::ALL.into_iter().zip(1..);
        let titles = tabs.map(|(tab, number)| (tab, show(number, tab, tab == app.tab)));
        titles.collect::<Vec<_>>()
    };
    let ways: [fn(usize, Tab, bool) -> String; 3] = [
        |number, tab, _| format!(" {number} {} ", tab.title()),
        |number, tab, _| format!(" {number} {}", tab.title()),
        |number, tab, is_active| match is_active {
            true => format!(" {number} {} ", tab.title()),
            false => format!(" {number} "),
        },
    ];
    let fits = |titles: &[(Tab, String)]| {
        let taken = titles.iter().map(|(_, title)| text::width(title));
        taken.sum::<usize>() + way_back <= width
    };
    let [loose, tight, short] = ways.map(titles);
    match () {
        () if fits(&loose) => loose,
        () if fits(&tight) => tight,
        () => short,
    }
}

/// What can be done here, from the table of keys.
fn draw_hints(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look<'_>) {
    let mut line = Line::default();
    let mut width = 0;
    for (key, hint) in app.hints() {
        let (key, hint) = (format!(" {key}"), format!(" {hint} "));
        width += text::width(&key) + text::width(&hint);
        // The last blank may fall off the edge.
        if width > usize::from(area.width) + 1 {
            break;
        }
        line.push_span(Span::styled(key, look.theme.bold));
        line.push_span(Span::styled(hint, look.theme.dim));
    }
    frame.render_widget(line, area);
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look<'_>) {
    let (mark, words, style) = match &app.link {
        Link::Connecting => ("◌ ", "connecting".to_owned(), look.theme.warn),
        Link::Up => ("● ", "connected".to_owned(), look.theme.good),
        Link::Down(reason) => (
            "○ ",
            format!("offline, trying again: {reason}"),
            look.theme.bad,
        ),
    };
    let loading = if app.present().is_loading() {
        " · loading…"
    } else {
        ""
    };
    let latency = match app.latency {
        Some((took, source)) if app.link == Link::Up => {
            let source = source.map_or("", Source::word);
            format!(" · {} ms {source}", took.as_millis().max(1))
        }
        _ => String::new(),
    };
    let right = format!(
        " {}{}{loading} ",
        text::clean(&app.server),
        latency.trim_end()
    );
    let [good, bad, mark] = match look.is_plain {
        true => ["done: ", "error: ", ""],
        false => ["✓ ", "✗ ", mark],
    };
    let (left, style): (String, Style) = match &app.toast {
        Some(Toast::Good(message)) => (format!(" {good}{message}"), look.theme.good),
        Some(Toast::Bad(message)) => (format!(" {bad}{message}"), look.theme.bad),
        None => (format!(" {mark}{words}"), style),
    };
    let left = text::clean(&left);
    if app.toast.is_some() && text::width(&left) > usize::from(area.width) {
        return draw_long_toast(frame, area, left.trim(), style);
    }
    // What has just happened comes first; else each side has half of the line, and what the other leaves.
    let room = usize::from(area.width);
    let least = if app.toast.is_some() { room } else { room / 2 };
    let right_width = text::width(&right).min(room - text::width(&left).min(least));
    let left_width = room - right_width;
    let left = text::cut(&left, left_width).into_owned();
    let pad = left_width - text::width(&left);
    frame.render_widget(
        Line::from(vec![
            Span::styled(left, style),
            Span::raw(" ".repeat(pad)),
            Span::styled(text::cut(&right, right_width).into_owned(), look.theme.dim),
        ]),
        area,
    );
}

/// What has happened, where it takes more than a line: over the lines above.
fn draw_long_toast(frame: &mut Frame<'_>, area: Rect, words: &str, style: Style) {
    const MOST: usize = 5;
    let lines = text::wrap(words, usize::from(area.width).saturating_sub(2));
    let shown = lines.len().min(MOST).min(usize::from(area.y) + 1);
    let top = area.y + 1 - shown as u16;
    for (line, y) in lines.into_iter().take(shown).zip(top..) {
        let at = Rect::new(area.x, y, area.width, 1);
        frame.render_widget(Clear, at);
        frame.render_widget(Line::styled(format!(" {line}"), style), at);
    }
}
