//! What a file of rows would do, or has done.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use stockroom_common::{
    bulk::ImportRow,
    job::{JobRequest, JobState},
};

use super::overlay::{draw_line, line_at, open};
use crate::{
    dialogs::import::{Ask, Review},
    model::text,
    view::{
        cell::{self, Align},
        look::Look,
    },
};

pub(crate) fn draw_ask(frame: &mut Frame<'_>, area: Rect, ask: &Ask, look: Look<'_>) {
    let prompt = format!(" Import {} from (.csv, .ndjson): ", ask.resource);
    draw_line(frame, area, prompt, &ask.line, ("import-look", look));
}

pub(crate) fn draw_review(frame: &mut Frame<'_>, body: Rect, review: &Review, look: Look<'_>) {
    let JobRequest::Import(import) = &review.job.request else {
        return;
    };
    let report = review.job.report.clone().unwrap_or_default();
    let name = import.name.as_ref().unwrap_or(&import.resource);
    let name = text::clean(name).into_owned();
    let resource = text::clean(&import.resource);
    let title = match (review.is_preview(), review.job.state) {
        (true, _) => format!("Import {resource}?"),
        // The file of one that was only tried is not kept for ever.
        (false, _) if import.dry_run => format!("What an import of {resource} would do"),
        (false, JobState::Done) => format!("Imported {resource}"),
        (false, _) => format!("Imported some {resource}"),
    };
    let refused = report.refused.len();
    // Beside the rows: borders, the name, the counts, the note, and a line of air around them.
    let height = (refused as u16).saturating_add(7);
    let inner = open(frame, body, 100.min(body.width), height, &title, look);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = vec![Line::styled(
        cell::fit(&name, width, Align::Left),
        look.theme.bold,
    )];
    let counts = [
        ("new", report.created, look.theme.good),
        ("changed", report.updated, look.theme.good),
        ("as they are", report.unchanged, look.theme.plain),
        ("refused", report.failed, look.theme.bad),
    ];
    let mut spans = Vec::new();
    for (what, rows, style) in counts {
        let style = if rows > 0 { style } else { look.theme.dim };
        spans.push(Span::styled(
            format!("{} {what}   ", text::integer(rows as i64)),
            style,
        ));
    }
    lines.push(Line::from(spans));
    lines.push(Line::default());
    let shown = height.saturating_sub(5);
    for row in report.refused.iter().skip(review.top).take(shown) {
        lines.push(refused_line(row, width, look));
    }
    for (row, line) in lines.into_iter().enumerate() {
        line_at(frame, inner, row, line);
    }
    let more = report.failed as usize > review.top + shown;
    let note = match (review.is_preview(), review.changes()) {
        (true, 0) if refused == 0 => "All of it is there already.".to_owned(),
        (true, 0) if report.unchanged > 0 => "All else is there already.".into(),
        (true, 0) => "Nothing of it can be written.".into(),
        (true, _) if refused > 0 => "y writes the others; Esc leaves all as it is.".into(),
        (true, _) => "y writes them; Esc leaves all as it is.".into(),
        (false, _) => "Enter closes this.".into(),
    };
    let note = match more {
        true => format!("{note} More below: ↓."),
        false => note,
    };
    line_at(
        frame,
        inner,
        height.saturating_sub(1),
        Line::styled(note, look.theme.label),
    );
}

fn refused_line(row: &ImportRow, width: usize, look: Look<'_>) -> Line<'static> {
    let problem = row.row.problem.as_ref();
    let fault = problem.and_then(|problem| problem.errors.first());
    let words = match fault {
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
    let words = cell::fit(&text::clean(&words), room, Align::Left);
    Line::from(vec![Span::styled(line, look.theme.dim), Span::raw(words)])
}
