//! Draws the Jobs tab: a line for each job, and below them the details of the selected job.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use stockroom_common::{
    bulk::{ImportReport, OnError},
    job::{Job, JobKind, JobRequest, JobState, Step},
};

use crate::{
    model::text,
    screens::jobs::{self, JobsScreen},
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

const STATE: usize = 9;
const PROGRESS: usize = 15;
const BY: usize = 14;
const STARTED: usize = 16;
/// Least and greatest width of the column with a job's description.
const WHAT: usize = 22;
const MAX_WHAT: usize = 70;
/// The least rows at which the details show a separator and all steps; with fewer, only the current step.
const ROOMY: usize = 4;
const MAX_BAR: usize = 40;
/// Columns of a gauge without its bar: step, counts, rate, time left.
const FULL_GAUGE: usize = 12 + 25 + 17 + 10;

pub(crate) fn draw(frame: &mut Frame<'_>, area: Rect, screen: &JobsScreen, ctx: RenderContext<'_>) {
    let width = usize::from(area.width);
    let mut lines = vec![summary(screen, ctx), header(width, ctx)];
    let rows = usize::from(area.height).saturating_sub(lines.len());
    let (listed, below) = (jobs::listed(rows), jobs::details(rows));
    let shown = screen.jobs.iter().enumerate().skip(screen.top);
    for (index, job) in shown.take(listed) {
        let is_selected = index == screen.selected;
        let line = row(job, (width, is_selected), ctx);
        lines.push(if is_selected {
            line.patch_style(ctx.theme.selected)
        } else {
            line
        });
    }
    if screen.is_loaded && screen.jobs.is_empty() {
        let message = "No jobs yet. Press n to fill the shop with test data. Exports, imports and archiving appear \
            here too, and run in the background.";
        for message in text::wrap(message, width.saturating_sub(2).min(WHAT * 3)) {
            lines.push(Line::styled(format!(" {message}"), ctx.theme.dim));
        }
    }
    if let Some(job) = screen.selected() {
        lines.extend(detail(job, (width, below), ctx).into_iter().take(below));
    }
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect::new(area.x, y, area.width, 1));
    }
}

