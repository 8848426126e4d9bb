//! The history of a row, as lines for the detail pane.

use ratatui::text::{Line, Span};
use serde_json::Value;
use stockroom_common::change::{HistoryEntry, Op};

use crate::{
    model::{labels::field_label, text},
    screens::list::history::{RowHistory, reference, shown_changes},
    view::render::RenderContext,
};

pub(crate) fn lines(
    history: &RowHistory,
    width: usize,
    ctx: RenderContext<'_>,
) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default(), Line::styled(" History", ctx.theme.header)];
    if let Some(error) = &history.error {
        let error = text::clean(error);
        lines.extend(indented(&error, width).map(|line| Line::styled(line, ctx.theme.bad)));
    }
    let Some(page) = &history.page else {
        if history.error.is_none() {
            lines.push(Line::styled("  loading…", ctx.theme.dim));
        }
        return lines;
    };
    for entry in &page.items {
        let author = entry.author();
        let actor = text::clean(&author);
        lines.push(Line::from(vec![
            Span::styled(
                format!("  {}  ", text::time(entry.at, ctx.zone)),
                ctx.theme.dim,
            ),
            Span::styled(actor.into_owned(), ctx.theme.bold),
            Span::raw(format!(" {}", verb(entry.op))),
        ]));
        for line in changes(entry, ctx) {
            lines.extend(indented(&line, width).map(Line::from));
        }
    }
    let end = match (&page.next, page.begins_at) {
        (Some(_), _) => "  … and older changes.".into(),
        (None, Some(at)) => format!("  The change log begins at {}.", text::time(at, ctx.zone)),
        (None, None) if page.items.is_empty() => "  No changes are recorded.".to_owned(),
        (None, None) => return lines,
    };
    lines.push(Line::styled(end, ctx.theme.dim));
    lines
}

fn indented(text: &str, width: usize) -> impl Iterator<Item = String> {
    let lines = text::wrap(text, width.saturating_sub(4));
    lines.into_iter().map(|line| format!("    {line}"))
}

const fn verb(op: Op) -> &'static str {
    match op {
        Op::Create => "created it",
        Op::Update => "changed it",
        Op::Delete => "deleted it",
        Op::Seed | Op::Import => "loaded it",
        Op::Archive => "archived it",
        Op::Restore => "restored it",
        Op::Drop => "dropped it",
    }
}

/// The changes of an entry as text, such as `status: pending → paid`. Of arrays only the lengths are shown.
fn changes(entry: &HistoryEntry, ctx: RenderContext<'_>) -> Vec<String> {
    let arrow = if ctx.is_plain { "to" } else { "→" };
    let changes = shown_changes(entry).map(|change| {
        let name = field_label(&change.pointer);
        if change.before.is_array() || change.after.is_array() {
            let count = |value: &Value| value.as_array().map_or(0, Vec::len);
            let (before, after) = (count(&change.before), count(&change.after));
            return format!("{name}: {before} {arrow} {after}");
        }
        let [before, after] =
            [&change.before, &change.after].map(|value| shown(&change.pointer, value, ctx));
        format!("{name}: {before} {arrow} {after}")
    });
    changes.collect()
}

/// A value as text: names instead of ids, and amounts in major units.
fn shown(pointer: &str, value: &Value, ctx: RenderContext<'_>) -> String {
    if let Some(reference) = reference(pointer, value) {
        let name = ctx.names.get(reference.id).unwrap_or("…");
        return text::clean(name).into_owned();
    }
    match value {
        Value::String(value_text) if value_text.is_empty() => "(empty)".into(),
        Value::String(value_text) => text::clean(value_text).into_owned(),
        Value::Number(number) => match number.as_i64() {
            Some(minor) if pointer.ends_with("_minor") => text::money(minor),
            Some(number) => text::integer(number),
            None => number.to_string(),
        },
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "(none)".into(),
        other => text::clean(&other.to_string()).into_owned(),
    }
}
