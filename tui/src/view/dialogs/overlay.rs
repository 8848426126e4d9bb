//! The small things over a screen.

use ratatui::{
    Frame,
    layout::{Margin, Rect},
    text::{Line, Span},
    widgets::{Block, Clear},
};

use super::palette;
use crate::{
    app::bulk::Outcomes,
    dialogs::{
        overlay::{Confirm, Export, Help, Menu, Overlay, Prompt},
        picker::Picker,
    },
    model::text,
    view::{
        cell::{self, Align},
        look::Look,
    },
};

/// Columns and rows of the picker, and the rows of a search line and what is said below it.
const PICKER: (u16, u16) = (92, 18);
pub(crate) const SEARCH_ROWS: u16 = 2;
/// Columns that what is typed keeps, whatever stands beside it.
const LEAST_TYPED: usize = 16;

/// Clears a box of that size in the middle of the body and gives its inside.
pub(crate) fn open(
    frame: &mut Frame<'_>,
    body: Rect,
    width: u16,
    height: u16,
    title: &str,
    look: Look<'_>,
) -> Rect {
    let area = middle(body, width, height);
    let block = Block::bordered()
        .title(format!(" {title} "))
        .border_style(look.theme.label);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inside(area)
}

/// A box of that size in the middle of the body, or as much of it as has room.
fn middle(body: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(body.width), height.min(body.height));
    Rect::new(
        body.x + (body.width - width) / 2,
        body.y + (body.height - height) / 2,
        width,
        height,
    )
}

/// What a box has room for, within its frame.
fn inside(area: Rect) -> Rect {
    area.inner(Margin::new(2, 1))
}

/// Which of the choices of an overlay stands at that column and row of the screen.
pub(crate) fn choice_at(overlay: &Overlay, body: Rect, at: (u16, u16)) -> Option<usize> {
    let (size, above, selected, count) = match overlay {
        Overlay::Menu(menu) => (menu_size(menu), 0, menu.selected, menu.lines.len()),
        Overlay::Picker(picker) => (PICKER, SEARCH_ROWS, picker.selected, picker.choices.len()),
        Overlay::Palette(palette) => (
            palette::SIZE,
            SEARCH_ROWS,
            palette.selected,
            palette.shown.len(),
        ),
        _ => return None,
    };
    let mut rows = inside(middle(body, size.0, size.1));
    rows.y += above;
    rows.height = rows.height.saturating_sub(above);
    if !rows.contains(at.into()) {
        return None;
    }
    let index = first_shown(selected, usize::from(rows.height)) + usize::from(at.1 - rows.y);
    (index < count).then_some(index)
}

/// The first of the choices that has room where so many have.
pub(crate) const fn first_shown(selected: usize, rows: usize) -> usize {
    (selected + 1).saturating_sub(rows)
}

fn menu_size(menu: &Menu) -> (u16, u16) {
    (30, menu.lines.len() as u16 + 2)
}

pub(crate) fn line_at(frame: &mut Frame<'_>, area: Rect, row: usize, line: Line<'_>) {
    if row < usize::from(area.height) {
        frame.render_widget(line, Rect::new(area.x, area.y + row as u16, area.width, 1));
    }
}

