//! A one-line prompt: for a search, a jump to a value, the name of a view, or the file of an export.

use stockroom_common::{Secret, access::check_secret};

use crate::{
    dialogs::line::Line,
    messages::{
        context::Context,
        request::{PromptPurpose, Request, ViewRequest},
    },
    model::paths,
    settings::keys::Command,
};

#[derive(Debug)]
pub struct Prompt {
    pub title: String,
    pub line: Line,
    purpose: PromptPurpose,
}

impl Prompt {
    pub fn new(title: String, text: String, purpose: PromptPurpose) -> Self {
        let line = match purpose {
            PromptPurpose::Search => Line::selected(text),
            _ => Line::new(text),
        };
        Self {
            title,
            line,
            purpose,
        }
    }

    /// Whether the text must not be shown.
    pub fn is_hidden(&self) -> bool {
        self.purpose == PromptPurpose::Token
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open if self.purpose == PromptPurpose::Token => {
                let typed = self.line.text().trim();
                match check_secret(typed) {
                    Ok(()) => {
                        ctx.request(Request::Close);
                        ctx.request(Request::LogIn(Secret::new(typed)));
                    }
                    Err(fault) => ctx.error(format!("This is not a token: {fault}.")),
                }
            }
            Command::Open => {
                let typed = self.line.text().trim().to_owned();
                ctx.request(Request::Close);
                match self.purpose {
                    PromptPurpose::Search => ctx.request(Request::SearchFor(typed)),
                    _ if typed.is_empty() => {}
                    PromptPurpose::GoTo => ctx.request(Request::GoTo(typed)),
                    PromptPurpose::SaveView => {
                        ctx.request(Request::Views(ViewRequest::Save(typed)))
                    }
                    PromptPurpose::SaveExport(id) => {
                        let file = paths::absolute_path(&typed);
                        ctx.request(Request::SaveExport(id, file));
                    }
                    // Handled above.
                    PromptPurpose::Token => {}
                }
            }
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}
