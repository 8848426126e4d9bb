//! Draws a list: its title line, its columns and rows, and the detail pane next to the rows or instead of them.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
};

use super::detail;
use crate::{
    messages::event::Link,
    model::{
        entity::{Column, Entity, Width},
        tab::Tab,
        text,
    },
    screens::list::{
        Highlight, ListScreen,
        marks::{CHANGED, DELETED, MARKED, MARKED_AND_CHANGED},
    },
    settings::keys::Keymap,
    view::{
        cell::{self, Align},
        render::RenderContext,
    },
};

/// The least width, in columns, at which the detail pane is next to the rows.
const WIDE: u16 = 110;
/// Terminal columns between two columns of the list.
const GAP: usize = 2;
/// Terminal columns in front of the first: the selection arrow, and the symbol for a marked, changed or deleted row.
const MARKS: usize = 2;
/// Least width of a [`Width::Fill`] column on a narrow terminal.
const MIN_FILL: usize = 6;

pub(crate) fn draw<R: Entity>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &ListScreen<R>,
    link: &Link,
    ctx: RenderContext<'_>,
) {
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    draw_title(frame, title, list, ctx);
    let Some(details) = list.details() else {
        return draw_table(frame, body, list, link, ctx);
    };
    let name = list.window.selected().map(R::label).unwrap_or_default();
    let heading = format!("{} {}", R::NAME, text::clean(&name));
    let pane = list.detail.unwrap_or_default();
    if area.width < WIDE {
        return detail::draw(frame, body, &heading, &details, &list.history, pane, ctx);
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
    draw_table(frame, left, list, link, ctx);
    detail::draw(frame, right, &heading, &details, &list.history, pane, ctx);
}

/// Draws the title line: filters, search and sort on the left, position and total on the right.
fn draw_title<R: Entity>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &ListScreen<R>,
    ctx: RenderContext<'_>,
) {
    let mut parts = Vec::new();
    if list.query.only.is_some() {
        parts.push(format!(
            "one {} ({}: back)",
            R::NAME,
            ctx.keys.shown("back")
        ));
    }
    for chip in &list.query.chips {
        let name = chip
            .reference
            .and_then(|reference| ctx.names.get(reference.id));
        let label = name.unwrap_or(&chip.label);
        parts.push(format!("[{}]", text::clean(label)));
    }
    if !list.query.search.is_empty() {
        parts.push(format!("search “{}”", text::clean(&list.query.search)));
    }
    let sort = list.sort();
    let (key, way) = match (sort.strip_prefix('-'), ctx.is_plain) {
        (Some(key), false) => (key, "↓"),
        (Some(key), true) => (key, "descending"),
        (None, false) => (sort, "↑"),
        (None, true) => (sort, "ascending"),
    };
    let key = key.replace("_minor", "").replace('_', " ");
    parts.push(format!("by {key} {way}"));
    let is_narrowed = parts.len() > 1;
    if !list.marks.is_empty() {
        parts.push(format!("{} marked", text::integer(list.marks.len() as i64)));
    }
    if list.live.arrivals > 0 {
        let arrivals = text::integer(list.live.arrivals);
        let key = ctx.keys.shown("refresh");
        // Only the server knows whether new rows match the filters.
        parts.push(if is_narrowed {
            format!("{arrivals} new in the shop ({key} refreshes)")
        } else {
            format!("{arrivals} new ({key} refreshes)")
        });
    }
    if let Some(before) = list.archived_before {
        parts.push(format!("(archived: some before {})", before.date_naive()));
    }
    let count = format!(" {} ", count(list));
    let room = usize::from(area.width).saturating_sub(text::width(&count));
    let left = cell::fit(&format!(" {}", parts.join("  ")), room, Align::Left);
    let style = if is_narrowed {
        ctx.theme.warn
    } else {
        ctx.theme.dim
    };
    let line = Line::from(vec![
        Span::styled(left, style),
        Span::styled(count, ctx.theme.dim),
    ]);
    frame.render_widget(line, area);
}

