//! Draws the review of an import: what the file would do, or has done.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use stockroom_common::{
    bulk::ImportRow,
    job::{JobRequest, JobState},
};

use super::panel::{line_at, open};
use crate::{
    dialogs::import::ImportReview,
    model::text,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

pub(crate) fn draw(
    frame: &mut Frame<'_>,
    body: Rect,
    review: &ImportReview,
    ctx: RenderContext<'_>,
) {
    let JobRequest::Import(import) = &review.job.request else {
        return;
    };
    let report = review.job.report.clone().unwrap_or_default();
    let name = import.name.as_ref().unwrap_or(&import.resource);
    let name = text::clean(name).into_owned();
    let resource = text::clean(&import.resource);
    let title = match (review.is_preview(), review.job.state) {
        (true, _) => format!("Import {resource}?"),
        // A dry run that can no longer be applied: the server has deleted its file.
        (false, _) if import.dry_run => format!("Preview of an import of {resource}"),
        (false, JobState::Done) => format!("Imported {resource}"),
        (false, _) => format!("Imported part of {resource}"),
    };
    let refused = report.refused.len();
    // Besides the rows: two borders, the name, the counts, the note, and a blank line above and below the rows.
    let height = (refused as u16).saturating_add(7);
    let inner = open(frame, body, 100.min(body.width), height, &title, ctx);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = vec![Line::styled(
        cell::fit(&name, width, Align::Left),
        ctx.theme.bold,
    )];
    let counts = [
        ("new", report.created, ctx.theme.good),
        ("changed", report.updated, ctx.theme.good),
        ("unchanged", report.unchanged, ctx.theme.plain),
        ("refused", report.failed, ctx.theme.bad),
    ];
    let mut spans = Vec::new();
    for (what, rows, style) in counts {
        let style = if rows > 0 { style } else { ctx.theme.dim };
        spans.push(Span::styled(
            format!("{} {what}   ", text::integer(rows as i64)),
            style,
        ));
    }
    lines.push(Line::from(spans));
    lines.push(Line::default());
    let shown = height.saturating_sub(5);
    for row in report.refused.iter().skip(review.top).take(shown) {
        lines.push(refused_line(row, width, ctx));
    }
    for (row, line) in lines.into_iter().enumerate() {
        line_at(frame, inner, row, line);
    }
    let more = report.failed as usize > review.top + shown;
    let (go, back) = (ctx.keys.shown("import-go"), ctx.keys.shown("back"));
    let note = match (review.is_preview(), review.changes()) {
        (true, 0) if refused == 0 => "All rows exist already.".to_owned(),
        (true, 0) if report.unchanged > 0 => "All other rows exist already.".into(),
        (true, 0) => "No row can be imported.".into(),
        (true, _) if refused > 0 => format!("{go} imports the others; {back} cancels."),
        (true, _) => format!("{go} imports them; {back} cancels."),
        (false, _) => format!("{back} closes this."),
    };
    let note = if more {
        format!("{note} More below: ↓.")
    } else {
        note
    };
    line_at(
        frame,
        inner,
        height.saturating_sub(1),
        Line::styled(note, ctx.theme.label),
    );
}

fn refused_line(row: &ImportRow, width: usize, ctx: RenderContext<'_>) -> Line<'static> {
    let problem = row.row.problem.as_ref();
    let fault = problem.and_then(|problem| problem.errors.first());
    let fault_text = match fault {
        Some(fault) if !fault.pointer.is_empty() => {
            format!(
                "{}: {}",
                fault.pointer.trim_start_matches('/'),
                fault.message
            )
        }
        Some(fault) => fault.message.clone(),
        None => problem
            .map(|problem| problem.detail.clone())
            .unwrap_or_default(),
    };
    let line = format!("line {:<6} ", row.line);
    let room = width.saturating_sub(line.len());
    let fault_text = cell::fit(&text::clean(&fault_text), room, Align::Left);
    Line::from(vec![
        Span::styled(line, ctx.theme.dim),
        Span::raw(fault_text),
    ])
}
