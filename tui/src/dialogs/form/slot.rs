//! A form field with its current input, and the conversion to and from JSON.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    dialogs::line::Line,
    model::{
        entity::{Field, FieldKind, Presence},
        names::Reference,
        query::Chip,
        tab::Tab,
        text::{self, Zone},
    },
};

#[derive(Clone, Debug)]
pub struct Slot {
    /// The JSON pointer of the value in the document, or the name of a filter.
    pub pointer: String,
    pub label: String,
    pub value: SlotValue,
    pub is_required: bool,
    /// Whether the user has changed the field or tried to save. Before that it reports no error.
    pub is_touched: bool,
    kind: FieldKind,
}

#[derive(Clone, Debug)]
pub enum SlotValue {
    Text(Line),
    Flag(bool),
    Choice {
        options: &'static [&'static str],
        index: usize,
    },
    Reference {
        tab: Tab,
        id: Option<Uuid>,
    },
}

impl Slot {
    /// The slots of the fields, with values from a document. Order lines get one blank line if the document has none.
    pub fn of_fields<'a>(
        fields: impl Iterator<Item = &'a Field>,
        document: &Value,
        zone: Zone,
    ) -> Vec<Self> {
        fields
            .flat_map(|field| match field.kind {
                FieldKind::Lines => {
                    let lines = document.pointer(field.pointer).and_then(Value::as_array);
                    let first = vec![json!({"quantity": 1})];
                    let lines = lines.unwrap_or(&first).iter().enumerate();
                    lines
                        .flat_map(|(line, item)| Self::of_line(line, item))
                        .collect()
                }
                kind => {
                    let mut slot = Self::new(field.pointer, field.label, kind);
                    slot.is_required = field.presence == Presence::Required;
                    slot.load(at(document, field.pointer), zone);
                    vec![slot]
                }
            })
            .collect()
    }

    /// The slots of one order line.
    pub fn of_line(line: usize, item: &Value) -> Vec<Self> {
        let parts = [
            ("product_id", "Product", FieldKind::Reference(Tab::Products)),
            ("quantity", "Quantity", FieldKind::Integer),
            ("unit_price_minor", "Price", FieldKind::Money),
        ];
        parts
            .into_iter()
            .map(|(name, label, kind)| {
                let mut slot = Self::new(&format!("/items/{line}/{name}"), label, kind);
                // An empty price means the product's price.
                slot.is_required = name != "unit_price_minor";
                slot.load(item.get(name), Zone::Utc);
                slot
            })
            .collect()
    }

    fn new(pointer: &str, label: &str, kind: FieldKind) -> Self {
        let value = match kind {
            FieldKind::Flag => SlotValue::Flag(true),
            FieldKind::Choice(options) => SlotValue::Choice { options, index: 0 },
            FieldKind::Reference(tab) => SlotValue::Reference { tab, id: None },
            FieldKind::Text
            | FieldKind::Integer
            | FieldKind::Money
            | FieldKind::Time
            | FieldKind::Lines => SlotValue::Text(Line::default()),
        };
        Self {
            pointer: pointer.into(),
            label: label.into(),
            value,
            is_required: false,
            is_touched: false,
            kind,
        }
    }

    /// Whether the slot belongs to the field: it is the field's only slot, or part of an order line.
    pub fn belongs_to(&self, field: &Field) -> bool {
        match field.kind {
            FieldKind::Lines => self.line().is_some(),
            _ => self.pointer == field.pointer,
        }
    }

    /// Whether the slot is still as in a new order line.
    pub fn is_blank(&self) -> bool {
        match &self.value {
            SlotValue::Text(line) => {
                let first = if self.pointer.ends_with("/quantity") {
                    "1"
                } else {
                    ""
                };
                line.text().trim().is_empty() || line.text() == first
            }
            SlotValue::Reference { id, .. } => id.is_none(),
            SlotValue::Flag(_) | SlotValue::Choice { .. } => true,
        }
    }

    /// The index of its order line, from 0; none if it does not belong to one.
    pub fn line(&self) -> Option<usize> {
        self.pointer
            .strip_prefix("/items/")?
            .split('/')
            .next()?
            .parse()
            .ok()
    }

    /// Adjusts the index of its order line after an earlier line was removed.
    pub fn renumber_after(&mut self, removed: usize) {
        if let Some(line) = self.line().filter(|line| *line > removed) {
            let (from, to) = (format!("/items/{line}/"), format!("/items/{}/", line - 1));
            self.pointer = self.pointer.replacen(&from, &to, 1);
        }
    }

    /// Sets the value from a document; keeps the default if the document has none.
    pub fn load(&mut self, value: Option<&Value>, zone: Zone) {
        let Some(value) = value else {
            return;
        };
        match &mut self.value {
            SlotValue::Text(line) => {
                let shown = match self.kind {
                    FieldKind::Money => value.as_i64().map(text::money),
                    FieldKind::Time => {
                        let at = value.as_str().and_then(|text| text.parse().ok());
                        at.map(|at| text::time(at, zone))
                    }
                    FieldKind::Integer => value.as_i64().map(|number| number.to_string()),
                    _ => None,
                };
                *line = Line::new(shown.unwrap_or_else(|| text_of(value)));
            }
            SlotValue::Flag(on) => *on = value.as_bool().unwrap_or(*on),
            SlotValue::Choice { options, index } => {
                let word = value.as_str().unwrap_or_default();
                *index = options
                    .iter()
                    .position(|known| *known == word)
                    .unwrap_or(*index);
            }
            SlotValue::Reference { id, .. } => {
                *id = value.as_str().and_then(|text| text.parse().ok());
            }
        }
    }

    /// The value for the document; none if nothing is chosen or the text cannot be parsed.
    pub fn json(&self, zone: Zone) -> Option<Value> {
        match &self.value {
            SlotValue::Text(line) => {
                let typed = line.text();
                match self.kind {
                    FieldKind::Integer => integer(typed).map(Value::from),
                    FieldKind::Money => text::parse_money(typed).map(Value::from),
                    FieldKind::Time => {
                        let at = text::parse_time(typed, zone)?;
                        Some(Value::String(
                            at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                        ))
                    }
                    _ => Some(Value::String(typed.to_owned())),
                }
            }
            SlotValue::Flag(on) => Some(Value::Bool(*on)),
            SlotValue::Choice { options, index } => {
                let word = options[*index];
                (!word.is_empty()).then(|| Value::String(word.to_owned()))
            }
            SlotValue::Reference { id, .. } => id.map(|id| Value::String(id.to_string())),
        }
    }

    /// The value as text for people.
    pub(crate) fn text(&self) -> String {
        match &self.value {
            SlotValue::Text(line) => line.text().to_owned(),
            SlotValue::Flag(true) => "yes".into(),
            SlotValue::Flag(false) => "no".into(),
            SlotValue::Choice { options, index } => options[*index].into(),
            SlotValue::Reference { .. } => "another one".into(),
        }
    }

    /// The error that the field detects without the other fields: it is empty but required, or cannot be parsed.
    pub fn error(&self, zone: Zone) -> Option<String> {
        if !self.is_touched {
            return None;
        }
        let empty = match &self.value {
            SlotValue::Text(line) => line.text().trim().is_empty(),
            SlotValue::Reference { id, .. } => id.is_none(),
            _ => false,
        };
        if empty {
            return self.is_required.then(|| match self.value {
                SlotValue::Reference { .. } => "press Enter to choose".into(),
                _ => "must not be empty".into(),
            });
        }
        if self.json(zone).is_some() || matches!(self.value, SlotValue::Choice { .. }) {
            return None;
        }
        Some(match self.kind {
            FieldKind::Money => "is not an amount; write it like 12.50".into(),
            FieldKind::Time => "is not a time; write it like 2026-11-24 09:30".into(),
            _ => "is not a whole number; write the new value, without a sign".into(),
        })
    }

    /// The filter that the field sets; none if it is empty.
    pub fn chip(&self, zone: Zone) -> Option<Chip> {
        let value = text_of(&self.json(zone)?);
        if value.is_empty() {
            return None;
        }
        let shown = match &self.value {
            SlotValue::Text(line) => line.text().to_owned(),
            _ => value.clone(),
        };
        let reference = match self.value {
            SlotValue::Reference { tab, id: Some(id) } => Some(Reference { tab, id }),
            _ => None,
        };
        Some(Chip {
            name: self.pointer.clone(),
            value,
            label: format!("{} {shown}", self.label),
            reference,
        })
    }
}

