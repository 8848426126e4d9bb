//! Small things that lie over a screen: a question, a menu, the search line, the help.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use stockroom_common::{document, job::NamedRows};
use uuid::Uuid;

use crate::{
    app::bulk::{Bulk, Outcomes},
    dialogs::{form::Form, import, line::Line, palette::Palette, picker::Picker},
    messages::{
        context::{Context, Views, Wish},
        event::Effect,
    },
    model::entity::Tab,
    screens::{
        jobs::{Begin, Then},
        list::{Deletion, Query},
    },
    settings::keys::{Command, Scope},
};

#[derive(Debug)]
pub enum Overlay {
    Form(Box<Form>),
    Picker(Box<Picker>),
    Menu(Menu),
    Confirm(Confirm),
    Prompt(Prompt),
    Export(Export),
    Import(import::Ask),
    Review(import::Review),
    Outcomes(Outcomes),
    Palette(Palette),
    Help(Help),
}

impl Overlay {
    pub fn scope(&self) -> Scope {
        match self {
            Self::Form(form) if form.shown_conflict().is_some() => Scope::Conflict,
            Self::Form(_) => Scope::Form,
            Self::Picker(_) => Scope::Picker,
            Self::Menu(_) => Scope::Menu,
            Self::Confirm(Confirm { typed: Some(_), .. }) => Scope::Prompt,
            Self::Confirm(_) => Scope::Confirm,
            Self::Prompt(_) => Scope::Prompt,
            Self::Export(_) => Scope::File,
            Self::Import(_) => Scope::ImportFile,
            Self::Review(review) if review.is_preview() => Scope::Review,
            Self::Review(_) => Scope::Report,
            Self::Outcomes(_) => Scope::Report,
            Self::Palette(_) => Scope::Palette,
            Self::Help(_) => Scope::Help,
        }
    }

    /// The line that takes typed text, where there is one.
    pub fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Form(form) => form.line(),
            Self::Picker(picker) => Some(&mut picker.search),
            Self::Prompt(prompt) => Some(&mut prompt.line),
            Self::Export(export) => Some(&mut export.line),
            Self::Import(ask) => Some(&mut ask.line),
            Self::Palette(palette) => Some(&mut palette.line),
            Self::Confirm(confirm) => confirm.typed.as_mut().map(|typed| &mut typed.line),
            Self::Menu(_) | Self::Review(_) | Self::Outcomes(_) | Self::Help(_) => None,
        }
    }

    /// Begins to search with what is typed where a row is to be chosen; false where none is.
    pub fn search(&mut self, first: char, ctx: &mut Context<'_>) -> bool {
        match self {
            Self::Form(form) => form.search(first, ctx),
            _ => false,
        }
    }

    /// Tells that the line has changed.
    pub fn typed(&mut self, ctx: &mut Context<'_>) {
        match self {
            Self::Form(form) => form.typed(),
            Self::Picker(picker) => picker.typed(ctx),
            Self::Palette(palette) => palette.typed(),
            _ => {}
        }
    }

    /// Selects a choice, or takes the one that is selected already.
    pub fn click(&mut self, index: usize, ctx: &mut Context<'_>) {
        let selected = match self {
            Self::Menu(menu) => &mut menu.selected,
            Self::Picker(picker) => &mut picker.selected,
            Self::Palette(palette) => &mut palette.selected,
            _ => return,
        };
        if *selected == index {
            return self.command(Command::Open, ctx);
        }
        *selected = index;
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match self {
            Self::Form(form) => form.command(command, ctx),
            Self::Picker(picker) => picker.command(command, ctx),
            Self::Menu(menu) => menu.command(command, ctx),
            Self::Confirm(confirm) => confirm.command(command, ctx),
            Self::Prompt(prompt) => prompt.command(command, ctx),
            Self::Export(export) => export.command(command, ctx),
            Self::Import(ask) => ask.command(command, ctx),
            Self::Review(review) => review.command(command, ctx),
            Self::Outcomes(outcomes) => outcomes.command(command, ctx),
            Self::Palette(palette) => palette.command(command, ctx),
            Self::Help(help) => help.command(command, ctx),
        }
    }
}

