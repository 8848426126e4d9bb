//! The parts around every screen: the tabs above it, the hints and the status line below it.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Clear,
};

use super::render::RenderContext;
use crate::{
    app::state::App,
    messages::{call::Source, event::Link, request::Toast},
    model::{tab::Tab, text},
};

/// Most columns that the name of a server takes from the tabs.
const MAX_BADGE: usize = 16;

/// Most columns of the name of the user's token in the status line.
const MAX_NAME: usize = 20;

pub(super) fn draw_tabs(frame: &mut Frame<'_>, area: Rect, app: &App, ctx: RenderContext<'_>) {
    let mut crumbs: Vec<&str> = app
        .navigation
        .breadcrumb()
        .into_iter()
        .map(Tab::title)
        .collect();
    let mut way = crumbs.join(" › ");
    let mut spans = Vec::new();
    let width = tabs_width(app);
    if let Some((name, style)) = &app.preferences.server {
        let left = (width as u16).min(area.width);
        let badge = Rect::new(area.x + left, area.y, area.width - left, 1);
        frame.render_widget(Line::styled(badge_of(name), *style), badge);
    }
    for (tab, title) in tab_titles(app, width) {
        let style = if tab == app.navigation.tab {
            ctx.theme.active_tab
        } else {
            ctx.theme.plain
        };
        spans.push(Span::styled(title, style));
    }
    let taken: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    let room = width.saturating_sub(taken);
    // Drops the oldest steps first: the user goes back over the newest ones first.
    while text::width(&way) + 4 > room && crumbs.len() > 1 {
        crumbs.remove(0);
        way = format!("… › {}", crumbs.join(" › "));
    }
    if !crumbs.is_empty() {
        spans.push(Span::styled(format!("  ‹ {way}"), ctx.theme.dim));
    }
    frame.render_widget(
        Line::from(spans),
        Rect::new(area.x, area.y, (width as u16).min(area.width), 1),
    );
}

fn badge_of(name: &str) -> String {
    format!(" {} ", text::cut(&text::clean(name), MAX_BADGE))
}

/// Columns for the tabs: those that the name of the server leaves.
pub(super) fn tabs_width(app: &App) -> usize {
    let badge = app.preferences.server.as_ref();
    let badge = badge.map_or(0, |(name, _)| text::width(&badge_of(name)));
    usize::from(app.size.0).saturating_sub(badge)
}

/// The tabs with their titles, in the order on the screen. If the titles and the breadcrumb do not fit in that many
/// columns, the spacing is reduced; if that is not enough, only the active tab keeps its title.
pub(super) fn tab_titles(app: &App, width: usize) -> Vec<(Tab, String)> {
    let crumbs: Vec<&str> = app
        .navigation
        .breadcrumb()
        .into_iter()
        .map(Tab::title)
        .collect();
    let way_back = if crumbs.is_empty() {
        0
    } else {
        text::width(&crumbs.join(" › ")) + 4
    };
    let titles = |show: fn(&str, Tab, bool) -> String| {
        let titles = Tab::ALL.map(|tab| {
            let key = app.preferences.keys.shown_of_tab(tab);
            (tab, show(&key, tab, tab == app.navigation.tab))
        });
        titles.to_vec()
    };
    let ways: [fn(&str, Tab, bool) -> String; 4] = [
        |key, tab, _| format!(" {key} {} ", tab.title()),
        |key, tab, _| format!(" {key} {}", tab.title()),
        |key, tab, is_active| {
            if is_active {
                format!(" {key} {} ", tab.title())
            } else {
                format!(" {key} ")
            }
        },
        |key, tab, is_active| {
            if is_active {
                format!(" {key} {}", tab.title())
            } else {
                format!(" {key}")
            }
        },
    ];
    let fits = |titles: &[(Tab, String)]| {
        let taken = titles.iter().map(|(_, title)| text::width(title));
        taken.sum::<usize>() + way_back <= width
    };
    let [loose, tight, short, shortest] = ways.map(titles);
    match () {
        () if fits(&loose) => loose,
        () if fits(&tight) => tight,
        () if fits(&short) => short,
        () => shortest,
    }
}

