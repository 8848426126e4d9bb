//! Converts the errors of serde to messages for the author of the document.

use serde_json::Error;

use crate::FieldError;

use super::READ_ONLY;

/// What chrono reports for text that is not a time.
const NO_TIME: &[&str] = &[
    "input contains invalid characters",
    "input is out of range",
    "input is not enough for unique date and time",
    "no possible date and time matching input",
    "premature end of input",
    "trailing input",
];

/// The error at `pointer`. For a missing field, its name is added to the pointer.
pub(super) fn of(pointer: String, error: &Error) -> FieldError {
    let text = error.to_string();
    if !error.is_data() {
        return FieldError::new(pointer, "syntax", format!("is not JSON: {text}"));
    }
    // The pointer already gives the location.
    let text = match error.line() {
        0 => text.as_str(),
        _ => text
            .rsplit_once(" at line ")
            .map_or(&*text, |(error, _)| error),
    };
    let name = pointer.rsplit('/').next().unwrap_or_default();
    if let Some(rest) = text.strip_prefix("unknown field ") {
        return match (READ_ONLY.contains(&name), known(rest)) {
            (true, _) => {
                FieldError::new(pointer, "read_only", "is set by the server; leave it out")
            }
            (false, None) => FieldError::new(pointer, "unknown_field", "is not known here"),
            (false, Some(known)) => {
                let message = format!("is not known here; known are {known}");
                FieldError::new(pointer, "unknown_field", message)
            }
        };
    }
    if let Some(rest) = text.strip_prefix("missing field ") {
        let missing = quoted(rest).unwrap_or_default();
        return FieldError::new(format!("{pointer}/{missing}"), "required", "is missing");
    }
    if let Some(rest) = text.strip_prefix("duplicate field ") {
        let message = format!("has `{}` twice", quoted(rest).unwrap_or_default());
        return FieldError::new(pointer, "repeated", message);
    }
    let code = if text.starts_with("unknown variant ") {
        "unknown_value"
    } else {
        "wrong_type"
    };
    FieldError::new(pointer, code, value_message(text))
}

/// The message about a value, derived from that of serde.
pub fn value_message(text: &str) -> String {
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        let (value, known) = (quoted(rest).unwrap_or_default(), known(rest));
        return format!("is `{value}`; it may be {}", known.unwrap_or_default());
    }
    if NO_TIME.contains(&text) {
        return "is not a time; write it like 2026-11-24T09:30:00Z".into();
    }
    if text.starts_with("invalid length") && text.contains(", expected struct ") {
        return "is a list; it must be an object".into();
    }
    if text.starts_with("UUID parsing failed") {
        return "is not an id; ids are UUIDs".into();
    }
    if let Some(rest) = text.strip_prefix("invalid value: integer ")
        && rest.ends_with(", expected i64")
    {
        return format!(
            "is {}, which is too large",
            quoted(rest).unwrap_or_default()
        );
    }
    let found = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "));
    let Some((found, expected)) = found.and_then(|text| text.rsplit_once(", expected ")) else {
        return text.to_owned();
    };
    format!("is {}; it must be {}", is(found), must_be(expected))
}

/// Turns `string "x"` into `"x"`, and `integer `7`` into `7`.
fn is(found: &str) -> String {
    let value = ["string ", "integer ", "floating point ", "boolean "]
        .iter()
        .find_map(|kind| found.strip_prefix(kind));
    match (value, found) {
        (Some(value), _) => value.trim_matches('`').to_owned(),
        (None, "map") => "an object".into(),
        (None, "sequence") => "a list".into(),
        (None, found) => found.to_owned(),
    }
}

fn must_be(expected: &str) -> &str {
    match expected {
        "i32" => "a whole number of at most 2147483647",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" => "a whole number",
        "u64" | "u16" | "u8" => "a whole number, and not negative",
        "f64" => "a number",
        // What serde expects for a unit variant of an enum.
        "a string" | "string or map" | "map with a single key" | "unit" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "a formatted UUID string" | "UUID string" => "an id, which is a UUID",
        "an RFC 3339 formatted date and time string" => "a time, such as 2026-11-24T09:30:00Z",
        expected if expected.starts_with("struct ") => "an object",
        expected if expected.starts_with("internally tagged ") => "an object",
        expected => expected,
    }
}

