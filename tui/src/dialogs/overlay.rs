//! The dialogs over a screen: forms, confirmations, menus, prompts, the help.

use std::time::Instant;

use crate::{
    dialogs::{
        confirm::ConfirmDialog,
        export::ExportPrompt,
        form::Form,
        help::Help,
        import::{ImportPrompt, ImportReview},
        line::Line,
        outcome::BulkOutcome,
        palette::Palette,
        picker::Picker,
        prompt::Prompt,
    },
    messages::{
        context::Context,
        request::{Dialog, Menu},
    },
    model::text::Zone,
    settings::keys::{Command, Scope},
};

#[derive(Debug)]
pub enum Overlay {
    Form(Box<Form>),
    Picker(Box<Picker>),
    Menu(Menu),
    Confirm(ConfirmDialog),
    Prompt(Prompt),
    Export(ExportPrompt),
    Import(ImportPrompt),
    ImportReview(ImportReview),
    BulkOutcome(BulkOutcome),
    Palette(Palette),
    Help(Help),
}

impl Overlay {
    pub fn new(dialog: Dialog, zone: Zone, now: Instant) -> Self {
        match dialog {
            Dialog::Form(spec) => Self::Form(Box::new(Form::new(spec, zone))),
            Dialog::Picker {
                tab,
                filter,
                search,
            } => Self::Picker(Box::new(Picker::new(tab, filter, &search, now))),
            Dialog::Menu(menu) => Self::Menu(menu),
            Dialog::Confirm(confirm) => Self::Confirm(ConfirmDialog::new(confirm)),
            Dialog::Prompt {
                title,
                text,
                purpose,
            } => Self::Prompt(Prompt::new(title, text, purpose)),
            Dialog::Export { path, ids, file } => Self::Export(ExportPrompt::new(path, ids, file)),
            Dialog::Import { resource } => Self::Import(ImportPrompt::new(resource)),
            Dialog::ImportReview(job) => Self::ImportReview(ImportReview::new(job)),
            Dialog::BulkOutcome { title, refused } => {
                Self::BulkOutcome(BulkOutcome::new(title, refused))
            }
        }
    }

    pub fn scope(&self) -> Scope {
        match self {
            Self::Form(form) if form.shown_conflict().is_some() => Scope::Conflict,
            Self::Form(_) => Scope::Form,
            Self::Picker(_) => Scope::Picker,
            Self::Menu(_) => Scope::Menu,
            Self::Confirm(confirm) if confirm.typed.is_some() => Scope::Prompt,
            Self::Confirm(_) => Scope::Confirm,
            Self::Prompt(_) => Scope::Prompt,
            Self::Export(_) => Scope::File,
            Self::Import(_) => Scope::ImportFile,
            Self::ImportReview(review) if review.is_preview() => Scope::Review,
            Self::ImportReview(_) | Self::BulkOutcome(_) => Scope::Report,
            Self::Palette(_) => Scope::Palette,
            Self::Help(_) => Scope::Help,
        }
    }

    /// The line that takes typed text, if the dialog has one.
    pub fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Form(form) => form.line(),
            Self::Picker(picker) => Some(&mut picker.search),
            Self::Prompt(prompt) => Some(&mut prompt.line),
            Self::Export(export) => Some(&mut export.line),
            Self::Import(import) => Some(&mut import.line),
            Self::Palette(palette) => Some(&mut palette.line),
            Self::Confirm(confirm) => confirm.typed.as_mut().map(|typed| &mut typed.line),
            Self::Menu(_) | Self::ImportReview(_) | Self::BulkOutcome(_) | Self::Help(_) => None,
        }
    }

    /// Opens a picker for the focused field, with the typed character as the search. False if the field does not refer
    /// to a row.
    pub fn search(&mut self, first: char, ctx: &mut Context<'_>) -> bool {
        match self {
            Self::Form(form) => form.search(first, ctx),
            _ => false,
        }
    }

    /// Handles a change of the text line.
    pub fn typed(&mut self, ctx: &mut Context<'_>) {
        match self {
            Self::Form(form) => form.typed(),
            Self::Picker(picker) => picker.typed(ctx),
            Self::Palette(palette) => palette.typed(),
            _ => {}
        }
    }

    /// Handles a click on an item: selects it, or opens it if it is already selected.
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
            Self::Menu(menu) => super::menu::command(menu, command, ctx),
            Self::Confirm(confirm) => confirm.command(command, ctx),
            Self::Prompt(prompt) => prompt.command(command, ctx),
            Self::Export(export) => export.command(command, ctx),
            Self::Import(import) => import.command(command, ctx),
            Self::ImportReview(review) => review.command(command, ctx),
            Self::BulkOutcome(outcome) => outcome.command(command, ctx),
            Self::Palette(palette) => palette.command(command, ctx),
            Self::Help(help) => help.command(command, ctx),
        }
    }
}
