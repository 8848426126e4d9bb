//! The form, one for every entity and for filters: fields as data, values as JSON. It checks while
//! one types, shows the server's refusals at their fields, and sends only what was changed.

mod conflict;
mod save;
mod slot;

use serde_json::{Map, Value, json};
use stockroom_common::{
    FieldError, Resource,
    change::{ChangeEvent, Op},
    document,
};
use uuid::Uuid;

pub use self::{
    conflict::{Clash, Conflict, Side},
    slot::{Slot, SlotValue},
};
use crate::{
    dialogs::{
        line::Line,
        overlay::{Confirm, Consent, Overlay},
        picker::{Picker, Which},
    },
    messages::{
        context::{Chip, Context, Wish},
        event::Effect,
    },
    model::{
        entity::{Entity, Field, FieldKind, Presence, Reference, Tab},
        names::Names,
        text::{self, Zone},
    },
    settings::keys::Command,
};

#[derive(Debug)]
pub struct Form {
    pub title: String,
    pub slots: Vec<Slot>,
    pub focus: usize,
    pub errors: Vec<FieldError>,
    /// What is wrong that belongs to no field.
    pub message: Option<String>,
    /// What others did to the row meanwhile.
    pub notice: Option<String>,
    /// Where others changed the same field to something else.
    pub conflict: Option<Conflict>,
    purpose: Purpose,
    zone: Zone,
    check: fn(Value) -> Vec<FieldError>,
    fields: Vec<&'static Field>,
    /// What the fields said when the form was opened, or when the row was read again.
    initial: Value,
    sending: Option<(u64, Step)>,
}

#[derive(Clone, Debug)]
enum Purpose {
    Create(Tab),
    Edit { tab: Tab, id: Uuid, version: i64 },
    Filter,
    Seed,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Save,
    /// The row is read again, because it has changed under the form.
    Reread,
}

impl Form {
    pub fn create<R: Entity>(zone: Zone) -> Self {
        let title = format!("New {}", R::NAME);
        let fields = R::FIELDS.iter().collect();
        Self::new(
            title,
            Purpose::Create(R::TAB),
            fields,
            &json!({}),
            check::<R>,
            zone,
        )
    }

