//! The rows that a bulk call refused, each with the reason.

use crate::{
    messages::{context::Context, request::Request},
    settings::keys::Command,
};

#[derive(Debug)]
pub struct BulkOutcome {
    pub title: String,
    /// The label of each refused row, and the reason.
    pub refused: Vec<(String, String)>,
    /// Index of the first refused row on the screen.
    pub top: usize,
}

impl BulkOutcome {
    pub const fn new(title: String, refused: Vec<(String, String)>) -> Self {
        Self {
            title,
            refused,
            top: 0,
        }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let last = self.refused.len().saturating_sub(1);
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(last),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows / 2),
            Command::PageDown => self.top = (self.top + ctx.rows / 2).min(last),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}