pub(crate) fn draw_picker(frame: &mut Frame<'_>, body: Rect, picker: &Picker, look: Look<'_>) {
    let title = format!("Choose from {}", picker.tab.path());
    let inner = open(frame, body, PICKER.0, PICKER.1, &title, look);
    let width = usize::from(inner.width);
    let prompt = "Search: ";
    let (typed, column) = picker.search.view(width.saturating_sub(prompt.len()));
    frame.set_cursor_position((inner.x + (prompt.len() + column) as u16, inner.y));
    let search = vec![Span::styled(prompt, look.theme.label), Span::raw(typed)];
    line_at(frame, inner, 0, Line::from(search));
    let height = usize::from(inner.height.saturating_sub(SEARCH_ROWS));
    let note = match &picker.error {
        Some(error) => Some((text::clean(error).into_owned(), look.theme.bad)),
        None if !picker.choices.is_empty() => None,
        None if picker.is_loading() => Some(("loading…".into(), look.theme.dim)),
        None => Some(("Nothing matches; Esc goes back.".into(), look.theme.dim)),
    };
    if let Some((words, style)) = note {
        return line_at(frame, inner, 2, Line::styled(words, style));
    }
    if picker.is_alike {
        let words = "Nothing is called so. Somewhat alike:";
        line_at(frame, inner, 1, Line::styled(words, look.theme.warn));
    }
    let top = first_shown(picker.selected, height);
    for (row, (index, choice)) in picker
        .choices
        .iter()
        .enumerate()
        .skip(top)
        .take(height)
        .enumerate()
    {
        let mark = if index == picker.selected {
            "› "
        } else {
            "  "
        };
        let half = width * 11 / 20;
        let name = cell::fit(
            &format!("{mark}{}", text::clean(&choice.label)),
            half - 1,
            Align::Left,
        );
        let note = cell::fit(
            &format!(" {}", text::clean(&choice.note)),
            width + 1 - half,
            Align::Left,
        );
        let style = if index == picker.selected {
            look.theme.selected
        } else {
            look.theme.plain
        };
        let spans = vec![
            Span::styled(name, style),
            Span::styled(note, style.patch(look.theme.dim)),
        ];
        line_at(frame, inner, row + 2, Line::from(spans));
    }
}

pub(crate) fn draw_menu(frame: &mut Frame<'_>, body: Rect, menu: &Menu, look: Look<'_>) {
    let (width, height) = menu_size(menu);
    let inner = open(frame, body, width, height, &menu.title, look);
    let top = first_shown(menu.selected, usize::from(inner.height));
    for (row, (index, (words, _))) in menu.lines.iter().enumerate().skip(top).enumerate() {
        let is_selected = index == menu.selected;
        let mark = if is_selected { "› " } else { "  " };
        let words = cell::fit(
            &format!("{mark}{words}"),
            usize::from(inner.width),
            Align::Left,
        );
        let style = if is_selected {
            look.theme.selected
        } else {
            look.theme.plain
        };
        line_at(frame, inner, row, Line::styled(words, style));
    }
}

pub(crate) fn draw_confirm(frame: &mut Frame<'_>, body: Rect, confirm: &Confirm, look: Look<'_>) {
    let width = 60.min(body.width.saturating_sub(2));
    let room = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in text::wrap(&confirm.question, room) {
        lines.push(Line::styled(line, look.theme.bold));
    }
    for line in text::wrap(&confirm.consequence, room) {
        lines.push(Line::raw(line));
    }
    lines.push(Line::default());
    let mut cursor = 0;
    match &confirm.typed {
        Some(typed) => {
            let prompt = format!("Type {}: ", typed.wanted);
            let (shown, column) = typed.line.view(room.saturating_sub(text::width(&prompt)));
            cursor = text::width(&prompt) + column;
            lines.push(Line::from(vec![
                Span::styled(prompt, look.theme.bold),
                Span::raw(shown),
            ]));
        }
        None => lines.push(Line::from(vec![
            Span::styled(look.keys.shown("yes"), look.theme.bold),
            Span::raw(" yes   "),
            Span::styled(look.keys.shown("no"), look.theme.bold),
            Span::raw(" no"),
        ])),
    }
    let inner = open(
        frame,
        body,
        width,
        lines.len() as u16 + 2,
        "Are you sure?",
        look,
    );
    if confirm.typed.is_some() {
        let row = (lines.len() as u16).saturating_sub(1);
        frame.set_cursor_position((inner.x + cursor as u16, inner.y + row));
    }
    for (row, line) in lines.into_iter().enumerate() {
        line_at(frame, inner, row, line);
    }
}

pub(crate) fn draw_prompt(frame: &mut Frame<'_>, area: Rect, prompt: &Prompt, look: Look<'_>) {
    draw_line(
        frame,
        area,
        format!(" {}: ", prompt.title),
        &prompt.line,
        ("prompt-go", look),
    );
}

pub(crate) fn draw_export(frame: &mut Frame<'_>, area: Rect, export: &Export, look: Look<'_>) {
    draw_line(
        frame,
        area,
        " Export to (.csv or .ndjson): ".into(),
        &export.line,
        ("export-go", look),
    );
}