/// The value at a JSON pointer, or of a filter with that name.
pub(super) fn at<'a>(document: &'a Value, pointer: &str) -> Option<&'a Value> {
    document.pointer(&format!("/{}", pointer.trim_start_matches('/')))
}

/// Sets the value at a JSON pointer. Creates missing objects and arrays.
pub(super) fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut at = document;
    let mut parts = pointer.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        if let Ok(index) = part.parse::<usize>() {
            if !at.is_array() {
                *at = json!([]);
            }
            let Value::Array(items) = at else { return };
            while items.len() <= index {
                items.push(Value::Null);
            }
            at = &mut items[index];
        } else {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(members) = at else { return };
            at = members.entry(part).or_insert(Value::Null);
        }
        if parts.peek().is_none() {
            *at = value;
            return;
        }
    }
}

/// A JSON value as text: a string without quotes, nothing for null.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Parses `1000` or `1,000`. Rejects a leading `+`, because the user may mean to add to the old value, which the form
/// cannot do.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let number = text::ungrouped(text).filter(|_| !text.starts_with('+'));
    number?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_where_the_pointer_says() {
        let mut document = json!({});
        set(&mut document, "/name", json!("a"));
        set(&mut document, "/address/city", json!("b"));
        set(&mut document, "/items/0/quantity", json!(1));
        set(&mut document, "/items/1/quantity", json!(2));
        let expected = json!({
            "name": "a",
            "address": {"city": "b"},
            "items": [{"quantity": 1}, {"quantity": 2}],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_line_moves_up_when_an_earlier_one_goes() {
        let mut slots = Slot::of_line(2, &json!({}));
        slots[0].renumber_after(1);
        slots[1].renumber_after(2);
        assert_eq!(slots[0].pointer, "/items/1/product_id");
        assert_eq!(slots[1].pointer, "/items/2/quantity");
    }
}
