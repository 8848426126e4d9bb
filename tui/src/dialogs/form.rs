//! The form for all entities, filters and seed jobs. The fields are data and the values JSON. It validates while the
//! user types, shows the server's errors at their fields, and sends only changed fields when it edits a row.

mod conflict;
mod save;
mod slot;

use serde_json::{Value, json};
use stockroom_common::{
    FieldError,
    change::{ChangeEvent, Op},
};
use uuid::Uuid;

pub use self::{
    conflict::{Conflict, FieldConflict, Resolution},
    slot::{Slot, SlotValue},
};
use crate::{
    dialogs::line::Line,
    messages::{
        context::Context,
        event::Effect,
        request::{Confirm, Dialog, PickerFilter, Request},
    },
    model::{
        entity::{Field, FieldKind},
        form_spec::{FormSpec, Purpose},
        labels::field_label,
        names::{Names, Reference},
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
    /// An error or a hint that belongs to no field.
    pub message: Option<String>,
    /// What somebody else has done to the row since the form was opened.
    pub notice: Option<String>,
    /// The fields that both the user and somebody else have changed, until the user has chosen a value for each.
    pub conflict: Option<Conflict>,
    purpose: Purpose,
    zone: Zone,
    check: fn(Value) -> Vec<FieldError>,
    fields: Vec<&'static Field>,
    /// The document when the form was opened, or when the row was last read again.
    initial: Value,
    /// The run and the purpose of the call that is under way.
    sending: Option<(u64, FormCall)>,
}

/// The purpose of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormCall {
    Save,
    /// Reads the row again, because somebody has changed it while the form was open.
    Reread,
}