/// Draws the hint line: the available keys, from the table of keys.
pub(super) fn draw_hints(frame: &mut Frame<'_>, area: Rect, app: &App, ctx: RenderContext<'_>) {
    let mut line = Line::default();
    let mut width = 0;
    for (key, hint) in app.hints() {
        let (key, hint) = (format!(" {key}"), format!(" {hint} "));
        width += text::width(&key) + text::width(&hint);
        // The trailing blank of the last hint may be cut off.
        if width > usize::from(area.width) + 1 {
            break;
        }
        line.push_span(Span::styled(key, ctx.theme.bold));
        line.push_span(Span::styled(hint, ctx.theme.dim));
    }
    frame.render_widget(line, area);
}

pub(super) fn draw_status(frame: &mut Frame<'_>, area: Rect, app: &App, ctx: RenderContext<'_>) {
    let (marker, status, style) = match &app.connection.link {
        Link::Connecting => ("◌ ", "connecting".to_owned(), ctx.theme.warn),
        Link::Up => ("● ", "connected".to_owned(), ctx.theme.good),
        Link::Down(reason) => (
            "○ ",
            format!("offline, reconnecting: {reason}"),
            ctx.theme.bad,
        ),
        Link::LoggedOut(reason) => ("○ ", format!("not logged in: {reason}"), ctx.theme.bad),
    };
    let loading = if app.screen().is_loading() {
        " · loading…"
    } else {
        ""
    };
    let latency = match app.connection.latency {
        Some((took, source)) if app.connection.link == Link::Up => {
            let source = source.map_or("", Source::label);
            format!(" · {} ms {source}", took.as_millis().max(1))
        }
        _ => String::new(),
    };
    // In a shop on this machine there is only one user.
    let identity = app.connection.identity.as_ref();
    let identity = identity.filter(|_| !app.connection.is_local);
    let identity = identity.map_or_else(String::new, |who| {
        // A long name must not hide the role and the server.
        let name = text::clean(&who.name);
        format!("{} ({}) · ", text::cut(&name, MAX_NAME), who.role)
    });
    let right = format!(
        " {}{}{}{loading} ",
        identity,
        text::clean(&app.connection.server),
        latency.trim_end()
    );
    let [good, bad, marker] = if ctx.is_plain {
        ["done: ", "error: ", ""]
    } else {
        ["✓ ", "✗ ", marker]
    };
    let (left, style): (String, Style) = match &app.toast {
        Some(Toast::Info(message)) => (format!(" {good}{message}"), ctx.theme.good),
        Some(Toast::Error(message)) => (format!(" {bad}{message}"), ctx.theme.bad),
        None => (format!(" {marker}{status}"), style),
    };
    let left = text::clean(&left);
    if app.toast.is_some() && text::width(&left) > usize::from(area.width) {
        return draw_long_toast(frame, area, left.trim(), style);
    }
    // A toast takes precedence over the right side. Otherwise each side gets half of the line, plus what the other side
    // does not need.
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
            Span::styled(text::cut(&right, right_width).into_owned(), ctx.theme.dim),
        ]),
        area,
    );
}

/// Draws a toast that needs more than one line. It covers the lines above the status line.
pub(super) fn draw_long_toast(frame: &mut Frame<'_>, area: Rect, message: &str, style: Style) {
    const MAX_LINES: usize = 5;
    let lines = text::wrap(message, usize::from(area.width).saturating_sub(2));
    let shown = lines.len().min(MAX_LINES).min(usize::from(area.y) + 1);
    let top = area.y + 1 - shown as u16;
    for (line, y) in lines.into_iter().take(shown).zip(top..) {
        let at = Rect::new(area.x, y, area.width, 1);
        frame.render_widget(Clear, at);
        frame.render_widget(Line::styled(format!(" {line}"), style), at);
    }
}
