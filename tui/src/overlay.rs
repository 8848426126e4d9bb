//! Small things that lie over a screen: a question, a menu, the search line, the help.

use crate::{
    context::{Context, Wish},
    event::Owner,
    form::Form,
    import,
    input::Line,
    keys::{Command, Scope},
    list::Deletion,
    palette::Palette,
    picker::Picker,
};

#[derive(Debug)]
pub enum Overlay {
    Form(Box<Form>),
    Picker(Box<Picker>),
    Menu(Menu),
    Confirm(Confirm),
    Search(Search),
    Export(Export),
    Import(import::Ask),
    Review(import::Review),
    Palette(Palette),
    Help(Help),
}

impl Overlay {
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Form(form) if form.conflict.is_some() => Scope::Conflict,
            Self::Form(_) => Scope::Form,
            Self::Picker(_) => Scope::Picker,
            Self::Menu(_) => Scope::Menu,
            Self::Confirm(_) => Scope::Confirm,
            Self::Search(_) => Scope::Search,
            Self::Export(_) => Scope::File,
            Self::Import(_) => Scope::ImportFile,
            Self::Review(review) if review.is_preview() => Scope::Review,
            Self::Review(_) => Scope::Report,
            Self::Palette(_) => Scope::Palette,
            Self::Help(_) => Scope::Help,
        }
    }

    /// The line that takes typed text, where there is one.
    pub fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Form(form) => form.line(),
            Self::Picker(picker) => Some(&mut picker.search),
            Self::Search(search) => Some(&mut search.line),
            Self::Export(export) => Some(&mut export.line),
            Self::Import(ask) => Some(&mut ask.line),
            Self::Palette(palette) => Some(&mut palette.line),
            Self::Menu(_) | Self::Confirm(_) | Self::Review(_) | Self::Help(_) => None,
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

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match self {
            Self::Form(form) => form.command(command, ctx),
            Self::Picker(picker) => picker.command(command, ctx),
            Self::Menu(menu) => menu.command(command, ctx),
            Self::Confirm(confirm) => confirm.command(command, ctx),
            Self::Search(search) => search.command(command, ctx),
            Self::Export(export) => export.command(command, ctx),
            Self::Import(ask) => ask.command(command, ctx),
            Self::Review(review) => review.command(command, ctx),
            Self::Palette(palette) => palette.command(command, ctx),
            Self::Help(help) => help.command(command, ctx),
        }
    }
}

/// A choice among a few lines: how to sort.
#[derive(Debug)]
pub struct Menu {
    pub title: String,
    /// What is shown, and the sort that it stands for.
    pub lines: Vec<(String, String)>,
    pub selected: usize,
}

impl Menu {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.selected = self.selected.saturating_sub(1),
            Command::Down => self.selected = (self.selected + 1).min(self.lines.len() - 1),
            Command::Open => {
                let (_, sort) = self.lines[self.selected].clone();
                ctx.wish(Wish::Close);
                ctx.wish(Wish::SortBy(sort));
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// A question before something that cannot be taken back.
#[derive(Debug)]
pub struct Confirm {
    pub question: String,
    /// What will and will not happen.
    pub consequence: String,
    pub yes: Consent,
}

/// What a yes does.
#[derive(Clone, Debug)]
pub enum Consent {
    Delete(Box<Deletion>),
    /// Archives, restores or deletes the partitions that were asked about.
    Partitions,
    /// Leaves a form with what was typed.
    Discard,
}

impl Confirm {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        if command != Command::Yes && command != Command::No {
            return;
        }
        ctx.wish(Wish::Close);
        match &self.yes {
            _ if command == Command::No => {}
            Consent::Delete(deletion) => ctx.wish(Wish::Delete(deletion.clone())),
            Consent::Partitions => ctx.wish(Wish::WorkOnPartitions),
            Consent::Discard => ctx.wish(Wish::Close),
        }
    }
}

/// The line in which a search is typed.
#[derive(Debug)]
pub struct Search {
    /// What the server searches.
    pub subject: &'static str,
    pub line: Line,
}

impl Search {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                ctx.wish(Wish::Close);
                ctx.wish(Wish::SearchFor(self.line.text().trim().to_owned()));
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
    pub line: Line,
}

impl Export {
    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                let file = self.line.text().trim().to_owned();
                let format = match file.rsplit_once('.') {
                    Some((name, "csv")) if !name.is_empty() => "csv",
                    Some((name, "ndjson" | "jsonl")) if !name.is_empty() => "ndjson",
                    _ => return ctx.bad("End the file's name in .csv or .ndjson."),
                };
                let path = format!("{}format={format}", self.path);
                ctx.wish(Wish::Close);
                ctx.good("Exporting; you may go on meanwhile.");
                ctx.download(Owner::Export, path, file);
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// The help, scrolled to a line.
#[derive(Debug)]
pub struct Help {
    pub scope: Scope,
    pub top: usize,
    /// How many lines it has.
    pub lines: usize,
}

impl Help {
    /// Where the last line stands at the bottom of the box.
    fn last_top(&self, ctx: &Context<'_>) -> usize {
        self.lines.saturating_sub(ctx.rows)
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
