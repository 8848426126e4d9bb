//! Two people, one row: where both changed the same field, one sees what it was, what they made of it and
//! what one would make of it oneself, and chooses field by field. Nothing is overwritten unseen.

use serde_json::Value;

use super::{Form, Slot, document_of, slot};
use crate::{
    messages::context::Context,
    model::{entity::Field, form_spec::Purpose},
    settings::keys::Command,
};

/// The fields that two people changed to different things.
#[derive(Debug)]
pub struct Conflict {
    pub fields: Vec<FieldConflict>,
    pub selected: usize,
    /// Whether it is in sight; it stays until each field is chosen.
    pub is_shown: bool,
}

/// One of them. Each version is the slots of the field: one, or those of the order lines.
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
        // On to the next that is open.
        let open = |field_conflict: &FieldConflict| field_conflict.choice.is_none();
        let after = self.fields[self.selected..].iter().position(open);
        let next = after
            .map(|steps| self.selected + steps)
            .or_else(|| self.fields.iter().position(open));
        self.selected = next.unwrap_or(self.selected);
    }
}

impl Form {
    /// Puts the change on top of the row as it is now. What does not overlap is saved at once; of what
    /// does, one chooses.
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
        // Their order may have fewer lines.
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

    /// Shows the two versions again, with what the form says by now, where something is not chosen yet.
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
            // Back to the form, on top of what others made of the row. Saving comes here again.
            Command::Back => {
                conflict.is_shown = false;
                self.message = Some("Nothing is saved yet. Saving asks again.".into());
            }
            _ => {}
        }
    }

    /// Puts what was chosen into the form.
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