/// A choice among a few lines.
#[derive(Debug)]
pub struct Menu {
    pub title: String,
    pub lines: Vec<(String, Choice)>,
    pub selected: usize,
}

/// What a line of a menu stands for.
#[derive(Clone, Debug)]
pub enum Choice {
    /// In the form of the API's `sort`.
    Sort(String),
    View(Tab, usize, Box<Query>),
    SaveView,
    Bulk(Box<Bulk>),
    /// What is done only after a question.
    Ask(Box<Confirm>),
    ExportRows(Tab, Vec<Uuid>),
}

impl Menu {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.selected = self.selected.saturating_sub(1),
            Command::Down => self.selected = (self.selected + 1).min(self.lines.len() - 1),
            Command::Open => {
                let (_, choice) = self.lines.swap_remove(self.selected);
                ctx.wish(Wish::Close);
                ctx.wish(match choice {
                    Choice::Sort(sort) => Wish::SortBy(sort),
                    Choice::View(_, _, query) => Wish::Views(Views::Show(query)),
                    Choice::SaveView => Wish::Views(Views::AskName),
                    Choice::Bulk(bulk) => Wish::Bulk(bulk),
                    Choice::Ask(question) => Wish::Open(Overlay::Confirm(*question)),
                    Choice::ExportRows(tab, ids) => Wish::ExportRows(tab, ids),
                });
            }
            Command::Delete => {
                if let (_, Choice::View(tab, index, _)) = &self.lines[self.selected] {
                    ctx.wish(Wish::Close);
                    ctx.wish(Wish::Views(Views::Forget(*tab, *index)));
                }
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// A question before something that cannot be taken back.
#[derive(Clone, Debug)]
pub struct Confirm {
    pub question: String,
    /// What will and will not happen.
    pub consequence: String,
    /// What has to be typed for a yes, where a key is pressed too easily.
    pub typed: Option<Typed>,
    pub yes: Consent,
}

/// A line in which a name or a number has to be typed.
#[derive(Clone, Debug)]
pub struct Typed {
    pub wanted: String,
    pub line: Line,
}

impl Typed {
    pub fn new(wanted: impl Into<String>) -> Self {
        Self {
            wanted: wanted.into(),
            line: Line::default(),
        }
    }

    /// Numbers may be grouped, as `100,000`.
    fn is_right(&self) -> bool {
        let typed = self.line.text().trim();
        let is_number = self.wanted.bytes().all(|byte| byte.is_ascii_digit());
        typed == self.wanted
            || (is_number && typed.replace([',', '.', ' ', '_'], "") == self.wanted)
    }
}

/// What a yes does.
#[derive(Clone, Debug)]
pub enum Consent {
    Delete(Box<Deletion>),
    Bulk(Box<Bulk>),
    /// Archives, restores or deletes the partitions that were asked about.
    Partitions,
    /// Leaves a form with what was typed.
    Discard,
    /// Leaves the client with it.
    Quit,
    /// Takes back a creation.
    Undo,
    /// Seeds a shop although people have written rows there.
    Seed,
}

impl Confirm {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let is_yes = match (command, &self.typed) {
            (Command::Open, Some(typed)) if !typed.is_right() => {
                return ctx.bad(format!("Type {} to go on, or press Esc.", typed.wanted));
            }
            (Command::Open, Some(_)) | (Command::Yes, None) => true,
            (Command::Back, Some(_)) | (Command::No, None) => false,
            _ => return,
        };
        ctx.wish(Wish::Close);
        match &self.yes {
            _ if !is_yes => {}
            Consent::Delete(deletion) => ctx.wish(Wish::Delete(deletion.clone())),
            Consent::Bulk(bulk) => ctx.wish(Wish::Bulk(bulk.clone())),
            Consent::Partitions => ctx.wish(Wish::WorkOnPartitions),
            Consent::Discard => ctx.wish(Wish::Close),
            Consent::Undo => ctx.wish(Wish::Undo),
            Consent::Seed => ctx.wish(Wish::SeedAnyway),
            Consent::Quit => ctx.effects.push(Effect::Quit),
        }
    }
}

/// A line that is typed and handed to the list.
#[derive(Debug)]
pub struct Prompt {
    pub title: String,
    pub line: Line,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Search,
    /// To a value of the key that the list is sorted by.
    Goto,
    /// The name of a view.
    SaveView,
    /// The name of the file for the export of a job.
    SaveExport(Uuid),
}

impl Prompt {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                let typed = self.line.text().trim().to_owned();
                ctx.wish(Wish::Close);
                match self.purpose {
                    Purpose::Search => ctx.wish(Wish::SearchFor(typed)),
                    _ if typed.is_empty() => {}
                    Purpose::Goto => ctx.wish(Wish::Goto(typed)),
                    Purpose::SaveView => ctx.wish(Wish::Views(Views::Save(typed))),
                    Purpose::SaveExport(id) => ctx.wish(Wish::SaveExport(id, whole_path(&typed))),
                }
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// The line in which the name of a file is typed, for a list to be written to.
#[derive(Debug)]
pub struct Export {
    /// What is exported: the path and query, without a format.
    pub path: String,
    /// The rows, where they are marked ones.
    pub ids: Option<Vec<Uuid>>,
    pub line: Line,
}

impl Export {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                let file = whole_path(self.line.text());
                let format = match file.rsplit_once('.') {
                    Some((name, "csv")) if !name.is_empty() => "csv",
                    Some((name, "ndjson" | "jsonl")) if !name.is_empty() => "ndjson",
                    _ => return ctx.bad("End the file's name in .csv or .ndjson."),
                };
                let name = Path::new(&file).file_name().unwrap_or_default();
                let pairs = [("format", format), ("name", &name.to_string_lossy())];
                let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
                let ids = self.ids.take();
                ctx.wish(Wish::Close);
                ctx.wish(Wish::Begin(Begin {
                    path: format!("{}{query}", self.path),
                    body: ids.map(|ids| document::to_value(&NamedRows { ids })),
                    then: Then::Save(file),
                }));
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// The name of a file from the root on: where it is written, one may be elsewhere. Terminals write the name of a file
/// that is dropped on them in quotes, with backslashes or as a URL.
pub(crate) fn whole_path(file: &str) -> String {
    let file = &undropped(file.trim());
    let path = match file.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(file),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// The name in what a terminal writes where a file is dropped on it.
fn undropped(typed: &str) -> String {
    // A name that is there is meant as it is.
    if Path::new(typed).exists() {
        return typed.to_owned();
    }
    if let Some(url) = typed.strip_prefix("file://") {
        let path = &url[url.find('/').unwrap_or(0)..];
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
        return decoded.map_or_else(|_| typed.to_owned(), Cow::into_owned);
    }
    for quote in ['\'', '"'] {
        let quoted = typed
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(name) = quoted {
            // How a shell writes a quote within quotes.
            return name.replace("'\\''", "'");
        }
    }
    let mut name = String::new();
    let mut typed = typed.chars();
    while let Some(c) = typed.next() {
        match c {
            '\\' => name.extend(typed.next()),
            c => name.push(c),
        }
    }
    name
}

/// The help, scrolled to a line.
#[derive(Debug)]
pub struct Help {
    pub top: usize,
    /// What stands for what, the keys first.
    pub lines: Vec<(String, &'static str)>,
}

impl Help {
    /// Where the last line stands at the bottom of the box.
    fn last_top(&self, ctx: &Context<'_>) -> usize {
        self.lines.len().saturating_sub(ctx.rows)
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(self.last_top(ctx)),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows),
            Command::PageDown => self.top = (self.top + ctx.rows).min(self.last_top(ctx)),
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_may_be_dropped_on_the_terminal() {
        for dropped in [
            "/tmp/no such/Ada's.csv",
            "'/tmp/no such/Ada'\\''s.csv'",
            "\"/tmp/no such/Ada's.csv\"",
            "/tmp/no\\ such/Ada\\'s.csv ",
            "file:///tmp/no%20such/Ada's.csv",
        ] {
            assert_eq!(whole_path(dropped), "/tmp/no such/Ada's.csv", "{dropped}");
        }
    }
}
