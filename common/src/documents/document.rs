//! JSON documents: reading one with the place of the first fault, and RFC 7396 merge patches.

pub mod fault;
mod strict;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use self::strict::Strict;
use crate::FieldError;

/// Fields that the server sets, which a caller may be tempted to send back.
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
/// The first fault; an empty pointer where the text is no JSON at all.
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

/// Reads a value that may be left out, but not be null.
///
/// # Errors
/// As `T`.
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
/// The first fault and where it is.
pub fn from_value<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, FieldError> {
    let read: T = serde_path_to_error::deserialize(value)
        .map_err(|error| fault::of(pointer(error.path()), error.inner()))?;
    // A struct can be read from an array as well, where no field has a name, and a word from an object.
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

/// The pointer to a member of what is at `at`.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Refuses `null` for fields that have no empty value: merging it would set them to a default that nobody named,
/// such as a stock of 0.
///
/// # Errors
/// The first of them. `sent` is what the caller sent, `read` the document that came of it.
pub fn refuse_null(sent: &Value, read: &Value) -> Result<(), FieldError> {
    refuse_null_below("", sent, Some(read))
}

fn refuse_null_below(at: &str, sent: &Value, read: Option<&Value>) -> Result<(), FieldError> {
    match sent {
        // What is not in the document at all has no empty value either: it is left out or given.
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

/// Whether a value says nothing: no text, or an object of such values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Writes a wire type as a value. The types of this crate always can be.
pub fn to_value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Takes out of a document, wherever it stands, what the server sets: so that a row as the API answers it
/// can be sent back.
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

/// Refuses a document with members that `read`, which was read from it, does not know.
///
/// # Errors
/// The first of them.
pub fn refuse_unknown(document: &Value, read: &Value) -> Result<(), FieldError> {
    refuse_unknown_below("", document, read)
}

fn refuse_unknown_below(at: &str, document: &Value, read: &Value) -> Result<(), FieldError> {
    match (document, read) {
        (Value::Object(members), Value::Object(known)) => {
            members.iter().try_for_each(|(name, value)| {
                let at = below(at, name);
                let Some(known) = known.get(name) else {
                    return Err(FieldError::new(at, "unknown_field", "is no field of it"));
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
    /// Null where it was not there.
    pub before: Value,
    /// Null where it is not there.
    pub after: Value,
}

/// What differs between two versions of a row, field by field, in the order of their pointers. What
/// differs between any two versions, `version` and `updated_at`, is left out.
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
        // Where elements came or went, those after them do not stand where they stood.
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

/// The merge patch that turns `old` into `new`, with only the members that differ.
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::NewOrder;

    #[test]
    fn merging_follows_the_examples_of_the_rfc() {
        for (mut target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            merge(&mut target, patch);
            assert_eq!(target, merged);
        }
    }

    #[test]
    fn a_difference_merged_gives_the_new_document() {
        let old = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 4}, "e": [1, 2], "f": "x"});
        let patch = difference(&old, &new);
        assert_eq!(
            patch,
            json!({"b": {"c": 4, "d": null}, "e": [1, 2], "f": "x"})
        );
        let mut merged = old;
        merge(&mut merged, patch);
        assert_eq!(merged, new);
    }

    #[test]
    fn changes_are_told_field_by_field() {
        let before =
            json!({"version": 1, "a": {"b": 1, "c": 2}, "items": [{"n": 1}, {"n": 2}], "x": [1]});
        let after = json!({"version": 2, "a": {"b": 1, "d/e": 3}, "items": [{"n": 1}, {"n": 5}], "x": [1, 2]});
        let told: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| (change.pointer, change.before, change.after))
            .collect();
        let expected = [
            ("/a/c", json!(2), Value::Null),
            ("/a/d~1e", Value::Null, json!(3)),
            ("/items/1/n", json!(2), json!(5)),
            ("/x", json!([1]), json!([1, 2])),
        ];
        let expected = expected.map(|(pointer, before, after)| (pointer.to_owned(), before, after));
        assert_eq!(told, expected);
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn what_the_server_sets_is_taken_out() {
        let mut order = json!({"id": 1, "total_minor": 2, "note": "x", "items": [{"line_no": 1, "quantity": 3}]});
        strip_read_only(&mut order);
        assert_eq!(order, json!({"note": "x", "items": [{"quantity": 3}]}));
    }

    #[test]
    fn members_that_nobody_knows_are_found() {
        let read = json!({"a": 1, "b": [{"c": 2}], "d": {"e": 3}});
        let refused = |document: Value| refuse_unknown(&document, &read).unwrap_err().pointer;
        assert_eq!(refuse_unknown(&json!({"b": [{}], "a": 5}), &read), Ok(()));
        assert_eq!(refused(json!({"x": 1})), "/x");
        assert_eq!(refused(json!({"b": [{"x/y": 1}]})), "/b/0/x~1y");
        assert_eq!(refused(json!({"d": {"e": 3, "f": 4}})), "/d/f");
    }

    #[test]
    fn a_fault_is_named_by_its_place() {
        let customer = "0192d3f0-0000-7000-8000-000000000000";
        let fault = |items: Value| {
            let error = from_value::<NewOrder>(&json!({"customer_id": customer, "items": items}));
            let error = error.unwrap_err();
            (error.pointer, error.code)
        };
        let named = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
        assert_eq!(
            fault(json!([{"product_id": customer, "quantity": "3"}])),
            named("/items/0/quantity", "wrong_type")
        );
        assert_eq!(
            fault(json!([{"product_id": customer, "quantity": 3, "colour": 1}])),
            named("/items/0/colour", "unknown_field")
        );
        assert_eq!(
            fault(json!([{"product_id": customer, "quantity": 3, "line_no": 1}])),
            named("/items/0/line_no", "read_only")
        );
        assert_eq!(
            fault(json!([{"quantity": 3}])),
            named("/items/0/product_id", "required")
        );
        assert_eq!(
            fault(json!([[customer, 1]])),
            named("/items/0", "wrong_type")
        );
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth() {
        for (text, at) in [
            (r#"{"a": 1, "a": 2}"#, ""),
            (r#"{"b": [{"c": {"a": 1, "a": 1}}]}"#, "/b/0/c"),
        ] {
            let fault = parse(text.as_bytes()).unwrap_err();
            assert_eq!((&*fault.pointer, &*fault.code), (at, "repeated"));
            assert_eq!(fault.message, "names `a` twice");
        }
        let kept = r#"{"a":[1,-2,2.5,null,true,"x"],"b":{"a":{}}}"#;
        assert_eq!(parse(kept.as_bytes()).unwrap().to_string(), kept);
    }

    #[test]
    fn null_is_refused_where_it_would_set_a_default() {
        let read = json!({"stock": 0, "note": "", "address": {"city": ""}, "active": true});
        let refused = |sent: Value| refuse_null(&sent, &read).map_err(|fault| fault.pointer);
        assert_eq!(refused(json!({"stock": null})), Err("/stock".into()));
        assert_eq!(refused(json!({"active": null})), Err("/active".into()));
        let empty = json!({"note": null, "address": null, "stock": 0});
        assert_eq!(refused(empty), Ok(()));
        assert_eq!(refused(json!({"address": {"city": null}})), Ok(()));
        assert_eq!(
            refused(json!({"placed_at": null})),
            Err("/placed_at".into())
        );
        let line = json!({"items": [{"quantity": 1, "unit_price_minor": null}]});
        let read = json!({"items": [{"quantity": 1}]});
        let fault = refuse_null(&line, &read).unwrap_err();
        assert_eq!(fault.pointer, "/items/0/unit_price_minor");
    }
}
