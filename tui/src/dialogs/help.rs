//! The help dialog.

use crate::{
    messages::{context::Context, request::Request},
    settings::keys::Command,
};

/// The state of the help dialog.
#[derive(Debug)]
pub struct Help {
    /// Index of the first visible line.
    pub top: usize,
    /// Keys, or symbols in front of rows, each with its meaning.
    pub lines: Vec<(String, &'static str)>,
}

impl Help {
    /// The largest `top` at which the box is full.
    fn last_top(&self, ctx: &Context<'_>) -> usize {
        self.lines.len().saturating_sub(ctx.rows)
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(self.last_top(ctx)),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows),
            Command::PageDown => self.top = (self.top + ctx.rows).min(self.last_top(ctx)),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}