fn summary(screen: &JobsScreen, ctx: RenderContext<'_>) -> Line<'static> {
    if let Some(error) = &screen.error {
        return Line::styled(format!(" {}", text::clean(error)), ctx.theme.bad);
    }
    if !screen.is_loaded {
        return Line::styled(" Loading…", ctx.theme.dim);
    }
    let count = |state: JobState| {
        let jobs = screen.jobs.iter().filter(|job| job.state == state);
        jobs.count()
    };
    let message = match (count(JobState::Running), count(JobState::Queued)) {
        (0, 0) => " No job is running".to_owned(),
        (running, 0) => format!(" {running} running"),
        (running, queued) => format!(" {running} running, {queued} waiting"),
    };
    let message = match screen.top {
        0 => message,
        above => format!("{message} · {above} newer above"),
    };
    Line::styled(message, ctx.theme.dim)
}

/// The width of the description column, and how many of the other columns fit: progress, time, actor, in that order.
fn widths(width: usize) -> (usize, usize) {
    let mut left = width.saturating_sub(2 + 1 + STATE);
    let mut fitting = 0;
    for column in [PROGRESS, STARTED, BY] {
        if left < WHAT + 1 + column {
            break;
        }
        left -= 1 + column;
        fitting += 1;
    }
    (left.min(MAX_WHAT), fitting)
}

fn header(width: usize, ctx: RenderContext<'_>) -> Line<'static> {
    let (what, fitting) = widths(width);
    let others = [
        format!(" {:<PROGRESS$}", "Progress"),
        format!(" {:<STARTED$}", "Started"),
        format!(" {:<BY$}", "By"),
    ];
    let header = format!(
        "  {} {:<STATE$}{}",
        cell::fit("Job", what, Align::Left),
        "State",
        others[..fitting].concat()
    );
    Line::styled(cell::fit(&header, width, Align::Left), ctx.theme.header)
}

fn row(job: &Job, (width, is_selected): (usize, bool), ctx: RenderContext<'_>) -> Line<'static> {
    let (what, fitting) = widths(width);
    let name = cell::fit(&text::clean(&job.request.to_string()), what, Align::Left);
    let others = [
        cell::fit(&progress(job), PROGRESS, Align::Left),
        cell::fit(&text::time(job.created_at, ctx.zone), STARTED, Align::Left),
        cell::fit(&text::clean(&job.author()), BY, Align::Left),
    ];
    let others: String = others[..fitting]
        .iter()
        .map(|text| format!(" {text}"))
        .collect();
    Line::from(vec![
        Span::raw(format!("{}{name} ", cell::marker(is_selected))),
        Span::styled(
            format!("{:<STATE$}", job.state.as_str()),
            style(job.state, ctx),
        ),
        Span::raw(cell::fit(
            &others,
            width.saturating_sub(what + STATE + 3),
            Align::Left,
        )),
    ])
}

const fn style(state: JobState, ctx: RenderContext<'_>) -> Style {
    match state {
        JobState::Queued | JobState::Running | JobState::Cancelled => ctx.theme.warn,
        JobState::Done => ctx.theme.good,
        JobState::Failed => ctx.theme.bad,
    }
}

/// The progress, such as `45% orders`, or the number of rows once the job is done.
fn progress(job: &Job) -> String {
    let Some(step) = job.present().filter(|_| job.state != JobState::Queued) else {
        return String::new();
    };
    if job.state == JobState::Done {
        let rows: i64 = match job.request.kind() {
            // Reading and writing are two steps over the same rows: counts only the last.
            JobKind::Import => step.done,
            _ => job.progress.iter().map(|step| step.done).sum(),
        };
        return match (job.request.kind(), rows) {
            (JobKind::Partitions, _) => String::new(),
            (_, 1) => "1 row".into(),
            (_, rows) => format!("{} rows", text::integer(rows)),
        };
    }
    let name = text::clean(&step.step);
    match step.total {
        Some(total) => format!("{:>3}% {name}", share(step.done, total)),
        None => format!("{} {name}", text::integer(step.done)),
    }
}

/// The share in percent, at most 99 before everything is done.
fn share(done: i64, total: i64) -> i64 {
    if done < total {
        (done * 100 / total.max(1)).min(99)
    } else {
        100
    }
}

fn detail(
    job: &Job,
    (width, height): (usize, usize),
    ctx: RenderContext<'_>,
) -> Vec<Line<'static>> {
    let message = match job.state {
        JobState::Queued => "is waiting; c cancels it",
        JobState::Running => "is running; c cancels it",
        JobState::Done if job.can_be_applied() => "is done; nothing is written yet",
        JobState::Done => "is done",
        JobState::Cancelled => match &job.request {
            JobRequest::Export(_) => "was cancelled",
            JobRequest::Import(import)
                if import.dry_run || import.on_error == OnError::RejectAll =>
            {
                "was cancelled; nothing was written"
            }
            _ => "was cancelled; rows written before that stay",
        },
        JobState::Failed => "failed",
    };
    let what = text::clean(&job.request.to_string()).into_owned();
    let is_roomy = height >= ROOMY;
    let mut lines = Vec::new();
    if is_roomy {
        lines.push(Line::styled("─".repeat(width), ctx.theme.dim));
    }
    // The list already shows the description, so it is left out if there is little room.
    let message = if is_roomy {
        format!(" {what} {message}.")
    } else {
        format!(" It {message}.")
    };
    lines.push(Line::styled(
        cell::fit(&message, width, Align::Left),
        style(job.state, ctx),
    ));
    if let Some(problem) = &job.problem {
        let detail = text::clean(&problem.detail);
        for line in text::wrap(&detail, width.saturating_sub(2)) {
            lines.push(Line::styled(format!(" {line}"), ctx.theme.bad));
        }
    }
    let open = ctx.keys.shown("job-open");
    if let Some(report) = &job.report {
        let message = counts(report, job, &open);
        for line in text::wrap(&message, width.saturating_sub(2)) {
            lines.push(Line::styled(format!(" {line}"), ctx.theme.label));
        }
    }
    if job.has_export() {
        let bytes = text::bytes(job.file_bytes.unwrap_or_default());
        let message = format!(" {bytes}, kept for a day; {open} saves it.");
        lines.push(Line::styled(message, ctx.theme.label));
    }
    let steps = job.progress.iter();
    let begun = steps.filter(|step| step.done > 0 || !job.state.is_final());
    let shown_steps = begun.filter(|step| is_roomy || Some(*step) == job.present());
    lines.extend(shown_steps.map(|step| gauge(step, job, width, ctx)));
    lines
}

fn counts(report: &ImportReport, job: &Job, open: &str) -> String {
    let number = |count: u64| text::integer(i64::try_from(count).unwrap_or(i64::MAX));
    format!(
        "{} new, {} changed, {} unchanged, {} refused. {open} {}.",
        number(report.created),
        number(report.updated),
        number(report.unchanged),
        number(report.failed),
        if job.can_be_applied() {
            "shows and imports them"
        } else {
            "shows them"
        }
    )
}

/// A line such as `orders   ███████░░░░░  45,000 of 100,000   41,200 rows/s   2 s left`. A narrow screen shows only the
/// step and the counts.
fn gauge(step: &Step, job: &Job, width: usize, ctx: RenderContext<'_>) -> Line<'static> {
    let width = width.saturating_sub(2);
    let done = text::integer(step.done);
    let is_estimate = job.request.kind() == JobKind::Export && !job.state.is_final();
    let counts = match step.total {
        Some(total) if is_estimate => format!("{done} of ~{}", text::integer(total)),
        Some(total) => format!("{done} of {}", text::integer(total)),
        None => done,
    };
    let label = format!(" {:<12}", text::clean(&step.step));
    if width < FULL_GAUGE {
        return Line::from(vec![
            Span::styled(label, ctx.theme.label),
            Span::raw(counts),
        ]);
    }
    let rate = match step.done {
        0 => String::new(),
        _ if job.request.kind() == JobKind::Partitions => String::new(),
        _ => format!("{} rows/s", text::integer(step.rows_per_second as i64)),
    };
    let is_done = step.total.is_some_and(|total| step.done >= total);
    let left = match step.eta_seconds {
        _ if is_done && step.done > 0 => "done".into(),
        Some(seconds) if !is_done && !job.state.is_final() => format!("{seconds:.0} s left"),
        _ => String::new(),
    };
    let bar = (width - FULL_GAUGE).min(MAX_BAR);
    let part = step.done as f64 / step.total.unwrap_or(0).max(1) as f64;
    let filled = match step.total {
        Some(_) => ((part * bar as f64).round() as usize).min(bar),
        None => 0,
    };
    Line::from(vec![
        Span::styled(label, ctx.theme.label),
        Span::styled("█".repeat(filled), ctx.theme.good),
        Span::styled("░".repeat(bar - filled), ctx.theme.dim),
        Span::raw(cell::fit(&counts, 25, Align::Right)),
        Span::styled(cell::fit(&rate, 17, Align::Right), ctx.theme.dim),
        Span::styled(cell::fit(&left, 10, Align::Right), ctx.theme.dim),
    ])
}
