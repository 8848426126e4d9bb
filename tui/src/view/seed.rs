//! The Seed tab: the sizes on top, the job and its gauges below.

use ratatui::{
    Frame,
    layout::{Margin, Rect},
    style::Style,
    text::{Line, Span},
};
use stockroom_common::seed::{NewSeedJob, SeedJob, SeedProgress, SeedState};

use super::{
    Look,
    cell::{self, Align},
};
use crate::{seed::SeedScreen, text};

const MAX_BAR: usize = 40;
/// Columns that a gauge takes besides its bar: name, counts, rate, time left.
const FULL_GAUGE: usize = 12 + 25 + 17 + 10;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, seed: &SeedScreen, look: Look<'_>) {
    let inner = area.inner(Margin::new(2, 0));
    let mut lines = Vec::new();
    // Where there is no room for both, the job is what one waits for.
    if inner.height >= 14 || seed.job.is_none() {
        push_sizes(&mut lines, &seed.request, inner, look);
    }
    if let Some(error) = &seed.error {
        for line in text::wrap(&text::clean(error), usize::from(inner.width)) {
            lines.push(Line::styled(line, look.theme.bad));
        }
    } else if seed.queued > 0 {
        let words = format!("More jobs that wait for their turn: {}.", seed.queued);
        lines.push(Line::styled(words, look.theme.dim));
    } else if !seed.is_running() {
        let words = "Enter starts, e changes the sizes. The same seed gives the same data.";
        lines.push(Line::styled(words, look.theme.dim));
    }
    if let Some(job) = &seed.job {
        draw_job(&mut lines, job, usize::from(inner.width), look);
    }
    for (line, y) in lines.into_iter().zip(inner.y..inner.bottom()) {
        frame.render_widget(line, Rect::new(inner.x, y, inner.width, 1));
    }
}

fn push_sizes(lines: &mut Vec<Line<'_>>, request: &NewSeedJob, area: Rect, look: Look<'_>) {
    if area.height >= 14 {
        let title = "Fill the shop with realistic test data";
        lines.extend([
            Line::default(),
            Line::styled(title, look.theme.bold),
            Line::default(),
        ]);
    }
    let sizes = [
        ("Seed", i64::from(request.seed)),
        ("Categories", request.categories),
        ("Products", request.products),
        ("Customers", request.customers),
        ("Orders", request.orders),
        ("Months", i64::from(request.months)),
    ];
    let rate = match request.rate {
        Some(rate) => format!("at most {} rows a second", text::integer(rate.into())),
        None => "as fast as it goes".into(),
    };
    // Two sizes a line where they fit: a small terminal has few lines.
    let in_a_line = if area.width >= 60 { 2 } else { 1 };
    for pair in sizes.chunks(in_a_line) {
        let mut spans = Vec::new();
        for (label, value) in pair {
            spans.push(Span::styled(format!("{label:<12}"), look.theme.label));
            spans.push(Span::raw(cell::fit(
                &text::integer(*value),
                13,
                Align::Right,
            )));
            spans.push(Span::raw("    "));
        }
        lines.push(Line::from(spans));
    }
    if area.height >= 14 {
        lines.push(Line::from(vec![
            Span::styled(format!("{:<12}", "Rate"), look.theme.label),
            Span::raw(rate),
        ]));
        lines.push(Line::default());
    }
}

fn draw_job(lines: &mut Vec<Line<'_>>, job: &SeedJob, width: usize, look: Look<'_>) {
    let (words, style): (&str, Style) = match job.state {
        SeedState::Queued => ("waits for its turn; c takes it out", look.theme.warn),
        SeedState::Running => ("is running; c cancels it", look.theme.warn),
        SeedState::Done => ("is done", look.theme.good),
        SeedState::Cancelled => (
            "was cancelled; what was loaded until then stays",
            look.theme.warn,
        ),
        SeedState::Failed => ("has failed", look.theme.bad),
    };
    lines.push(Line::default());
    lines.push(Line::styled(
        format!("The job with seed {} {words}.", job.request.seed),
        style,
    ));
    if let Some(error) = &job.error {
        for line in text::wrap(&text::clean(error), width) {
            lines.push(Line::styled(line, look.theme.bad));
        }
    }
    for progress in &job.progress {
        lines.push(gauge(progress, width, look));
    }
}

/// `Orders   ███████░░░░░  45,000 of 100,000   41,200 rows/s   2 s left`
fn gauge(progress: &SeedProgress, width: usize, look: Look<'_>) -> Line<'static> {
    let share = progress.done as f64 / progress.total.max(1) as f64;
    let counts = format!(
        "{} of {}",
        text::integer(progress.done),
        text::integer(progress.total)
    );
    let label = format!("{:<12}", text::clean(&progress.entity));
    if width < FULL_GAUGE {
        return Line::from(vec![
            Span::styled(label, look.theme.label),
            Span::raw(counts),
        ]);
    }
    let rate = match progress.done {
        0 => String::new(),
        _ => format!("{} rows/s", text::integer(progress.rows_per_second as i64)),
    };
    let left = match progress.eta_seconds {
        Some(seconds) if progress.done < progress.total => format!("{seconds:.0} s left"),
        _ if progress.total > 0 && progress.done == progress.total => "done".into(),
        _ => String::new(),
    };
    let bar = (width - FULL_GAUGE).min(MAX_BAR);
    let filled = ((share * bar as f64).round() as usize).min(bar);
    Line::from(vec![
        Span::styled(label, look.theme.label),
        Span::styled("█".repeat(filled), look.theme.good),
        Span::styled("░".repeat(bar - filled), look.theme.dim),
        Span::raw(cell::fit(&counts, 25, Align::Right)),
        Span::styled(cell::fit(&rate, 17, Align::Right), look.theme.dim),
        Span::styled(cell::fit(&left, 10, Align::Right), look.theme.dim),
    ])
}
