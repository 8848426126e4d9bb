//! A confirmation dialog for an action that is hard to undo.

use std::mem;

use crate::{
    dialogs::line::Line,
    messages::{
        context::Context,
        request::{Confirm, Request},
    },
    settings::keys::Command,
};

#[derive(Debug)]
pub struct ConfirmDialog {
    pub question: String,
    pub consequence: String,
    pub typed: Option<Typed>,
    pub on_yes: Request,
}

/// A line in which the user must type a name or a number to confirm.
#[derive(Clone, Debug)]
pub struct Typed {
    pub expected: String,
    pub line: Line,
}

impl Typed {
    /// Whether the line contains the expected text. A number may contain separators, as in `100,000`.
    fn is_right(&self) -> bool {
        let typed = self.line.text().trim();
        let is_number = self.expected.bytes().all(|byte| byte.is_ascii_digit());
        typed == self.expected
            || (is_number && typed.replace([',', '.', ' ', '_'], "") == self.expected)
    }
}

impl ConfirmDialog {
    pub fn new(confirm: Confirm) -> Self {
        let Confirm {
            question,
            consequence,
            typed,
            on_yes,
        } = confirm;
        let typed = typed.map(|expected| Typed {
            expected,
            line: Line::default(),
        });
        Self {
            question,
            consequence,
            typed,
            on_yes,
        }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let is_yes = match (command, &self.typed) {
            (Command::Open, Some(typed)) if !typed.is_right() => {
                let message = format!("Type {} to go on, or press Esc.", typed.expected);
                return ctx.error(message);
            }
            (Command::Open, Some(_)) | (Command::Yes, None) => true,
            (Command::Back, Some(_)) | (Command::No, None) => false,
            _ => return,
        };
        ctx.request(Request::Close);
        if is_yes {
            // The requests run in order, so the dialog is closed before this one is handled.
            ctx.request(mem::replace(&mut self.on_yes, Request::Close));
        }
    }
}
