//! Labels of fields, for users.

use crate::model::text;

/// Turns a JSON pointer into a label: `/address/postal_code` is `postal code`, `/items/0/quantity` is
/// `line 1 quantity`.
pub fn field_label(pointer: &str) -> String {
    let parts: Vec<&str> = pointer.split('/').filter(|part| !part.is_empty()).collect();
    let last = parts.last().copied().unwrap_or_default();
    let label = last
        .replace("_minor", "")
        .replace("_id", "")
        .replace('_', " ");
    let line = |index: &str| {
        index
            .parse()
            .ok()
            .map(|index: usize| index.saturating_add(1))
    };
    let label = match parts.as_slice() {
        ["items"] => "lines".into(),
        ["items", index, ..] => match line(index) {
            Some(line) => format!("line {line} {label}"),
            None => label,
        },
        _ => label,
    };
    text::clean(&label).into_owned()
}
