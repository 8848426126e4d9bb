//! The history of a row, as lines of the detail pane.

use ratatui::text::{Line, Span};
use serde_json::Value;
use stockroom_common::change::{HistoryEntry, Op};

use crate::{
    dialogs::form::words_of,
    model::text,
    screens::list::{Past, reference, told},
    view::look::Look,
};

pub(crate) fn lines(past: &Past, width: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default(), Line::styled(" History", look.theme.header)];
    if let Some(error) = &past.error {
        let error = text::clean(error);
        lines.extend(indented(&error, width).map(|line| Line::styled(line, look.theme.bad)));
    }
    let Some(history) = &past.history else {
        if past.error.is_none() {
            lines.push(Line::styled("  loading…", look.theme.dim));
        }
        return lines;
    };
    for entry in &history.items {
        let actor = text::clean(&entry.actor);
        lines.push(Line::from(vec![
            Span::styled(
                format!("  {}  ", text::time(entry.at, look.zone)),
                look.theme.dim,
            ),
            Span::styled(actor.into_owned(), look.theme.bold),
            Span::raw(format!(" {}", verb(entry.op))),
        ]));
        for line in changes(entry, look) {
            lines.extend(indented(&line, width).map(Line::from));
        }
    }
    let end = match (&history.next, history.begins_at) {
        (Some(_), _) => "  … and more before that.".into(),
        (None, Some(at)) => format!("  The log begins at {}.", text::time(at, look.zone)),
        (None, None) if history.items.is_empty() => "  No change is on record.".to_owned(),
        (None, None) => return lines,
    };
    lines.push(Line::styled(end, look.theme.dim));
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

/// `status: pending → paid`
fn changes(entry: &HistoryEntry, look: Look<'_>) -> Vec<String> {
    let arrow = if look.is_plain { "to" } else { "→" };
    let changes = told(entry).map(|change| {
        let name = words_of(&change.pointer);
        if change.before.is_array() || change.after.is_array() {
            let count = |value: &Value| value.as_array().map_or(0, Vec::len);
            let (before, after) = (count(&change.before), count(&change.after));
            return format!("{name}: {before} {arrow} {after}");
        }
        let [before, after] =
            [&change.before, &change.after].map(|value| shown(&change.pointer, value, look));
        format!("{name}: {before} {arrow} {after}")
    });
    changes.collect()
}

/// A value as people read it.
fn shown(pointer: &str, value: &Value, look: Look<'_>) -> String {
    if let Some(reference) = reference(pointer, value) {
        let name = look.names.get(reference.id).unwrap_or("…");
        return text::clean(name).into_owned();
    }
    match value {
        Value::String(words) if words.is_empty() => "(empty)".into(),
        Value::String(words) => text::clean(words).into_owned(),
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
