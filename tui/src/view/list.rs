//! The list: what it shows, its columns, its rows, and beside or over them the detail pane.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};

use super::{
    Look,
    cell::{self, Align},
    detail,
};
use crate::{
    entity::{Column, Entity, Width},
    event::Link,
    list::{ListScreen, Lit},
    text,
};

/// From this width on the detail pane stands beside the rows.
const WIDE: u16 = 110;
/// Columns between two columns.
const GAP: usize = 2;
/// Columns before the first: whether the row is selected, and what has become of it.
const MARKS: usize = 2;

pub(super) fn draw<R: Entity>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &ListScreen<R>,
    link: &Link,
    look: Look<'_>,
) {
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    draw_title(frame, title, list, look);
    let Some(details) = list.details() else {
        return draw_table(frame, body, list, link, look);
    };
    let name = list.window.selected().map(R::label).unwrap_or_default();
    let heading = format!("{} {}", R::NAME, text::clean(&name));
    let pane = list.detail.unwrap_or_default();
    if area.width < WIDE {
        return detail::draw(frame, body, &heading, &details, &list.past, pane, look);
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
    draw_table(frame, left, list, link, look);
    detail::draw(frame, right, &heading, &details, &list.past, pane, look);
}

/// What narrows the list on the left, how long it is on the right.
fn draw_title<R: Entity>(frame: &mut Frame<'_>, area: Rect, list: &ListScreen<R>, look: Look<'_>) {
    let mut parts = Vec::new();
    if list.query.only.is_some() {
        parts.push(format!("one {} (Esc: back)", R::NAME));
    }
    for chip in &list.query.chips {
        let name = chip
            .reference
            .and_then(|reference| look.names.get(reference.id));
        let label = name.unwrap_or(&chip.label);
        parts.push(format!("[{}]", text::clean(label)));
    }
    if !list.query.search.is_empty() {
        parts.push(format!("search “{}”", text::clean(&list.query.search)));
    }
    let sort = if list.query.sort.is_empty() {
        R::DEFAULT_SORT
    } else {
        &list.query.sort
    };
    let (key, way) = match (sort.strip_prefix('-'), look.is_plain) {
        (Some(key), false) => (key, "↓"),
        (Some(key), true) => (key, "descending"),
        (None, false) => (sort, "↑"),
        (None, true) => (sort, "ascending"),
    };
    let key = key.replace("_minor", "").replace('_', " ");
    parts.push(format!("by {key} {way}"));
    let is_narrowed = parts.len() > 1;
    if list.live.arrivals > 0 {
        let arrivals = text::integer(list.live.arrivals);
        let key = look.keys.shown("refresh");
        parts.push(format!("{arrivals} new ({key} reads them)"));
    }
    if let Some(before) = list.archived_before {
        parts.push(format!("(archived: some before {})", before.date_naive()));
    }
    let count = format!(" {} ", count(list));
    let room = usize::from(area.width).saturating_sub(text::width(&count));
    let left = cell::fit(&format!(" {}", parts.join("  ")), room, Align::Left);
    let style = if is_narrowed {
        look.theme.warn
    } else {
        look.theme.dim
    };
    let line = Line::from(vec![
        Span::styled(left, style),
        Span::styled(count, look.theme.dim),
    ]);
    frame.render_widget(line, area);
}

/// `12 of ~10,000`: an estimate is marked as one.
fn count<R: Entity>(list: &ListScreen<R>) -> String {
    if list.window.is_empty() {
        return String::new();
    }
    let total = match list.total {
        _ if list.window.is_whole() => text::integer(list.window.len() as i64),
        Some(total) if total.exact => text::integer(total.value),
        Some(total) => format!("~{}", text::integer(total.value)),
        None => "…".into(),
    };
    match list.window.position() {
        Some(position) => format!("{} of {total}", text::integer(position as i64)),
        None => format!("near the end of {total}"),
    }
}

fn draw_table<R: Entity>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &ListScreen<R>,
    link: &Link,
    look: Look<'_>,
) {
    let columns = fit_columns(R::COLUMNS, usize::from(area.width).saturating_sub(MARKS));
    let sample = list.window.rows().next();
    let mut header = " ".repeat(MARKS);
    for (column, width) in &columns {
        let align = sample.map_or(Align::Left, |row| cell::align(&(column.cell)(row)));
        header.push_str(&cell::fit(column.title, *width, align));
        header.push_str(&" ".repeat(GAP));
    }
    let [header_area, rows] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Line::styled(header, look.theme.header), header_area);

    let note = match (&list.error, link) {
        (Some(error), _) => Some((error.clone(), look.theme.bad)),
        (None, Link::Connecting) if list.window.is_empty() => {
            Some(("Waiting for the server…".into(), look.theme.dim))
        }
        (None, _) if !list.window.is_empty() => None,
        (None, Link::Down(_)) => Some(("Nothing was read yet.".into(), look.theme.dim)),
        (None, _) => list.took.map(|_| (empty_words(list), look.theme.dim)),
    };
    if let Some((words, style)) = note {
        let lines = text::wrap(
            &text::clean(&words),
            usize::from(area.width).saturating_sub(4),
        );
        for (line, y) in lines.into_iter().zip(rows.y + 1..rows.bottom()) {
            let at = Rect::new(rows.x + 2, y, rows.width.saturating_sub(2), 1);
            frame.render_widget(Line::styled(line, style), at);
        }
        return;
    }
    let top = list.window.top();
    let visible = list.window.rows().enumerate().skip(top);
    for ((index, row), y) in visible.zip(rows.y..rows.bottom()) {
        let is_selected = index == list.window.selected_index();
        let lit = list.live.lit(row.id().uuid());
        let (mark, style) = match lit {
            Some(Lit::Changed) => ("•", look.theme.fresh),
            Some(Lit::Deleted) => ("✗", look.theme.bad),
            None => (" ", look.theme.plain),
        };
        let mut line = Line::from(Span::raw(if is_selected { "›" } else { " " }));
        line.push_span(Span::styled(mark, style));
        for (column, width) in &columns {
            let value = (column.cell)(row);
            let text = cell::fit(&cell::show(&value, look), *width, cell::align(&value));
            let style = match lit {
                Some(_) => style,
                None => cell::style(&value, look),
            };
            line.push_span(Span::styled(text, style));
            line.push_span(Span::raw(" ".repeat(GAP)));
        }
        let at = Rect::new(rows.x, y, rows.width, 1);
        frame.render_widget(line, at);
        if is_selected {
            frame.buffer_mut().set_style(at, look.theme.selected);
        }
    }
}

