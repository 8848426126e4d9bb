//! Draws the Dashboard: orders and revenue by month, orders by status, best sellers, the cache, and response times.

use std::{collections::VecDeque, time::Duration};

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};
use stockroom_common::{
    OrderStatus, Total,
    stats::{CacheStats, Stats},
};

use crate::{
    model::text,
    screens::dashboard::Dashboard,
    view::{
        bar::{filled, sparkline},
        cell::{self, Align},
        render::RenderContext,
    },
};

/// The least width, in columns, at which the dashboard has two panes side by side.
const WIDE: u16 = 110;
const MAX_BAR: usize = 40;

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    (screen, latencies): (&Dashboard, &VecDeque<Duration>),
    ctx: RenderContext<'_>,
) {
    let Some(stats) = &screen.stats else {
        let (message, style) = match &screen.error {
            Some(error) => (text::clean(error).into_owned(), ctx.theme.bad),
            None => ("Loading…".into(), ctx.theme.dim),
        };
        return frame.render_widget(Line::styled(format!(" {message}"), style), area);
    };
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(counts(stats, ctx), head);
    if area.width < WIDE {
        let width = usize::from(area.width);
        let mut lines = months(stats, width, ctx);
        lines.extend(others(latencies, stats, width, ctx));
        return put(frame, body, lines, screen.top, ctx);
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(body);
    put(
        frame,
        left,
        months(stats, usize::from(left.width), ctx),
        screen.top,
        ctx,
    );
    put(
        frame,
        right,
        others(latencies, stats, usize::from(right.width), ctx),
        screen.top,
        ctx,
    );
}

/// Draws the lines from `top` on. If there are more, the last line on the screen shows how many.
fn put(
    frame: &mut Frame<'_>,
    area: Rect,
    mut lines: Vec<Line<'_>>,
    top: usize,
    ctx: RenderContext<'_>,
) {
    let height = usize::from(area.height);
    let top = top.min(lines.len().saturating_sub(height));
    if top + height < lines.len() && height > 1 {
        let more = lines.len() - top - height + 1;
        let down = ctx.keys.shown("line-down");
        lines[top + height - 1] =
            Line::styled(format!(" … {more} more lines: {down}"), ctx.theme.label);
    }
    for (line, y) in lines.into_iter().skip(top).zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect::new(area.x, y, area.width, 1));
    }
}

