//! The command palette: all commands of the current screen, with a fuzzy search by name and description.

use frizbee::{Config, Matcher};

use crate::{
    dialogs::line::Line,
    messages::{context::Context, request::Request},
    settings::keys::{Binding, Command, Keymap, Scope},
};

/// A command of the palette.
#[derive(Clone, Debug)]
pub struct PaletteEntry {
    pub name: &'static str,
    pub help: &'static str,
    /// The keys that run the command directly.
    pub keys: String,
    command: Command,
}

#[derive(Debug)]
pub struct Palette {
    pub line: Line,
    /// The commands that match the typed text, the best match first.
    pub shown: Vec<PaletteEntry>,
    pub selected: usize,
    all: Vec<PaletteEntry>,
}

impl Palette {
    /// A palette with the commands of a scope for which `is_usable` returns true.
    pub fn new(keys: &Keymap, scope: Scope, is_usable: impl Fn(&Binding) -> bool) -> Self {
        let bound = keys.bound(scope).filter(|bound| is_usable(bound.binding));
        let entries = bound
            .filter(|bound| bound.binding.command != Command::Palette)
            .map(|bound| PaletteEntry {
                name: bound.binding.name,
                help: bound.binding.help,
                keys: bound.all(),
                command: bound.binding.command,
            });
        let all: Vec<PaletteEntry> = entries.collect();
        Self {
            line: Line::default(),
            shown: all.clone(),
            selected: 0,
            all,
        }
    }

    pub fn typed(&mut self) {
        self.selected = 0;
        let typed = self.line.text().trim();
        if typed.is_empty() {
            self.shown.clone_from(&self.all);
            return;
        }
        let searched: Vec<String> = self
            .all
            .iter()
            .map(|entry| format!("{} {}", entry.name, entry.help))
            .collect();
        let found = Matcher::from_query(typed, &Config::default()).match_list(&searched);
        let mut found: Vec<(u16, usize)> = found
            .iter()
            .map(|found| (found.score, found.index as usize))
            .collect();
        found.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
        self.shown = found
            .into_iter()
            .map(|(_, index)| self.all[index].clone())
            .collect();
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Up => self.selected = self.selected.saturating_sub(1),
            Command::Down => {
                self.selected = (self.selected + 1).min(self.shown.len().saturating_sub(1));
            }
            Command::Open => {
                ctx.request(Request::Close);
                if let Some(entry) = self.shown.get(self.selected) {
                    ctx.request(Request::Run(entry.command));
                }
            }
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}