/// The position and the total, such as `12 of ~10,000`. A `~` marks an estimate.
fn count<R: Entity>(list: &ListScreen<R>) -> String {
    if list.window.is_empty() || list.error.is_some() {
        return String::new();
    }
    let total = match list.total {
        _ if list.window.is_complete() => text::integer(list.window.len() as i64),
        _ if list.counting.is_some() => "… counting".into(),
        Some(total) if total.exact => text::integer(total.value),
        Some(total) => format!("~{}", text::integer(total.value)),
        None => "…".into(),
    };
    match list.window.position() {
        Some(position) => format!("{} of {total}", text::integer(position as i64)),
        None if list.window.next().is_none() => format!("near the end of {total}"),
        None => format!("somewhere in {total}"),
    }
}

fn draw_table<R: Entity>(
    frame: &mut Frame<'_>,
    area: Rect,
    list: &ListScreen<R>,
    link: &Link,
    ctx: RenderContext<'_>,
) {
    let columns = fit_columns(
        &list.columns.shown::<R>(),
        list.columns.selected(),
        usize::from(area.width).saturating_sub(MARKS),
    );
    let sample = list.window.rows().next();
    let mut header = Line::from(" ".repeat(MARKS));
    for fitted in &columns {
        let align = sample.map_or(Align::Left, |row| cell::align(&(fitted.column.cell)(row)));
        let title = cell::fit(fitted.column.title, fitted.width, align);
        let style = if fitted.is_selected {
            ctx.theme.header.patch(ctx.theme.input)
        } else {
            ctx.theme.header
        };
        header.push_span(Span::styled(title, style));
        header.push_span(Span::raw(" ".repeat(GAP)));
    }
    let [header_area, rows] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(header, header_area);

    let note = match (&list.error, link) {
        (Some(error), _) => Some((error.clone(), ctx.theme.bad)),
        (None, Link::Connecting) if list.window.is_empty() => {
            Some(("Waiting for the server…".into(), ctx.theme.dim))
        }
        (None, _) if !list.window.is_empty() => None,
        (None, Link::Down(_)) => Some(("Nothing is loaded yet.".into(), ctx.theme.dim)),
        (None, _) => list
            .took
            .map(|_| (empty_message(list, ctx.keys), ctx.theme.dim)),
    };
    if let Some((message, style)) = note {
        let lines = text::wrap(
            &text::clean(&message),
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
        let (highlight, is_marked) = (
            list.live.highlight_of(row.id().uuid()),
            list.marks.has(row.id().uuid()),
        );
        let (marker, style) = match (highlight, is_marked) {
            (Some(Highlight::Deleted), _) => (DELETED, ctx.theme.bad),
            (Some(Highlight::Changed), false) => (CHANGED, ctx.theme.fresh),
            (Some(Highlight::Changed), true) => (MARKED_AND_CHANGED, ctx.theme.fresh),
            (None, true) => (MARKED, ctx.theme.bold),
            (None, false) => (" ", ctx.theme.plain),
        };
        let mut line = Line::from(Span::raw(if is_selected { "›" } else { " " }));
        line.push_span(Span::styled(marker, style));
        for fitted in &columns {
            let value = (fitted.column.cell)(row);
            let text = cell::fit(&cell::show(&value, ctx), fitted.width, cell::align(&value));
            let style = match highlight {
                Some(_) => style,
                None => cell::style(&value, ctx),
            };
            line.push_span(Span::styled(text, style));
            line.push_span(Span::raw(" ".repeat(GAP)));
        }
        let at = Rect::new(rows.x, y, rows.width, 1);
        frame.render_widget(line, at);
        if is_selected {
            frame.buffer_mut().set_style(at, ctx.theme.selected);
        }
    }
}

fn empty_message<R: Entity>(list: &ListScreen<R>, keys: &Keymap) -> String {
    let (query, back) = (&list.query, keys.shown("wider"));
    if query.only.is_some() {
        return format!("This {} was deleted. {back} goes back.", R::NAME);
    }
    if query.search.is_empty() && query.chips.is_empty() {
        let (new, jobs) = (keys.shown("new"), keys.shown_of_tab(Tab::Jobs));
        return format!(
            "No {} yet: {new} creates one, {jobs} offers test data.",
            R::PATH
        );
    }
    format!("No {} match. {back} shows all rows.", R::PATH)
}

/// A column with its width on the screen.
struct Fitted<R: 'static> {
    column: &'static Column<R>,
    width: usize,
    kind: Width,
    is_selected: bool,
}