fn empty_words<R: Entity>(list: &ListScreen<R>) -> String {
    let query = &list.query;
    if query.only.is_some() {
        return format!("This {} is gone. Esc goes back.", R::NAME);
    }
    if query.search.is_empty() && query.chips.is_empty() {
        return format!(
            "No {} yet: n creates the first, 5 goes to Seed for test data.",
            R::PATH
        );
    }
    format!("No {} match. Esc shows all again.", R::PATH)
}

/// Which columns fit, and how wide each is.
fn fit_columns<R>(columns: &[Column<R>], room: usize) -> Vec<(&Column<R>, usize)> {
    let least = |column: &Column<R>| match column.width {
        Width::Fixed(width) | Width::Fill(width) | Width::Spare(width) => usize::from(width),
    };
    let mut shown: Vec<(&Column<R>, usize)> = columns
        .iter()
        .map(|column| (column, least(column)))
        .collect();
    let needed = |shown: &[(&Column<R>, usize)]| -> usize {
        shown
            .iter()
            .map(|(_, width)| width + GAP)
            .sum::<usize>()
            .saturating_sub(GAP)
    };
    while needed(&shown) > room {
        // The last spare column goes first; without any, what is left shrinks.
        let spare = shown
            .iter()
            .rposition(|(column, _)| matches!(column.width, Width::Spare(_)));
        match spare {
            Some(index) => {
                shown.remove(index);
            }
            None => break,
        }
    }
    let over = needed(&shown).saturating_sub(room);
    let is_fill = |column: &Column<R>| matches!(column.width, Width::Fill(_));
    let fills = shown
        .iter()
        .filter(|(column, _)| is_fill(column))
        .count()
        .max(1);
    let spare = room.saturating_sub(needed(&shown));
    let mut extra = spare % fills;
    for (column, width) in &mut shown {
        if is_fill(column) {
            *width = (*width + spare / fills + extra.min(1)).saturating_sub(over.div_ceil(fills));
            *width = (*width).max(6);
            extra = extra.saturating_sub(1);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use stockroom_common::{Customer, Order, Product};

    fn widths<R: Entity>(room: usize) -> Vec<(&'static str, usize)> {
        let columns = fit_columns(R::COLUMNS, room);
        columns
            .into_iter()
            .map(|(column, width)| (column.title, width))
            .collect()
    }

    #[test]
    fn columns_fill_the_room_exactly() {
        for room in 60..300 {
            for columns in [
                widths::<Customer>(room),
                widths::<Product>(room),
                widths::<Order>(room),
            ] {
                let whole: usize = columns.iter().map(|(_, width)| width + GAP).sum();
                assert!(whole - GAP <= room.max(76), "{room}: {columns:?}");
                assert!(room < 76 || whole - GAP == room, "{room}: {columns:?}");
            }
        }
    }

    #[test]
    fn spare_columns_go_from_the_right() {
        let titles = |room| {
            widths::<Order>(room)
                .into_iter()
                .map(|(title, _)| title)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            titles(79),
            ["Placed", "Number", "Customer", "Status", "Total"]
        );
        assert_eq!(
            titles(84),
            ["Placed", "Number", "Customer", "Status", "Lines", "Total"]
        );
        assert_eq!(titles(200).last(), Some(&"Note"));
    }
}
