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
    /// Applies the user's changes to the current row. Saves at once if no field was changed by both; otherwise shows
    /// the conflict.
    pub(super) fn rebase(&mut self, row: &Value, ctx: &mut Context<'_>) {
        let Purpose::Edit { version, .. } = &mut self.purpose else {
            return;
        };
        *version = row["version"].as_i64().unwrap_or(*version);
        self.notice = None;
        let conflicts = self.merge(row);
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

    /// Merges the form with the current row, field by field, with `initial` as the base: what the user has changed
    /// stays, everything else becomes what the row has. Returns the fields that both have changed; they show the user's
    /// value. The row is the new base.
    fn merge(&mut self, row: &Value) -> Vec<FieldConflict> {
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
        conflicts
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

#[cfg(test)]
mod tests {
    use proptest::{
        prelude::*,
        sample::{Index, select},
    };
    use serde_json::json;
    use stockroom_common::{Order, Product};
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        entity::{Entity, FieldKind},
        form_spec::FormSpec,
        text::Zone,
    };

    /// Few values, so that two people often change a field to the same one.
    fn value(field: &Field) -> BoxedStrategy<Value> {
        let id = || select(vec![json!(Uuid::from_u128(1)), json!(Uuid::from_u128(2))]);
        match field.kind {
            FieldKind::Text => select(vec![json!(""), json!("a"), json!("b")]).boxed(),
            FieldKind::Integer | FieldKind::Money => (0..3_i64).prop_map(|n| json!(n)).boxed(),
            FieldKind::Flag => any::<bool>().prop_map(|flag| json!(flag)).boxed(),
            FieldKind::Choice(options) => select(options).prop_map(|name| json!(name)).boxed(),
            FieldKind::Reference(_) => id().boxed(),
            FieldKind::Time => Just(json!("2026-01-01T00:00:00Z")).boxed(),
            FieldKind::Lines => {
                let line = (id(), 1..3_i64, 0..2_i64).prop_map(|(product, quantity, price)| {
                    json!({"product_id": product, "quantity": quantity, "unit_price_minor": price})
                });
                proptest::collection::vec(line, 1..4)
                    .prop_map(|lines| json!(lines))
                    .boxed()
            }
        }
    }

    fn document(fields: &[&'static Field]) -> impl Strategy<Value = Value> + use<> {
        let pointers: Vec<&str> = fields.iter().map(|field| field.pointer).collect();
        let values: Vec<_> = fields.iter().map(|field| value(field)).collect();
        values.prop_map(move |values| {
            let mut document = json!({});
            for (pointer, value) in pointers.iter().zip(values) {
                slot::set(&mut document, pointer, value);
            }
            document
        })
    }

    /// The base, the user's version, the other person's version, and whether each conflict is decided for the other.
    type Edits = (Vec<&'static Field>, [Value; 3], Vec<bool>);

    fn edits() -> impl Strategy<Value = Edits> {
        let forms: Vec<Vec<&'static Field>> = vec![
            Order::FIELDS.iter().collect(),
            Product::FIELDS.iter().collect(),
        ];
        any::<Index>().prop_flat_map(move |form| {
            let fields = form.get(&forms).clone();
            let versions = [document(&fields), document(&fields), document(&fields)];
            let choices = proptest::collection::vec(any::<bool>(), fields.len());
            (Just(fields), versions, choices)
        })
    }

    fn form(fields: &[&'static Field], base: &Value, mine: &Value) -> Form {
        let spec = FormSpec {
            title: "Edit".into(),
            purpose: Purpose::Filter,
            fields: fields.to_vec(),
            document: base.clone(),
            check: |_| Vec::new(),
        };
        let mut form = Form::new(spec, Zone::Utc);
        form.slots = Slot::of_fields(fields.iter().copied(), mine, Zone::Utc);
        form
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merge_loses_nobody_s_change((fields, [base, mine, theirs], choices) in edits()) {
            let mut form = form(&fields, &base, &mine);
            let before = [form.initial.clone(), form.document()];
            let current = self::form(&fields, &theirs, &theirs).document();
            let mut conflicts = form.merge(&theirs);
            let (now, merged) = (form.initial.clone(), form.document());
            let mut decided = Vec::new();
            for (field, takes_theirs) in fields.iter().zip(choices) {
                let [was, own, is, result] = [&before[0], &before[1], &now, &merged]
                    .map(|document| slot::at(document, field.pointer));
                prop_assert_eq!(is, slot::at(&current, field.pointer));
                let both = own != was && is != was && own != is;
                prop_assert_eq!(result, if own == was { is } else { own });
                let conflict = conflicts.iter_mut().find(|conflict| conflict.field.pointer == field.pointer);
                prop_assert_eq!(conflict.is_some(), both, "{}", field.pointer);
                if let Some(conflict) = conflict {
                    let side = if takes_theirs { Resolution::Theirs } else { Resolution::Mine };
                    conflict.choice = Some(side);
                    decided.push((field.pointer, if takes_theirs { is } else { own }));
                }
            }
            form.conflict = Some(Conflict { fields: conflicts, selected: 0, is_shown: true });
            form.apply_choices();
            let saved = form.document();
            for field in &fields {
                let at = |document| slot::at(document, field.pointer);
                let chosen = decided.iter().find(|(pointer, _)| *pointer == field.pointer);
                let expected = chosen.map_or(at(&merged), |(_, value)| *value);
                prop_assert_eq!(at(&saved), expected, "{}", field.pointer);
            }
            // The slots keep the order of the fields, whoever they come from.
            let order: Vec<usize> = form.slots.iter()
                .map(|slot| fields.iter().position(|field| slot.belongs_to(field)).unwrap())
                .collect();
            prop_assert!(order.is_sorted(), "{order:?}");
        }

        #[test]
        fn merge_with_an_unchanged_row_changes_nothing((fields, [base, mine, _], _) in edits()) {
            let mut form = form(&fields, &base, &mine);
            let before = form.document();
            prop_assert!(form.merge(&base).is_empty());
            prop_assert_eq!(form.document(), before);
        }
    }
}
