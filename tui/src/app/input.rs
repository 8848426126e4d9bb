//! Turns key presses and mouse events into commands, and determines which commands are available.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use stockroom_common::Role;

use super::state::App;
use crate::{
    dialogs::{help::Help, overlay::Overlay, palette::Palette},
    messages::{
        context::Context,
        event::{Effect, Hit, MouseAction, MouseMode},
        request::{Confirm, Request},
    },
    model::{show::Formatter, tab::Tab, text},
    screens::list::marks::LEGEND,
    settings::keys::{self, Binding, Command, Condition, KeyMatch, Scope},
};

/// Rows that one step of the mouse wheel scrolls.
const SCROLL_ROWS: usize = 3;

/// Columns of the copied text to show in the message.
const COPIED_SHOWN: usize = 40;

impl App {
    pub(super) fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) {
        self.toast = None;
        self.pressed.push(key.into());
        let found = self.preferences.keys.find(self.scope(), &self.pressed);
        let binding = match found {
            KeyMatch::Prefix => return,
            KeyMatch::Binding(binding) => Some(binding),
            KeyMatch::Nothing => None,
        };
        let is_alone = self.pressed.len() == 1;
        self.pressed.clear();
        let command = binding.map(|binding| binding.command);
        if let Some(overlay) = self.overlays.last_mut() {
            // In a text line, editing keys take precedence over commands. Only forms have keys with both meanings:
            // left, right and toggle.
            let edits = matches!(
                command,
                None | Some(Command::Left | Command::Right | Command::Toggle)
            );
            if let (None, true, KeyCode::Char(c)) = (command, is_alone, key.code)
                && (key.modifiers - KeyModifiers::SHIFT).is_empty()
                && overlay.search(c, ctx)
            {
                return;
            }
            if edits && let Some(line) = overlay.line() {
                if is_alone && line.key(key) {
                    overlay.typed(ctx);
                }
                return;
            }
        }
        let Some(binding) = binding else { return };
        match binding.conditions.iter().find(|known| !self.holds(**known)) {
            None => self.run(binding.command, ctx),
            Some(unmet) => ctx.error(self.unmet(*unmet)),
        }
    }

    /// Handles the mouse. The wheel scrolls; a click selects an item, or opens it if it is already selected.
    pub(super) fn mouse(&mut self, action: MouseAction, ctx: &mut Context<'_>) {
        match action {
            MouseAction::ScrollUp => (0..SCROLL_ROWS).for_each(|_| self.run(Command::Up, ctx)),
            MouseAction::ScrollDown => (0..SCROLL_ROWS).for_each(|_| self.run(Command::Down, ctx)),
            MouseAction::Click(Hit::Tab(tab)) => self.turn_to(tab, ctx),
            MouseAction::Click(Hit::Row(row)) => self.screen_mut().click(row, ctx),
            MouseAction::Click(Hit::Item(index)) => {
                if let Some(overlay) = self.overlays.last_mut() {
                    overlay.click(index, ctx);
                }
            }
        }
    }

    pub(super) fn paste(&mut self, text: &str, ctx: &mut Context<'_>) {
        if let Some(overlay) = self.overlays.last_mut()
            && let Some(line) = overlay.line()
        {
            line.paste(text);
            overlay.typed(ctx);
        }
    }

    /// Runs a command, from a key or the palette. While a dialog is open, it gets every command except quit, suspend
    /// and repaint.
    pub(super) fn run(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Quit => return self.quit(ctx),
            Command::Suspend => return ctx.effects.push(Effect::Suspend),
            Command::Repaint => return ctx.effects.push(Effect::Repaint),
            _ => {}
        }
        if let Some(overlay) = self.overlays.last_mut() {
            return overlay.command(command, ctx);
        }
        match command {
            Command::Tab(tab) => self.turn_to(tab, ctx),
            Command::NextTab => self.turn_to(self.navigation.neighbour(1), ctx),
            Command::PreviousTab => {
                self.turn_to(self.navigation.neighbour(Tab::ALL.len() - 1), ctx);
            }
            Command::Mouse => self.toggle_mouse(ctx),
            Command::Help => {
                let lines = self.help();
                self.overlays.push(Overlay::Help(Help { top: 0, lines }));
            }
            Command::Palette => {
                let is_usable = |binding: &Binding| self.is_usable(binding);
                let palette = Palette::new(&self.preferences.keys, self.scope(), is_usable);
                self.overlays.push(Overlay::Palette(palette));
            }
            Command::Forward => self.go_forward(ctx),
            Command::Undo => self.undo(ctx),
            Command::LogIn if self.connection.is_local => {
                ctx.error("The shop on this machine needs no login.");
            }
            Command::LogIn => self.ask_for_token(ctx),
            Command::CopyCell | Command::CopyRow | Command::CopyId => self.copy(command, ctx),
            command => self.screen_mut().command(command, ctx),
        }
    }

    fn toggle_mouse(&mut self, ctx: &mut Context<'_>) {
        self.preferences.has_mouse = !self.preferences.has_mouse;
        let (mode, message) = if self.preferences.has_mouse {
            (
                MouseMode::Client,
                "Stockroom uses the mouse; hold Shift to select text.",
            )
        } else {
            (
                MouseMode::Terminal,
                "The terminal has the mouse: select text as usual.",
            )
        };
        ctx.info(message);
        ctx.effects.push(Effect::SetMouse(mode));
    }

    /// Undoes the last write. Asks first if that deletes a row.
    fn undo(&mut self, ctx: &mut Context<'_>) {
        let Some(label) = self.writes.undo.would_delete() else {
            return self.writes.undo.undo(ctx);
        };
        ctx.confirm(Confirm {
            question: format!("Undo the creation of {}?", text::clean(label)),
            consequence: "It is deleted.".into(),
            typed: None,
            on_yes: Request::Undo,
        });
    }

    /// Quits. Asks first if a form has unsaved changes, but only once: quitting from that question needs no answer.
    fn quit(&mut self, ctx: &mut Context<'_>) {
        let is_asked = matches!(
            self.overlays.last(),
            Some(Overlay::Confirm(confirm)) if matches!(confirm.on_yes, Request::Quit)
        );
        if is_asked || !self.forms_mut().any(|form| form.is_changed()) {
            return ctx.effects.push(Effect::Quit);
        }
        ctx.confirm(Confirm {
            question: "Quit without saving?".into(),
            consequence: "What you typed is lost.".into(),
            typed: None,
            on_yes: Request::Quit,
        });
    }

    fn holds(&self, condition: Condition) -> bool {
        match condition {
            Condition::Changes => self.may_change(),
            Condition::Administers => self.may_change() && self.connection.role() == Role::Admin,
            Condition::Marked => self
                .screens
                .rows(self.navigation.tab)
                .is_some_and(|rows| rows.has_marks()),
            Condition::Undoable => !self.writes.undo.is_empty(),
            Condition::Lines => {
                matches!(self.overlays.last(), Some(Overlay::Form(form)) if form.has_lines())
            }
        }
    }

    /// The message for a condition that does not hold.
    pub(super) fn unmet(&self, condition: Condition) -> String {
        match (&self.connection.identity, condition) {
            (Some(identity), Condition::Changes | Condition::Administers)
                if !self.preferences.is_read_only =>
            {
                let name = text::clean(&identity.name);
                format!(
                    "Your token ({name}) has the role {}, which may not do that.",
                    identity.role
                )
            }
            (_, Condition::Administers) if self.preferences.is_read_only => {
                Condition::Changes.error().into()
            }
            _ => condition.error().into(),
        }
    }

    fn is_usable(&self, binding: &Binding) -> bool {
        binding
            .conditions
            .iter()
            .all(|condition| self.holds(*condition))
    }

    /// The keys for the hint line, each with a short text. After the first keys of a sequence these are the keys that
    /// continue it; otherwise the available commands that have a hint.
    pub fn hints(&self) -> Vec<(String, &'static str)> {
        let keys = &self.preferences.keys;
        let usable = keys
            .bound(self.scope())
            .filter(|bound| self.is_usable(bound.binding));
        if self.pressed.is_empty() {
            let is_worth_it = |condition: &Condition| self.holds(*condition);
            return usable
                .filter(|bound| bound.binding.hinted_when.iter().all(is_worth_it))
                .filter_map(|bound| Some((bound.first()?, bound.binding.hint?)))
                .collect();
        }
        let begun = &self.pressed;
        let mut hints = Vec::new();
        for bound in usable {
            let mut sequences = bound.sequences.iter();
            if let Some(sequence) = sequences.find(|sequence| sequence.starts_with(begun)) {
                let rest = keys::sequence_text(&sequence[begun.len()..]);
                hints.push((rest, bound.binding.help));
            }
        }
        hints
    }

    /// The lines of the help: the keys of the current scope, without those that a read-only client refuses. For a list,
    /// also the symbols in front of rows.
    fn help(&self) -> Vec<(String, &'static str)> {
        let scope = self.scope();
        let is_refused = |binding: &Binding| {
            let of_role = [Condition::Changes, Condition::Administers];
            let mut conditions = binding.conditions.iter();
            conditions.any(|condition| of_role.contains(condition) && !self.holds(*condition))
        };
        let bound = self.preferences.keys.bound(scope);
        let bound = bound.filter(|bound| !is_refused(bound.binding));
        let mut lines: Vec<_> = bound
            .map(|bound| (bound.all(), bound.binding.help))
            .collect();
        if scope == Scope::List {
            let legend = LEGEND.iter();
            lines.extend(
                legend.map(|(symbol, meaning)| (format!("{symbol} before a row"), *meaning)),
            );
        }
        lines
    }

    fn copy(&self, what: Command, ctx: &mut Context<'_>) {
        let formatter = Formatter {
            names: &self.names,
            zone: self.zone,
        };
        let rows = self.screens.rows(self.navigation.tab);
        let Some(copied) = rows.and_then(|rows| rows.copy(what, formatter)) else {
            return ctx.error("There is nothing to copy.");
        };
        let shown = text::cut(&copied.replace('\t', " "), COPIED_SHOWN).into_owned();
        ctx.info(format!("Copied {shown}"));
        ctx.effects.push(Effect::Copy(copied));
    }
}