impl Form {
    pub fn new(spec: FormSpec, zone: Zone) -> Self {
        let FormSpec {
            title,
            purpose,
            fields,
            document,
            check,
        } = spec;
        let slots = Slot::of_fields(fields.iter().copied(), &document, zone);
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

    /// The conflict, while its dialog is shown.
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

    /// The error to show at a field: the one of the last check or of the server, or else the field's own.
    pub fn error_of(&self, slot: &Slot) -> Option<String> {
        let reported = self
            .errors
            .iter()
            .find(|error| error.pointer == slot.pointer);
        reported
            .map(|error| error.message.clone())
            .or_else(|| slot.error(self.zone))
    }

    /// The text line of the focused field. None if the field has none, or typing is blocked.
    pub fn line(&mut self) -> Option<&mut Line> {
        if self.is_sending() || self.shown_conflict().is_some() {
            return None;
        }
        match &mut self.slots.get_mut(self.focus)?.value {
            SlotValue::Text(line) => Some(line),
            _ => None,
        }
    }

    /// Handles a change of the focused field: drops its errors and checks it again.
    pub fn typed(&mut self) {
        let Some(slot) = self.slots.get_mut(self.focus) else {
            return;
        };
        slot.is_touched = true;
        let pointer = slot.pointer.clone();
        self.errors.retain(|error| error.pointer != pointer);
        self.message = None;
        // The client checks the rules that it knows at once, but only for this field: errors of fields that are not
        // filled in yet can wait until the form is saved.
        let found = (self.check)(self.document());
        self.errors
            .extend(found.into_iter().filter(|error| error.pointer == pointer));
    }

    pub fn want_names(&self, names: &mut Names) {
        let conflicts = self.conflict.iter().flat_map(|conflict| &conflict.fields);
        let others = conflicts.flat_map(|field| field.base.iter().chain(&field.theirs));
        for slot in self.slots.iter().chain(others) {
            if let SlotValue::Reference { tab, id: Some(id) } = slot.value {
                names.want(Reference { tab, id });
            }
        }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        if self.is_sending() && command != Command::Back {
            // The request under way would not include the change.
            return;
        }
        if self.shown_conflict().is_some() {
            return self.conflict_command(command, ctx);
        }
        match command {
            Command::NextField => self.focus_field(self.focus + 1),
            Command::PreviousField => self.focus_field(self.focus.saturating_sub(1)),
            Command::Open => self.open(ctx),
            Command::Left => self.step_value(-1),
            Command::Right | Command::Toggle => self.step_value(1),
            Command::AddLine if self.has_lines() => self.add_line(),
            Command::RemoveLine if self.has_lines() => self.remove_line(),
            Command::Editor => match self.line() {
                Some(line) => ctx.effects.push(Effect::Edit(line.text().to_owned())),
                None => ctx.error("Only text fields open in an editor."),
            },
            Command::Save => self.save(ctx),
            Command::Back if self.is_changed() => ctx.confirm(Confirm {
                question: "Close without saving?".into(),
                consequence: "What you typed is lost.".into(),
                typed: None,
                on_yes: Request::Close,
            }),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }

    /// Shows that somebody else has changed or deleted the row. Saving merges the two changes.
    pub fn notice(&mut self, change: &ChangeEvent) {
        let Purpose::Edit { id, version, .. } = self.purpose else {
            return;
        };
        let is_news = change.entity_id == Some(id) && change.version >= Some(version);
        let author = change.author();
        let who = text::clean(&author);
        match change.op {
            Op::Delete if is_news => {
                self.notice = Some(format!("{who} has just deleted this row."));
            }
            Op::Update if is_news && change.version > Some(version) => {
                let fields: Vec<String> = change.changed.iter().map(|at| field_label(at)).collect();
                let fields = fields.join(", ");
                self.notice = Some(format!("{who} has just changed: {fields}."));
            }
            _ => {}
        }
    }

    /// Takes the text from the user's editor into the focused field.
    pub fn edited(&mut self, text: &str) {
        if let Some(line) = self.line() {
            *line = Line::new(text);
            self.typed();
        }
    }

    /// Takes the row that was chosen for the focused field, and moves on to the next field.
    pub fn picked(&mut self, chosen: Uuid) {
        if let Some(SlotValue::Reference { id, .. }) =
            self.slots.get_mut(self.focus).map(|slot| &mut slot.value)
        {
            *id = Some(chosen);
            self.typed();
            self.focus_field(self.focus + 1);
        }
    }

    /// Moves the focus to a field and selects its text: typing replaces the text, and a cursor key keeps it.
    fn focus_field(&mut self, index: usize) {
        self.focus = index.min(self.slots.len() - 1);
        if let SlotValue::Text(line) = &mut self.slots[self.focus].value {
            line.select();
        }
    }

    /// Opens a picker for the focused field, with the typed character as the search. False if the field does not refer
    /// to a row.
    pub fn search(&mut self, first: char, ctx: &mut Context<'_>) -> bool {
        let is_open = !self.is_sending() && self.shown_conflict().is_none();
        let picker = self.picker(first.into()).filter(|_| is_open);
        let Some(picker) = picker else {
            return false;
        };
        ctx.open(picker);
        true
    }

    fn picker(&self, search: String) -> Option<Dialog> {
        let slot = self.slots.get(self.focus)?;
        let SlotValue::Reference { tab, .. } = slot.value else {
            return None;
        };
        let filter = match slot.line() {
            Some(_) => PickerFilter::Orderable,
            None => PickerFilter::All,
        };
        Some(Dialog::Picker {
            tab,
            filter,
            search,
        })
    }

    fn open(&mut self, ctx: &mut Context<'_>) {
        if let Some(picker) = self.picker(String::new()) {
            return ctx.open(picker);
        }
        if self.focus + 1 == self.slots.len() {
            self.save(ctx);
        } else {
            self.focus_field(self.focus + 1);
        }
    }

    /// Moves to another value of a flag or a choice.
    fn step_value(&mut self, by: isize) {
        match &mut self.slots[self.focus].value {
            SlotValue::Flag(on) => *on = !*on,
            SlotValue::Choice { options, index } => {
                let count = options.len() as isize;
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

    /// Removes blank order lines, such as one that was added for another product. Keeps at least one line.
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
            self.message =
                Some("An order needs at least one line. Delete the order instead.".into());
            return;
        }
        self.take_line(line);
    }

    /// The values of the fields as a document for the API.
    fn document(&self) -> Value {
        document_of(&self.slots, self.zone)
    }

    fn focus_error(&mut self) {
        let at_fault = self
            .slots
            .iter()
            .position(|slot| self.error_of(slot).is_some());
        self.focus_field(at_fault.unwrap_or(self.focus));
    }
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