/// The first name in backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

/// The names that serde expects instead.
fn known(text: &str) -> Option<String> {
    let (_, expected) = text.split_once(", expected ")?;
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use crate::{NewOrder, NewProduct, OrderStatus, document, seed::NewSeedJob};

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Status {
        status: OrderStatus,
    }

    fn fault<T>(value: Value) -> String
    where
        T: serde::de::DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let error = document::from_value::<T>(&value).unwrap_err();
        // Bytes give the same error as values.
        let bytes = document::from_slice::<T>(value.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, bytes);
        format!("{} {}: {}", error.code, error.pointer, error.message)
    }

    #[test]
    fn faults_name_no_type_of_the_program() {
        let product = |field: &str, value: Value| {
            let mut product = json!({
                "category_id": "0192d3f0-0000-7000-8000-000000000000", "sku": "A", "name": "A",
                "price_minor": 1, "stock": 1,
            });
            product[field] = value;
            fault::<NewProduct>(product)
        };
        errors_are(&[
            (
                product("price_minor", json!("much")),
                "wrong_type /price_minor: is \"much\"; it must be a whole number",
            ),
            (
                product("price_minor", json!(1.5)),
                "wrong_type /price_minor: is 1.5; it must be a whole number",
            ),
            (
                product("name", json!(["A"])),
                "wrong_type /name: is a list; it must be text",
            ),
            (
                product("active", json!("yes")),
                "wrong_type /active: is \"yes\"; it must be true or false",
            ),
            (
                product("category_id", json!("tea")),
                "wrong_type /category_id: is not an id; ids are UUIDs",
            ),
            (
                product("version", json!(1)),
                "read_only /version: is set by the server; leave it out",
            ),
            (
                fault::<NewSeedJob>(json!({"orders": 1})),
                "required /seed: is missing",
            ),
            (
                fault::<NewSeedJob>(json!({"seed": -1})),
                "wrong_type /seed: is -1; it must be a whole number from 0 to 4294967295",
            ),
            (
                fault::<NewSeedJob>(json!({"seed": 1, "until": "soon"})),
                "wrong_type /until: is not a time; write it like 2026-11-24T09:30:00Z",
            ),
            (
                fault::<Status>(json!({"status": "lost"})),
                "unknown_value /status: is `lost`; it may be pending, paid, shipped, delivered, cancelled, returned",
            ),
            (
                fault::<Status>(json!({"status": ["paid"]})),
                "wrong_type /status: is a list; it must be text",
            ),
            (
                fault::<Status>(json!({"status": {}})),
                "wrong_type /status: is an object; it must be text",
            ),
            (
                fault::<Status>(json!({"status": {"paid": {}}})),
                "wrong_type /status: is an object; it must be text",
            ),
            (
                fault::<Status>(json!({"state": "paid"})),
                "unknown_field /state: is not known here; known are status",
            ),
            (
                fault::<NewOrder>(
                    json!({"customer_id": "0192d3f0-0000-7000-8000-000000000000", "items": {}}),
                ),
                "wrong_type /items: is an object; it must be a list",
            ),
            (
                fault::<NewOrder>(json!([])),
                "wrong_type : is a list; it must be an object",
            ),
        ]);
    }

    #[test]
    fn text_that_is_not_json_is_reported_as_such() {
        let torn = document::from_slice::<Value>(b"{\"a\":").unwrap_err();
        assert_eq!(torn.code, "syntax");
        assert!(
            torn.message.starts_with("is not JSON: "),
            "{}",
            torn.message
        );
    }

    fn errors_are(errors: &[(String, &str)]) {
        for (error, wanted) in errors {
            assert_eq!(error, wanted);
        }
    }
}