    /// The same with a name in it.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        let slot = self.slots.iter_mut().find(|slot| slot.pointer == "/name");
        if let Some(SlotValue::Text(line)) = slot.map(|slot| &mut slot.value) {
            *line = Line::new(name);
        }
        // Nobody has typed anything here yet.
        self.initial = self.document();
        self
    }

    pub fn edit<R: Entity>(row: &R, zone: Zone) -> Self {
        let title = format!("Edit {} {}", R::NAME, text::clean(&row.label()));
        let fields = R::FIELDS
            .iter()
            .filter(|field| field.presence != Presence::OnCreate);
        let document = document::to_value(&row.document());
        let purpose = Purpose::Edit {
            tab: R::TAB,
            id: row.id().uuid(),
            version: row.version(),
        };
        Self::new(
            title,
            purpose,
            fields.collect(),
            &document,
            check::<R>,
            zone,
        )
    }

    /// The filters of a list, filled in with those that are set.
    pub fn filter<R: Entity>(chips: &[Chip], zone: Zone) -> Self {
        let set: Map<String, Value> = chips
            .iter()
            .map(|chip| (chip.name.clone(), Value::String(chip.value.clone())))
            .collect();
        let title = format!("Filter {}", R::PATH);
        let fields = R::FILTERS_FORM.iter().collect();
        Self::new(
            title,
            Purpose::Filter,
            fields,
            &Value::Object(set),
            |_| Vec::new(),
            zone,
        )
    }

    /// The sizes of a seed job.
    pub fn seed(
        fields: &'static [Field],
        sizes: &Value,
        check: fn(Value) -> Vec<FieldError>,
    ) -> Self {
        let title = "Fill the shop with test data".into();
        Self::new(
            title,
            Purpose::Seed,
            fields.iter().collect(),
            sizes,
            check,
            Zone::Utc,
        )
    }

    fn new(
        title: String,
        purpose: Purpose,
        fields: Vec<&'static Field>,
        document: &Value,
        check: fn(Value) -> Vec<FieldError>,
        zone: Zone,
    ) -> Self {
        let slots = Slot::of_fields(fields.iter().copied(), document, zone);
        Self {
            title,
            initial: document_of(&slots, zone),
            slots,
            focus: 0,
            errors: Vec::new(),
            message: None,
            notice: None,
            conflict: None,
            purpose,
            zone,
            check,
            fields,
            sending: None,
        }
    }

    /// The two versions to choose from, where they are in sight.
    pub fn shown_conflict(&self) -> Option<&Conflict> {
        self.conflict.as_ref().filter(|conflict| conflict.is_shown)
    }

    pub const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether order lines can be added and removed.
    pub fn has_lines(&self) -> bool {
        self.fields
            .iter()
            .any(|field| matches!(field.kind, FieldKind::Lines))
    }

    pub fn is_changed(&self) -> bool {
        self.document() != self.initial
    }

    /// The error to show at a field: the server's, or what the field itself knows.
    pub fn error_of(&self, slot: &Slot) -> Option<String> {
        let told = self
            .errors
            .iter()
            .find(|error| error.pointer == slot.pointer);
        told.map(|error| error.message.clone())
            .or_else(|| slot.complaint(self.zone))
    }

    /// The line being typed into, where the field in focus has one.
    pub fn line(&mut self) -> Option<&mut Line> {
        if self.is_sending() || self.shown_conflict().is_some() {
            return None;
        }
        match &mut self.slots.get_mut(self.focus)?.value {
            SlotValue::Text(line) => Some(line),
            _ => None,
        }
    }

    /// A field's error is old once its value changes.
    pub fn typed(&mut self) {
        let Some(slot) = self.slots.get_mut(self.focus) else {
            return;
        };
        slot.is_touched = true;
        let pointer = slot.pointer.clone();
        self.errors.retain(|error| error.pointer != pointer);
        self.message = None;
        // Rules that the client knows are checked at once; those of empty fields can wait.
        let found = (self.check)(self.document());
        self.errors
            .extend(found.into_iter().filter(|error| error.pointer == pointer));
    }

    pub fn want_names(&self, names: &mut Names) {
        let clashes = self.conflict.iter().flat_map(|conflict| &conflict.clashes);
        let others = clashes.flat_map(|clash| clash.base.iter().chain(&clash.theirs));
        for slot in self.slots.iter().chain(others) {
            if let SlotValue::Reference { tab, id: Some(id) } = slot.value {
                names.want(Reference { tab, id });
            }
        }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        if self.is_sending() && command != Command::Back {
            // What was typed now would not be in what is on its way.
            return;
        }
        if self.shown_conflict().is_some() {
            return self.conflict_command(command, ctx);
        }
        match command {
            Command::NextField => self.turn_to(self.focus + 1),
            Command::PreviousField => self.turn_to(self.focus.saturating_sub(1)),
            Command::Open => self.open(ctx),
            Command::Left => self.turn(-1),
            Command::Right | Command::Toggle => self.turn(1),
            Command::AddLine if self.has_lines() => self.add_line(),
            Command::RemoveLine if self.has_lines() => self.remove_line(),
            Command::Editor => match self.line() {
                Some(line) => ctx.effects.push(Effect::Edit(line.text().to_owned())),
                None => ctx.bad("Only text goes to an editor; this is a choice."),
            },
            Command::Save => self.save(ctx),
            Command::Back if self.is_changed() => ctx.wish(Wish::Open(Overlay::Confirm(Confirm {
                typed: None,
                question: "Leave without saving?".into(),
                consequence: "What you typed is lost.".into(),
                yes: Consent::Discard,
            }))),
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }

    /// Takes note of what others did to the row. Saving will put the two together.
    pub fn notice(&mut self, change: &ChangeEvent) {
        let Purpose::Edit { id, version, .. } = self.purpose else {
            return;
        };
        let is_news = change.entity_id == Some(id) && change.version >= Some(version);
        let who = text::clean(&change.actor);
        match change.op {
            Op::Delete if is_news => {
                self.notice = Some(format!("{who} has deleted this row meanwhile."));
            }
            Op::Update if is_news && change.version > Some(version) => {
                let fields: Vec<String> = change.changed.iter().map(|at| words_of(at)).collect();
                let fields = fields.join(", ");
                self.notice = Some(format!("{who} has changed meanwhile: {fields}."));
            }
            _ => {}
        }
    }

    /// Takes text that was edited elsewhere.
    pub fn edited(&mut self, text: &str) {
        if let Some(line) = self.line() {
            *line = Line::new(text);
            self.typed();
        }
    }

    /// Takes the row that was chosen for the field in focus.
    pub fn picked(&mut self, chosen: Uuid) {
        if let Some(SlotValue::Reference { id, .. }) =
            self.slots.get_mut(self.focus).map(|slot| &mut slot.value)
        {
            *id = Some(chosen);
            self.typed();
            self.turn_to(self.focus + 1);
        }
    }

    /// Turns to a field. Its text is selected, so that typing replaces it, and a key that moves keeps it.
    fn turn_to(&mut self, index: usize) {
        self.focus = index.min(self.slots.len() - 1);
        if let SlotValue::Text(line) = &mut self.slots[self.focus].value {
            line.select();
        }
    }

    /// Begins to search for the row of the field in focus; false where it is none that is chosen.
    pub fn search(&mut self, first: char, ctx: &mut Context<'_>) -> bool {
        let is_open = !self.is_sending() && self.shown_conflict().is_none();
        let picker = self.picker(ctx).filter(|_| is_open);
        let Some(mut picker) = picker else {
            return false;
        };
        picker.search = Line::new(first);
        ctx.wish(Wish::Picker(Box::new(picker)));
        true
    }

    fn picker(&self, ctx: &Context<'_>) -> Option<Picker> {
        let slot = self.slots.get(self.focus)?;
        let SlotValue::Reference { tab, .. } = slot.value else {
            return None;
        };
        let which = match slot.line() {
            Some(_) => Which::Orderable,
            None => Which::All,
        };
        Some(Picker::new(tab, which, ctx.now))
    }

    fn open(&mut self, ctx: &mut Context<'_>) {
        if let Some(picker) = self.picker(ctx) {
            return ctx.wish(Wish::Picker(Box::new(picker)));
        }
        match self.slots[self.focus].value {
            _ if self.focus + 1 == self.slots.len() => self.save(ctx),
            _ => self.turn_to(self.focus + 1),
        }
    }

    /// Steps through the values of a flag or a choice.
    fn turn(&mut self, by: isize) {
        match &mut self.slots[self.focus].value {
            SlotValue::Flag(on) => *on = !*on,
            SlotValue::Choice { words, index } => {
                let count = words.len() as isize;
                *index = (*index as isize + by).rem_euclid(count) as usize;
            }
            _ => return,
        }
        self.typed();
    }

    fn line_count(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.pointer.ends_with("/product_id"))
            .count()
    }

    fn add_line(&mut self) {
        let line = self.line_count();
        self.focus = self.slots.len();
        self.slots
            .extend(Slot::of_line(line, &json!({"quantity": 1})));
    }

    /// Takes order lines away that say nothing, as the one that is there for the next product.
    fn drop_blank_lines(&mut self) {
        for line in (0..self.line_count()).rev() {
            let mut of_line = self.slots.iter().filter(|slot| slot.line() == Some(line));
            let is_blank = of_line.all(Slot::is_blank);
            if is_blank && self.line_count() > 1 {
                self.take_line(line);
            }
        }
    }

    fn take_line(&mut self, line: usize) {
        self.slots.retain(|slot| slot.line() != Some(line));
        for slot in &mut self.slots {
            slot.renumber_after(line);
        }
        self.errors.clear();
        self.focus = self.focus.min(self.slots.len() - 1);
    }

    fn remove_line(&mut self) {
        let Some(line) = self.slots[self.focus].line() else {
            return;
        };
        if self.line_count() == 1 {
            self.message = Some("An order has at least one line; delete the order instead.".into());
            return;
        }
        self.take_line(line);
    }

    /// What the fields say, as the API takes it.
    fn document(&self) -> Value {
        document_of(&self.slots, self.zone)
    }

    fn focus_error(&mut self) {
        let at_fault = self
            .slots
            .iter()
            .position(|slot| self.error_of(slot).is_some());
        self.turn_to(at_fault.unwrap_or(self.focus));
    }
}

