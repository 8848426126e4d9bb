//! JSON documents: reading one with the location of the first error, RFC 7396 merge patches, and the differences
//! between two versions.

pub mod fault;
mod strict;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use self::strict::Strict;
use crate::FieldError;

/// Fields that the server sets, and that callers may send back by mistake.
const READ_ONLY: &[&str] = &[
    "id",
    "version",
    "created_at",
    "updated_at",
    "number",
    "total_minor",
    "line_no",
];

/// Reads JSON text.
///
/// # Errors
/// The first error; its pointer is empty if the text is not JSON.
pub fn parse(text: &[u8]) -> Result<Value, FieldError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let Strict(read) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let is_syntax = !error.inner().is_data();
        let pointer = if is_syntax {
            String::new()
        } else {
            pointer(error.path())
        };
        fault::of(pointer, error.inner())
    })?;
    json.end()
        .map_err(|error| fault::of(String::new(), &error))?;
    Ok(read)
}

/// Reads a `T` from JSON text.
///
/// # Errors
/// As [`parse`] and [`from_value`].
pub fn from_slice<T: DeserializeOwned + Serialize>(text: &[u8]) -> Result<T, FieldError> {
    from_value(&parse(text)?)
}

/// Reads a value that may be absent but not null.
///
/// # Errors
/// The errors of reading a `T`.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a `T` from a JSON value.
///
/// # Errors
/// The first error and its location.
pub fn from_value<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, FieldError> {
    let read: T = serde_path_to_error::deserialize(value)
        .map_err(|error| fault::of(pointer(error.path()), error.inner()))?;
    // Serde also reads a struct from an array, without field names, and a unit variant from an object. Refuse both.
    refuse_other_kinds("", value, &to_value(&read))?;
    Ok(read)
}

fn refuse_other_kinds(at: &str, document: &Value, read: &Value) -> Result<(), FieldError> {
    match (document, read) {
        (Value::Array(_) | Value::Object(_), Value::String(_))
        | (Value::Array(_), Value::Object(_)) => {
            let (found, wanted) = (kind(document), kind(read));
            let message = format!("is {found}; it must be {wanted}");
            Err(FieldError::new(at, "wrong_type", message))
        }
        (Value::Array(elements), Value::Array(known)) => {
            let mut pairs = elements.iter().zip(known).enumerate();
            pairs.try_for_each(|(index, (element, known))| {
                refuse_other_kinds(&format!("{at}/{index}"), element, known)
            })
        }
        (Value::Object(members), Value::Object(known)) => {
            members.iter().try_for_each(|(name, member)| {
                let Some(known) = known.get(name) else {
                    return Ok(());
                };
                refuse_other_kinds(&below(at, name), member, known)
            })
        }
        _ => Ok(()),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The pointer to the member `name` of the value at `at`.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Refuses `null` for fields that have no empty value: merging it would set them to a default that the caller did not
/// name, such as a stock of 0. `sent` is what the caller sent, and `read` is the resulting document.
///
/// # Errors
/// The first such field.
pub fn refuse_null(sent: &Value, read: &Value) -> Result<(), FieldError> {
    refuse_null_below("", sent, Some(read))
}

fn refuse_null_below(at: &str, sent: &Value, read: Option<&Value>) -> Result<(), FieldError> {
    match sent {
        // A field that is missing from the document has no empty value either: the caller omits it or sends a value.
        Value::Null if read.is_none_or(|read| !is_empty(read)) => {
            let message = "is null; leave it out, or send a value";
            Err(FieldError::new(at, "wrong_type", message))
        }
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let known = read.and_then(|read| read.get(name));
            refuse_null_below(&below(at, name), member, known)
        }),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .try_for_each(|(index, element)| {
                let known = read.and_then(|read| read.get(index));
                refuse_null_below(&format!("{at}/{index}"), element, known)
            }),
        _ => Ok(()),
    }
}

/// Whether a value is empty: null, an empty text, or an object of such values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Converts a wire type to a JSON value. This never fails for the types of this crate.
pub fn to_value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Removes the fields that the server sets from a document, at any depth, so that a row can be sent back as the API
/// returned it.
pub fn strip_read_only(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
            members.values_mut().for_each(strip_read_only);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip_read_only),
        _ => {}
    }
}

/// Refuses a document with members that are missing from `read`, which was read from it.
///
/// # Errors
/// The first such member.
pub fn refuse_unknown(document: &Value, read: &Value) -> Result<(), FieldError> {
    refuse_unknown_below("", document, read)
}

fn refuse_unknown_below(at: &str, document: &Value, read: &Value) -> Result<(), FieldError> {
    match (document, read) {
        (Value::Object(members), Value::Object(known)) => {
            members.iter().try_for_each(|(name, value)| {
                let at = below(at, name);
                let Some(known) = known.get(name) else {
                    return Err(FieldError::new(at, "unknown_field", "is not a field of it"));
                };
                refuse_unknown_below(&at, value, known)
            })
        }
        (Value::Array(elements), Value::Array(known)) => {
            let pairs = elements.iter().zip(known).enumerate();
            pairs.into_iter().try_for_each(|(index, (value, known))| {
                refuse_unknown_below(&format!("{at}/{index}"), value, known)
            })
        }
        _ => Ok(()),
    }
}

/// Applies an RFC 7396 merge patch: objects merge, `null` removes, everything else replaces.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A field that differs between two versions of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// A JSON pointer.
    pub pointer: String,
    /// Null if the field did not exist.
    pub before: Value,
    /// Null if the field no longer exists.
    pub after: Value,
}

/// The differences between two versions of a row, field by field, in the order of their pointers. Omits `version` and
/// `updated_at`, which differ between any two versions.
pub fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    add_changes("", before, after, &mut changes);
    changes.retain(|change| !matches!(change.pointer.as_str(), "/version" | "/updated_at"));
    changes
}

fn add_changes(at: &str, before: &Value, after: &Value, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let at = below(at, name);
                let member = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                add_changes(&at, &member(old), &member(new), changes);
            }
        }
        // If elements were added or removed, later elements have moved: then the whole list counts as one field.
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                add_changes(&format!("{at}/{index}"), old, new, changes);
            }
        }
        _ => changes.push(FieldChange {
            pointer: at.into(),
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

/// The merge patch that turns `old` into `new`; it has only the members that differ.
pub fn difference(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return new.clone();
    };
    let mut patch = Map::new();
    for (name, value) in new {
        match old.get(name) {
            Some(before) if before == value => {}
            Some(before @ Value::Object(_)) if value.is_object() => {
                patch.insert(name.clone(), difference(before, value));
            }
            _ => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Value::Object(patch)
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer = below(&pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests;
