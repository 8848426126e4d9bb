//! Edit conflicts: if two people have changed the same field of a row, the user sees the base value, the other person's
//! value and their own, and chooses one per field. Nothing is overwritten without being seen.

use serde_json::Value;

use super::{Form, Slot, document_of, slot};
use crate::{
    messages::context::Context,
    model::{entity::Field, form_spec::Purpose},
    settings::keys::Command,
};

/// The fields that two people have changed to different values.
#[derive(Debug)]
pub struct Conflict {
    pub fields: Vec<FieldConflict>,
    pub selected: usize,
    /// Whether the conflict is shown. It is kept while hidden, until a value is chosen for each field.
    pub is_shown: bool,
}

/// A field in conflict. Each version holds the slots of the field: one slot, or those of all order lines.
#[derive(Debug)]
pub struct FieldConflict {
    pub field: &'static Field,
    pub base: Vec<Slot>,
    pub theirs: Vec<Slot>,
    pub mine: Vec<Slot>,
    pub choice: Option<Resolution>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Theirs,
    Mine,
}

impl Conflict {
    pub fn undecided(&self) -> usize {
        let fields = self.fields.iter();
        fields
            .filter(|field_conflict| field_conflict.choice.is_none())
            .count()
    }

    fn choose(&mut self, side: Resolution) {
        self.fields[self.selected].choice = Some(side);
        // Selects the next undecided field.
        let open = |field_conflict: &FieldConflict| field_conflict.choice.is_none();
        let after = self.fields[self.selected..].iter().position(open);
        let next = after
            .map(|steps| self.selected + steps)
            .or_else(|| self.fields.iter().position(open));
        self.selected = next.unwrap_or(self.selected);
    }
}

impl Form {
    /// Applies the user's changes to the current row (a three-way merge with `initial` as the base). Saves at once if
    /// no field was changed by both; otherwise shows the conflict.
    pub(super) fn rebase(&mut self, row: &Value, ctx: &mut Context<'_>) {
        let Purpose::Edit { version, .. } = &mut self.purpose else {
            return;
        };
        *version = row["version"].as_i64().unwrap_or(*version);
        self.notice = None;
        let fields = || self.fields.iter().copied();
        let mut theirs = Slot::of_fields(fields(), row, self.zone);
        let mut base = Slot::of_fields(fields(), &self.initial, self.zone);
        let now = document_of(&theirs, self.zone);
        let (mine, before) = (
            self.document(),
            std::mem::replace(&mut self.initial, now.clone()),
        );
        let (mut slots, mut conflicts) = (Vec::new(), Vec::new());
        for field in &self.fields {
            let [own, was, is] =
                [&mine, &before, &now].map(|document| slot::at(document, field.pointer));
            // Whether the user has changed the field, and not to the value that it has now anyway.
            let is_mine = own != was && own != is;
            if is_mine && is != was {
                let of_field = |slots: &[Slot]| -> Vec<Slot> {
                    let slots = slots.iter().filter(|slot| slot.belongs_to(field));
                    slots.cloned().collect()
                };
                conflicts.push(FieldConflict {
                    field,
                    base: base.extract_if(.., |slot| slot.belongs_to(field)).collect(),
                    theirs: of_field(&theirs),
                    mine: of_field(&self.slots),
                    choice: None,
                });
            }
            let from = if is_mine {
                &mut self.slots
            } else {
                &mut theirs
            };
            slots.extend(from.extract_if(.., |slot| slot.belongs_to(field)));
        }
        self.slots = slots;
        // The merged order may have fewer lines.
        self.focus = self.focus.min(self.slots.len().saturating_sub(1));
        if conflicts.is_empty() {
            return self.save(ctx);
        }
        self.conflict = Some(Conflict {
            fields: conflicts,
            selected: 0,
            is_shown: true,
        });
    }

    /// Whether a conflict is open. If so, shows it again with the form's current values, which may have been edited
    /// since.
    pub(super) fn has_open_conflict(&mut self) -> bool {
        let Some(conflict) = &mut self.conflict else {
            return false;
        };
        for field_conflict in &mut conflict.fields {
            let mine = self
                .slots
                .iter()
                .filter(|slot| slot.belongs_to(field_conflict.field));
            field_conflict.mine = mine.cloned().collect();
        }
        conflict.is_shown = true;
        true
    }

    pub(super) fn conflict_command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let Some(conflict) = &mut self.conflict else {
            return;
        };
        let last = conflict.fields.len() - 1;
        match command {
            Command::Up => conflict.selected = conflict.selected.saturating_sub(1),
            Command::Down => conflict.selected = (conflict.selected + 1).min(last),
            Command::Theirs => conflict.choose(Resolution::Theirs),
            Command::Mine => conflict.choose(Resolution::Mine),
            Command::Save if conflict.undecided() > 0 => {
                ctx.error("Choose theirs or mine for each field first.");
            }
            Command::Save => {
                self.apply_choices();
                self.save(ctx);
            }
            // Returns to the form. Saving shows the conflict again.
            Command::Back => {
                conflict.is_shown = false;
                self.message = Some("Nothing is saved yet. Saving asks again.".into());
            }
            _ => {}
        }
    }

    /// Puts the chosen values into the form and closes the conflict.
    fn apply_choices(&mut self) {
        let Some(Conflict { fields, .. }) = self.conflict.take() else {
            return;
        };
        for field_conflict in fields {
            if field_conflict.choice != Some(Resolution::Theirs) {
                continue;
            }
            let mut of_field = self.slots.iter();
            let first = of_field
                .position(|slot| slot.belongs_to(field_conflict.field))
                .unwrap_or(self.slots.len());
            self.slots
                .retain(|slot| !slot.belongs_to(field_conflict.field));
            self.slots.splice(first..first, field_conflict.theirs);
        }
        self.focus = self.focus.min(self.slots.len().saturating_sub(1));
    }
}