/// A field as people call it: `/address/postal_code` is `postal code`, `/items/0/quantity` is `line 1
/// quantity`.
pub(crate) fn words_of(pointer: &str) -> String {
    let parts: Vec<&str> = pointer.split('/').filter(|part| !part.is_empty()).collect();
    let last = parts.last().copied().unwrap_or_default();
    let words = last
        .replace("_minor", "")
        .replace("_id", "")
        .replace('_', " ");
    let line = |index: &str| {
        index
            .parse()
            .ok()
            .map(|index: usize| index.saturating_add(1))
    };
    let words = match parts.as_slice() {
        ["items"] => "lines".into(),
        ["items", index, ..] => match line(index) {
            Some(line) => format!("line {line} {words}"),
            None => words,
        },
        _ => words,
    };
    text::clean(&words).into_owned()
}

fn document_of(slots: &[Slot], zone: Zone) -> Value {
    let mut document = json!({});
    for slot in slots {
        if let Some(value) = slot.json(zone) {
            slot::set(&mut document, &slot.pointer, value);
        }
    }
    document
}

/// The rules of `R` on a document that may be incomplete.
fn check<R: Resource>(document: Value) -> Vec<FieldError> {
    match document::from_value::<R::New>(&document) {
        Ok(new) => R::check(&new),
        Err(error) => vec![error],
    }
}
