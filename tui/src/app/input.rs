//! From keys to commands, and which of them can be used now.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};

use crate::{
    app::state::App,
    dialogs::{
        overlay::{Confirm, Consent, Help, Overlay},
        palette::Palette,
    },
    messages::{
        context::Context,
        event::{Effect, Mouse},
    },
    model::{
        entity::{Show, Tab},
        text,
    },
    settings::keys::{self, Binding, Command, Condition, Found, Scope},
    view::frame::{self, Hit},
};

/// Rows that one notch of the wheel moves.
const WHEEL: usize = 3;

/// Columns of what was copied that are told.
const COPIED_SHOWN: usize = 40;

impl App {
    pub(super) fn key(&mut self, key: KeyEvent, ctx: &mut Context<'_>) {
        self.toast = None;
        self.pressed.push(key.into());
        let found = self.preferences.keys.find(self.scope(), &self.pressed);
        let binding = match found {
            Found::Prefix => return,
            Found::Binding(binding) => Some(binding),
            Found::Nothing => None,
        };
        let is_alone = self.pressed.len() == 1;
        self.pressed.clear();
        let command = binding.map(|binding| binding.command);
        if let Some(overlay) = self.overlays.last_mut() {
            // In a line of text, what edits it comes first; only Form has keys that mean both.
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
            Some(unmet) => ctx.bad(unmet.complaint()),
        }
    }

    /// The wheel moves, a click selects, one on what is selected opens it.
    pub(super) fn mouse(&mut self, event: MouseEvent, ctx: &mut Context<'_>) {
        let moves = match event.kind {
            MouseEventKind::ScrollUp => Some(Command::Up),
            MouseEventKind::ScrollDown => Some(Command::Down),
            _ => None,
        };
        if let Some(command) = moves {
            return (0..WHEEL).for_each(|_| self.run(command, ctx));
        }
        match frame::hit(self, event.column, event.row) {
            Some(Hit::Tab(tab)) => self.turn_to(tab, ctx),
            Some(Hit::Row(row)) => self.screen_mut(self.tab).click(row, ctx),
            Some(Hit::Choice(index)) => {
                if let Some(overlay) = self.overlays.last_mut() {
                    overlay.click(index, ctx);
                }
            }
            None => {}
        }
    }

    /// Does what a key, or the palette, stands for.
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
            Command::Tab(index) => self.turn_to(Tab::ALL[index], ctx),
            Command::NextTab => self.turn_to(self.neighbour(1), ctx),
            Command::PreviousTab => self.turn_to(self.neighbour(Tab::ALL.len() - 1), ctx),
            Command::Mouse => {
                let (mouse, words) = match self.preferences.has_mouse {
                    true => (
                        Mouse::Terminals,
                        "The mouse is the terminal's: select as you like.",
                    ),
                    false => (
                        Mouse::Ours,
                        "The mouse is ours; with shift it is the terminal's.",
                    ),
                };
                self.preferences.has_mouse = mouse == Mouse::Ours;
                ctx.good(words);
                ctx.effects.push(Effect::Mouse(mouse));
            }
            Command::Help => {
                let lines = self.help();
                self.overlays.push(Overlay::Help(Help { top: 0, lines }));
            }
            Command::Palette => {
                let holds = |binding: &Binding| self.is_usable(binding);
                let palette = Palette::new(&self.preferences.keys, self.scope(), holds);
                self.overlays.push(Overlay::Palette(palette));
            }
            Command::Forward => self.go_forward(ctx),
            Command::Undo => match self.undo.would_delete() {
                None => self.undo.undo(ctx),
                Some(label) => {
                    let label = text::clean(label).into_owned();
                    self.overlays.push(Overlay::Confirm(Confirm {
                        typed: None,
                        question: format!("Take back the creation of {label}?"),
                        consequence: "It is deleted.".into(),
                        yes: Consent::Undo,
                    }));
                }
            },
            Command::CopyCell | Command::CopyRow | Command::CopyId => self.copy(command, ctx),
            command => self.screen_mut(self.tab).command(command, ctx),
        }
    }

    /// Leaves, but asks first where something that was typed would be lost.
    fn quit(&mut self, ctx: &mut Context<'_>) {
        let is_typed = |overlay: &Overlay| match overlay {
            Overlay::Form(form) => form.is_changed(),
            _ => false,
        };
        let is_asked = matches!(
            self.overlays.last(),
            Some(Overlay::Confirm(Confirm {
                yes: Consent::Quit,
                ..
            }))
        );
        if is_asked || !self.overlays.iter().any(is_typed) {
            return ctx.effects.push(Effect::Quit);
        }
        self.overlays.push(Overlay::Confirm(Confirm {
            typed: None,
            question: "Leave without saving?".into(),
            consequence: "What you typed is lost.".into(),
            yes: Consent::Quit,
        }));
    }

    fn holds(&self, condition: Condition) -> bool {
        match condition {
            Condition::Changes => !self.preferences.is_read_only,
            Condition::Marked => self.present().has_marks(),
            Condition::Undoable => !self.undo.is_empty(),
            Condition::Lines => {
                matches!(self.overlays.last(), Some(Overlay::Form(form)) if form.has_lines())
            }
        }
    }

    fn is_usable(&self, binding: &Binding) -> bool {
        binding
            .conditions
            .iter()
            .all(|condition| self.holds(*condition))
    }

    /// The keys that can be pressed now and what they do, in a word each: those that go on with what was
    /// pressed, or those that are worth a hint.
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
                let rest = keys::words(&sequence[begun.len()..]);
                hints.push((rest, bound.binding.help));
            }
        }
        hints
    }

    /// The keys of where one is, but for those that a client which only looks refuses, and the marks that
    /// stand before rows there.
    fn help(&self) -> Vec<(String, &'static str)> {
        let scope = self.scope();
        let is_refused = |binding: &Binding| {
            binding.conditions.contains(&Condition::Changes) && self.preferences.is_read_only
        };
        let bound = self.preferences.keys.bound(scope);
        let bound = bound.filter(|bound| !is_refused(bound.binding));
        let mut lines: Vec<_> = bound
            .map(|bound| (bound.all(), bound.binding.help))
            .collect();
        if scope == Scope::List {
            let legend = frame::LEGEND.iter();
            lines.extend(legend.map(|(mark, words)| (format!("{mark} before a row"), *words)));
        }
        lines
    }

    fn neighbour(&self, steps: usize) -> Tab {
        let index = Tab::ALL
            .iter()
            .position(|tab| *tab == self.tab)
            .unwrap_or_default();
        Tab::ALL[(index + steps) % Tab::ALL.len()]
    }

    fn copy(&self, what: Command, ctx: &mut Context<'_>) {
        let show = Show {
            names: &self.names,
            zone: self.zone,
        };
        let Some(copied) = self.present().copied(what, show) else {
            return ctx.bad("There is nothing to copy.");
        };
        let shown = text::cut(&copied.replace('\t', " "), COPIED_SHOWN).into_owned();
        ctx.good(format!("Copied {shown}"));
        ctx.effects.push(Effect::Copy(copied));
    }
}