fn counts(stats: &Stats, ctx: RenderContext<'_>) -> Line<'static> {
    let counts = &stats.counts;
    let rows = [
        ("orders", counts.orders),
        ("customers", counts.customers),
        ("products", counts.products),
        ("categories", counts.categories),
    ];
    let mut spans = Vec::new();
    for (what, total) in rows {
        spans.push(Span::styled(format!(" {}", rounded(total)), ctx.theme.bold));
        spans.push(Span::styled(format!(" {what} "), ctx.theme.dim));
    }
    Line::from(spans)
}

fn rounded(total: Total) -> String {
    let marker = if total.exact { "" } else { "~" };
    format!("{marker}{}", text::integer(total.value))
}

/// A line for each month, with its orders and revenue.
fn months(stats: &Stats, width: usize, ctx: RenderContext<'_>) -> Vec<Line<'static>> {
    const MONTH: usize = 9;
    const ORDERS: usize = 9;
    const REVENUE: usize = 15;
    let texts = MONTH + ORDERS + REVENUE + 3;
    let bar = (width.saturating_sub(texts) / 2).min(MAX_BAR);
    let most_orders = stats.months.iter().map(|month| month.orders).max();
    let most_orders = most_orders.unwrap_or_default();
    let most_revenue = stats.months.iter().map(|month| month.revenue_minor).max();
    let most_revenue = most_revenue.unwrap_or_default();
    let header = format!(
        " {:<MONTH$}{:>ORDERS$} {:bar$}{:>REVENUE$} ",
        "Month", "Orders", "", "Revenue"
    );
    let mut lines = vec![Line::styled(header, ctx.theme.header)];
    for month in &stats.months {
        let name = cell::fit(&text::clean(&month.month), MONTH, Align::Left);
        if month.archived && month.orders == 0 {
            // Zeros would read as a month without orders, so an archived month shows no numbers.
            let message = format!(" {name}{:>ORDERS$}", "archived");
            lines.push(Line::styled(message, ctx.theme.dim));
            continue;
        }
        lines.push(Line::from(vec![
            Span::raw(format!(" {name}{:>ORDERS$} ", text::integer(month.orders))),
            Span::styled(
                filled(month.orders.into(), most_orders.into(), bar),
                ctx.theme.label,
            ),
            // The blank is outside the padding, so an amount wider than its column still has one in front.
            Span::raw(format!(
                " {:>1$} ",
                text::money(month.revenue_minor),
                REVENUE - 1
            )),
            Span::styled(
                filled(month.revenue_minor, most_revenue, bar),
                ctx.theme.good,
            ),
        ]));
    }
    lines.push(Line::default());
    lines
}

/// The lines below or next to the months.
fn others(
    latencies: &VecDeque<Duration>,
    stats: &Stats,
    width: usize,
    ctx: RenderContext<'_>,
) -> Vec<Line<'static>> {
    let mut lines = statuses(stats, width, ctx);
    lines.extend(best_sellers(stats, width, ctx));
    lines.extend(cache(&stats.cache, ctx));
    lines.extend(latency(latencies, width, ctx));
    lines
}

/// The orders of all months shown, by status.
fn statuses(stats: &Stats, width: usize, ctx: RenderContext<'_>) -> Vec<Line<'static>> {
    let of = |status: OrderStatus| -> i64 {
        let months = stats.months.iter();
        months.filter_map(|month| month.statuses.get(&status)).sum()
    };
    let all: i64 = OrderStatus::ALL.iter().map(|status| of(*status)).sum();
    let title = format!(" Orders of {} months", stats.months.len());
    let mut lines = vec![Line::styled(title, ctx.theme.header)];
    for status in OrderStatus::ALL {
        let orders = of(status);
        let share = 100.0 * orders as f64 / all.max(1) as f64;
        let bar = width.saturating_sub(34).min(MAX_BAR);
        lines.push(Line::from(vec![
            Span::styled(
                format!(" {:<10}", status.as_str()),
                ctx.theme.status(status),
            ),
            Span::raw(format!("{:>12} {share:>6.1} % ", text::integer(orders))),
            Span::styled(
                filled(orders.into(), all.into(), bar),
                ctx.theme.status(status),
            ),
        ]));
    }
    lines.push(Line::default());
    lines
}

/// The products with the most revenue this month, or last month if this month has none yet.
fn best_sellers(stats: &Stats, width: usize, ctx: RenderContext<'_>) -> Vec<Line<'static>> {
    let mut months = stats.months.iter().take(2);
    let Some(month) = months.find(|month| !month.top_products.is_empty()) else {
        return Vec::new();
    };
    let title = format!(" Best sellers of {}", text::clean(&month.month));
    let mut lines = vec![Line::styled(title, ctx.theme.header)];
    let figures = month.top_products.iter().map(|product| {
        (
            text::integer(product.pieces),
            text::money(product.revenue_minor),
        )
    });
    let figures: Vec<(String, String)> = figures.collect();
    let widest = |least: usize, of: fn(&(String, String)) -> &String| {
        let widths = figures.iter().map(|figures| text::width(of(figures)));
        widths.max().unwrap_or_default().max(least)
    };
    // The name is cut to make room for the numbers: part of a number would read as another number.
    let (of_pieces, of_revenue) = (widest(8, |of| &of.0), widest(13, |of| &of.1));
    let room = width.saturating_sub(of_pieces + of_revenue + 6);
    for (product, (pieces, revenue)) in month.top_products.iter().zip(&figures) {
        let name = ctx.names.get(product.product_id.uuid()).unwrap_or("…");
        let name = cell::fit(&text::clean(name), room, Align::Left);
        lines.push(Line::from(vec![
            Span::raw(format!(" {name}")),
            Span::styled(format!(" {pieces:>of_pieces$} ×"), ctx.theme.dim),
            Span::raw(format!(" {revenue:>of_revenue$}")),
        ]));
    }
    lines.push(Line::default());
    lines
}

fn cache(cache: &CacheStats, ctx: RenderContext<'_>) -> Vec<Line<'static>> {
    let asked = cache.hits + cache.misses;
    let rate = match asked {
        0 => "no reads yet".into(),
        asked => format!(
            "{:.1} % of {} reads from the cache",
            100.0 * cache.hits as f64 / asked as f64,
            text::integer(i64::try_from(asked).unwrap_or(i64::MAX))
        ),
    };
    let (state, style) = match (cache.store.as_str(), cache.is_up) {
        ("off", _) => ("off", ctx.theme.dim),
        (_, true) => ("up", ctx.theme.good),
        (_, false) => ("down; reads go to the database", ctx.theme.bad),
    };
    let store = text::clean(&cache.store).into_owned();
    vec![
        Line::styled(" Cache of this server", ctx.theme.header),
        Line::from(vec![
            Span::raw(format!(" {store} ")),
            Span::styled(state, style),
            Span::raw(format!(" · {rate}")),
        ]),
        Line::default(),
    ]
}

/// The response times of the last calls, as measured by the client.
fn latency(
    latencies: &VecDeque<Duration>,
    width: usize,
    ctx: RenderContext<'_>,
) -> Vec<Line<'static>> {
    let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
    sorted.sort();
    let Some(median) = sorted.get(sorted.len() / 2) else {
        return Vec::new();
    };
    let slowest = sorted.last().unwrap_or(median);
    let message = format!(
        " median {} ms, maximum {} ms ",
        median.as_millis().max(1),
        slowest.as_millis().max(1)
    );
    let room = width.saturating_sub(text::width(&message) + 1);
    let newest = latencies.iter().rev().take(room);
    let newest: Vec<u64> = newest.map(|took| took.as_micros() as u64).collect();
    vec![
        Line::styled(" Response times", ctx.theme.header),
        Line::from(vec![
            Span::raw(message),
            Span::styled(sparkline(newest.into_iter().rev()), ctx.theme.label),
        ]),
    ]
}
