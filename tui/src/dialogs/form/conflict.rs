//! Two people, one row: where both changed the same field, one sees what it was, what they made of it and
//! what one would make of it oneself, and chooses field by field. Nothing is overwritten unseen.

use serde_json::Value;

use super::{Form, Purpose, Slot, document_of, slot};
use crate::{messages::context::Context, model::entity::Field, settings::keys::Command};

/// The fields that two people changed to different things.
#[derive(Debug)]
pub struct Conflict {
    pub clashes: Vec<Clash>,
    pub selected: usize,
    /// Whether it is in sight; it stays until each field is chosen.
    pub is_shown: bool,
}

/// One of them. Each version is the slots of the field: one, or those of the order lines.
#[derive(Debug)]
pub struct Clash {
    pub field: &'static Field,
    pub base: Vec<Slot>,
    pub theirs: Vec<Slot>,
    pub mine: Vec<Slot>,
    pub choice: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Theirs,
    Mine,
}

impl Conflict {
    pub fn undecided(&self) -> usize {
        let clashes = self.clashes.iter();
        clashes.filter(|clash| clash.choice.is_none()).count()
    }

    fn choose(&mut self, side: Side) {
        self.clashes[self.selected].choice = Some(side);
        // On to the next that is open.
        let open = |clash: &Clash| clash.choice.is_none();
        let after = self.clashes[self.selected..].iter().position(open);
        let next = after
            .map(|steps| self.selected + steps)
            .or_else(|| self.clashes.iter().position(open));
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
        let (mut slots, mut clashes) = (Vec::new(), Vec::new());
        for field in &self.fields {
            let [own, was, is] =
                [&mine, &before, &now].map(|document| slot::at(document, field.pointer));
            let is_mine = own != was && own != is;
            if is_mine && is != was {
                let of_field = |slots: &[Slot]| -> Vec<Slot> {
                    let slots = slots.iter().filter(|slot| slot.belongs_to(field));
                    slots.cloned().collect()
                };
                clashes.push(Clash {
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
        if clashes.is_empty() {
            return self.save(ctx);
        }
        self.conflict = Some(Conflict {
            clashes,
            selected: 0,
            is_shown: true,
        });
    }

    /// Shows the two versions again, with what the form says by now, where something is not chosen yet.
    pub(super) fn has_open_conflict(&mut self) -> bool {
        let Some(conflict) = &mut self.conflict else {
            return false;
        };
        for clash in &mut conflict.clashes {
            let mine = self
                .slots
                .iter()
                .filter(|slot| slot.belongs_to(clash.field));
            clash.mine = mine.cloned().collect();
        }
        conflict.is_shown = true;
        true
    }

    pub(super) fn conflict_command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let Some(conflict) = &mut self.conflict else {
            return;
        };
        let last = conflict.clashes.len() - 1;
        match command {
            Command::Up => conflict.selected = conflict.selected.saturating_sub(1),
            Command::Down => conflict.selected = (conflict.selected + 1).min(last),
            Command::Theirs => conflict.choose(Side::Theirs),
            Command::Mine => conflict.choose(Side::Mine),
            Command::Save if conflict.undecided() > 0 => {
                ctx.bad("Choose theirs or mine for each field first.");
            }
            Command::Save => {
                self.settle();
                self.save(ctx);
            }
            // Back to the form, on top of what others made of the row. Saving comes here again.
            Command::Back => {
                conflict.is_shown = false;
                self.message = Some("Nothing was saved yet; saving asks again.".into());
            }
            _ => {}
        }
    }

    /// Puts what was chosen into the form.
    fn settle(&mut self) {
        let Some(Conflict { clashes, .. }) = self.conflict.take() else {
            return;
        };
        for clash in clashes {
            if clash.choice != Some(Side::Theirs) {
                continue;
            }
            let mut of_field = self.slots.iter();
            let first = of_field
                .position(|slot| slot.belongs_to(clash.field))
                .unwrap_or(self.slots.len());
            self.slots.retain(|slot| !slot.belongs_to(clash.field));
            self.slots.splice(first..first, clash.theirs);
        }
        self.focus = self.focus.min(self.slots.len().saturating_sub(1));
    }
}
