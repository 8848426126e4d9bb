//! A one-line prompt: for a search, a jump to a value, the name of a view, or the file of an export.

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

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
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
                }
            }
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}