/// Selects the columns that fit, with their widths. The selected column is always among them.
fn fit_columns<R>(
    columns: &[(&'static Column<R>, Width)],
    selected: usize,
    room: usize,
) -> Vec<Fitted<R>> {
    let fitted = columns
        .iter()
        .enumerate()
        .map(|(index, (column, kind))| Fitted {
            column: *column,
            width: usize::from(kind.least()),
            kind: *kind,
            is_selected: index == selected,
        });
    let mut shown: Vec<Fitted<R>> = fitted.collect();
    let needed = |shown: &[Fitted<R>]| -> usize {
        let widths = shown.iter().map(|fitted| fitted.width + GAP);
        widths.sum::<usize>().saturating_sub(GAP)
    };
    // Removes spare columns, the last one first. If there are none left, the fill columns shrink.
    while needed(&shown) > room {
        let is_spare = |fitted: &Fitted<R>| matches!(fitted.kind, Width::Spare(_));
        let spare = shown
            .iter()
            .rposition(|fitted| is_spare(fitted) && !fitted.is_selected);
        match spare {
            Some(index) => shown.remove(index),
            None => break,
        };
    }
    let is_fill = |fitted: &Fitted<R>| matches!(fitted.kind, Width::Fill(_));
    let fills = shown.iter().filter(|fitted| is_fill(fitted)).count().max(1);
    let over = needed(&shown).saturating_sub(room);
    let spare = room.saturating_sub(needed(&shown));
    let mut extra = spare % fills;
    for fitted in shown.iter_mut().filter(|fitted| is_fill(fitted)) {
        let wanted = fitted.width + spare / fills + extra.min(1);
        fitted.width = wanted.saturating_sub(over.div_ceil(fills)).max(MIN_FILL);
        extra = extra.saturating_sub(1);
    }
    // If that is not enough, removes columns between the first and the last, which show what a row is and its amount.
    // Columns are removed, not cut, because part of a number would read as another number.
    while needed(&shown) > room && shown.len() > 1 {
        let last = shown.len() - 1;
        let inner = (1..last).rev().find(|index| !shown[*index].is_selected);
        let outer = shown.iter().rposition(|fitted| !fitted.is_selected);
        shown.remove(inner.or(outer).unwrap_or(last));
    }
    let spare = room.saturating_sub(needed(&shown));
    if let Some(fitted) = shown.iter_mut().find(|fitted| is_fill(fitted)) {
        fitted.width += spare;
    }
    shown
}

#[cfg(test)]
mod tests {
    use stockroom_common::{Customer, Order, Product};

    use super::*;
    use crate::screens::list::Columns;

    fn widths<R: Entity>(room: usize) -> Vec<(&'static str, usize)> {
        let columns = Columns::of::<R>().shown::<R>();
        fit_columns(&columns, 0, room)
            .into_iter()
            .map(|fitted| (fitted.column.title, fitted.width))
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
    fn the_selected_column_is_in_sight() {
        let columns = Columns::of::<Order>().shown::<Order>();
        for (selected, (column, _)) in columns.iter().enumerate() {
            for room in [30, 38, 78, 120] {
                let fitted = fit_columns(&columns, selected, room);
                let index = fitted.iter().position(|fitted| fitted.is_selected).unwrap();
                assert_eq!(fitted[index].column.title, column.title);
                let before = fitted[..=index].iter().map(|fitted| fitted.width + GAP);
                assert!(
                    before.sum::<usize>() - GAP <= room.max(30),
                    "{} in {room}",
                    column.title
                );
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
