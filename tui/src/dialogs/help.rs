//! The help.

use crate::{
    messages::{context::Context, request::Request},
    settings::keys::Command,
};

/// The help, scrolled to a line.
#[derive(Debug)]
pub struct Help {
    pub top: usize,
    /// Keys, or marks before rows, and what each means.
    pub lines: Vec<(String, &'static str)>,
}

impl Help {
    /// The highest `top` that still fills the box.
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
