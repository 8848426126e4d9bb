//! Draws the Partitions tab: a summary, then a line for each partition, with bars for its rows and bytes.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use stockroom_common::{
    job::{Job, JobRequest, PartitionAction, PartitionsRequest},
    partition::{Family, Partition, PartitionState},
};

use crate::{
    model::text,
    screens::partitions::PartitionsScreen,
    view::{
        bar::filled,
        cell::{self, Align},
        render::RenderContext,
    },
};

const NAME: usize = 19;
/// Width of the names on a narrow screen: enough for partitions of one month.
const SHORT_NAME: usize = 15;
const STATE: usize = 9;
const ROWS: usize = 13;
const BYTES: usize = 9;
/// Columns of a line without its bars, including the blanks between them.
const TEXTS: usize = 2 + NAME + 1 + STATE + ROWS + 1 + BYTES + 1;
const LONGEST_BAR: usize = 50;

/// Draws the partitions, and the progress of the job that works on them, if any.
pub(crate) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    (screen, job): (&PartitionsScreen, Option<&Job>),
    ctx: RenderContext<'_>,
) {
    let mut lines = vec![
        summary(screen, job, ctx),
        header(usize::from(area.width), ctx),
    ];
    let rows = usize::from(area.height).saturating_sub(lines.len());
    let largest = Family::ALL.map(|family| largest(&screen.partitions, family));
    let shown = screen.partitions.iter().enumerate();
    for (index, partition) in shown.skip(screen.top).take(rows) {
        let is_selected = index == screen.selected;
        let line = row(
            (partition, is_selected),
            largest[partition.family as usize],
            usize::from(area.width),
            ctx,
        );
        lines.push(if is_selected {
            line.patch_style(ctx.theme.selected)
        } else {
            line
        });
    }
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect::new(area.x, y, area.width, 1));
    }
}

fn summary(screen: &PartitionsScreen, job: Option<&Job>, ctx: RenderContext<'_>) -> Line<'static> {
    if let Some(error) = &screen.error {
        return Line::styled(format!(" {}", text::clean(error)), ctx.theme.bad);
    }
    if let Some((job, JobRequest::Partitions(request))) = job.map(|job| (job, &job.request)) {
        return progress(job, request, ctx);
    }
    if !screen.is_loaded {
        return Line::styled(" Loading…", ctx.theme.dim);
    }
    let orders = screen
        .partitions
        .iter()
        .filter(|of| of.family == Family::Orders);
    let rows: i64 = orders.clone().map(|partition| partition.rows).sum();
    let bytes: i64 = orders.clone().map(size).sum();
    let archived = orders
        .clone()
        .filter(|of| of.state == PartitionState::Archived)
        .count();
    let archived = match archived {
        0 => String::new(),
        count => format!(" · {count} archived"),
    };
    let count = orders.count();
    Line::raw(format!(
        " Orders: {count} partitions · ~{} rows · {}{archived}",
        text::integer(rows),
        text::bytes(bytes)
    ))
}

/// The progress of a job, such as `Archiving orders_2024_03 · 3 of 12`.
fn progress(job: &Job, request: &PartitionsRequest, ctx: RenderContext<'_>) -> Line<'static> {
    let doing = match request.action {
        PartitionAction::Archive => "Archiving",
        PartitionAction::Restore => "Restoring",
        PartitionAction::Delete => "Deleting",
    };
    let total = request.names.len();
    let done = job
        .present()
        .map_or(0, |step| step.done.unsigned_abs() as usize);
    let done = done.min(total.saturating_sub(1));
    let name = request.names.get(done).map_or("", String::as_str);
    let message = format!(" {doing} {} · {} of {total}", text::clean(name), done + 1);
    Line::styled(message, ctx.theme.warn)
}

fn header(width: usize, ctx: RenderContext<'_>) -> Line<'static> {
    let name = name_width(width);
    let mut header = format!(
        "  {:<name$} {:<STATE$}{:>ROWS$} ",
        "Partition", "State", "Rows"
    );
    if let Some(bar) = bar_width(width) {
        header += &" ".repeat(bar + 1);
        header += &format!("{:>BYTES$}", "Size");
    }
    Line::styled(cell::fit(&header, width, Align::Left), ctx.theme.header)
}

fn row(
    (partition, is_selected): (&Partition, bool),
    (most_rows, most_bytes): (i64, i64),
    width: usize,
    ctx: RenderContext<'_>,
) -> Line<'static> {
    let (state, style): (&str, Style) = match partition.state {
        PartitionState::Attached => ("attached", ctx.theme.plain),
        PartitionState::Archived => ("archived", ctx.theme.warn),
        PartitionState::Dropped => ("deleted", ctx.theme.dim),
    };
    let rows = text::integer(partition.rows);
    let name = cell::fit(
        &text::clean(&partition.name),
        name_width(width),
        Align::Left,
    );
    let mut spans = vec![
        Span::raw(format!("{}{name} ", cell::marker(is_selected))),
        Span::styled(format!("{state:<STATE$}"), style),
        Span::raw(format!("{} ", cell::fit(&rows, ROWS, Align::Right))),
    ];
    if let Some(bar) = bar_width(width) {
        let bytes = cell::fit(&text::bytes(size(partition)), BYTES, Align::Right);
        spans.extend([
            Span::styled(
                filled(partition.rows.into(), most_rows.into(), bar),
                ctx.theme.label,
            ),
            Span::raw(format!(" {bytes} ")),
            Span::styled(
                filled(size(partition).into(), most_bytes.into(), bar),
                ctx.theme.good,
            ),
        ]);
    }
    let taken: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    spans.push(Span::raw(" ".repeat(width.saturating_sub(taken))));
    Line::from(spans)
}

const fn name_width(width: usize) -> usize {
    if width < TEXTS { SHORT_NAME } else { NAME }
}

/// The length of the bars; none if there is no room for sizes and bars.
fn bar_width(width: usize) -> Option<usize> {
    let left = width.checked_sub(TEXTS)?;
    Some((left.saturating_sub(2) / 2).min(LONGEST_BAR))
}

fn size(partition: &Partition) -> i64 {
    partition.bytes + partition.index_bytes
}

fn largest(partitions: &[Partition], family: Family) -> (i64, i64) {
    let of_family = partitions
        .iter()
        .filter(|partition| partition.family == family);
    let rows = of_family.clone().map(|partition| partition.rows).max();
    (rows.unwrap_or(0), of_family.map(size).max().unwrap_or(0))
}