/// A line that is typed, over the hints: what ends it stands at its end.
pub(crate) fn draw_line(
    frame: &mut Frame<'_>,
    area: Rect,
    prompt: String,
    line: &crate::dialogs::line::Line,
    (go, look): (&str, Look<'_>),
) {
    let (enter, esc) = (look.keys.shown(go), look.keys.shown("back"));
    let ends = [(enter, " go "), (esc, " back ")];
    let ends_width: usize = ends
        .iter()
        .map(|(key, words)| text::width(key) + words.len() + 1)
        .sum();
    let start = text::width(&prompt);
    let has_room = usize::from(area.width) > start + ends_width + LEAST_TYPED;
    let room = usize::from(area.width) - if has_room { ends_width } else { 0 };
    let (typed, column) = line.view(room.saturating_sub(start));
    frame.render_widget(Clear, area);
    let rest = room.saturating_sub(start + text::width(&typed));
    let style = match line.is_selected() {
        true => look.theme.selected,
        false => look.theme.plain,
    };
    let mut spans = vec![
        Span::styled(prompt, look.theme.label),
        Span::styled(typed, style),
        Span::raw(" ".repeat(rest)),
    ];
    if has_room {
        for (key, words) in ends {
            spans.push(Span::styled(format!(" {key}"), look.theme.bold));
            spans.push(Span::styled(words, look.theme.dim));
        }
    }
    frame.render_widget(Line::from(spans), area);
    frame.set_cursor_position((area.x + (start + column) as u16, area.y));
}

pub(crate) fn draw_help(frame: &mut Frame<'_>, body: Rect, help: &Help, look: Look<'_>) {
    let widths = help.lines.iter().map(|(keys, _)| text::width(keys));
    let keys_width = widths.max().unwrap_or_default().clamp(13, 24) + 1;
    let line = |(keys, words): &(String, &'static str)| {
        Line::from(vec![
            Span::styled(cell::fit(keys, keys_width, Align::Left), look.theme.bold),
            Span::raw(*words),
        ])
    };
    let lines: Vec<Line<'_>> = help.lines.iter().map(line).collect();
    let shown = usize::from(body.height.saturating_sub(2)).min(lines.len());
    let top = help.top.min(lines.len() - shown);
    let title = match shown < lines.len() {
        true => format!("Keys {}–{} of {}", top + 1, top + shown, lines.len()),
        false => "Keys".into(),
    };
    let inner = open(frame, body, 78, lines.len() as u16 + 2, &title, look);
    for (row, line) in lines.into_iter().skip(top).enumerate() {
        line_at(frame, inner, row, line);
    }
}

/// What a call has not done, row by row.
pub(crate) fn draw_outcomes(
    frame: &mut Frame<'_>,
    body: Rect,
    outcomes: &Outcomes,
    look: Look<'_>,
) {
    let width = 100.min(body.width);
    let room = usize::from(width).saturating_sub(4);
    let label_width = room / 4;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (label, reason) in outcomes.refused.iter().skip(outcomes.top) {
        let reasons = text::wrap(reason, room.saturating_sub(label_width + 2));
        for (index, reason) in reasons.into_iter().enumerate() {
            let label = if index == 0 { label.as_str() } else { "" };
            lines.push(Line::from(vec![
                Span::styled(cell::fit(label, label_width, Align::Left), look.theme.bold),
                Span::raw("  "),
                Span::styled(reason, look.theme.bad),
            ]));
        }
    }
    let height = (lines.len() as u16).saturating_add(4);
    let inner = open(frame, body, width, height, &outcomes.title, look);
    let shown = usize::from(inner.height).saturating_sub(2);
    let close = look.keys.shown("report-close");
    let note = match lines.len() > shown {
        true => format!("{close} closes this. More below."),
        false => format!("{close} closes this."),
    };
    for (row, line) in lines.into_iter().take(shown).enumerate() {
        line_at(frame, inner, row, line);
    }
    let last = usize::from(inner.height).saturating_sub(1);
    line_at(frame, inner, last, Line::styled(note, look.theme.label));
}
