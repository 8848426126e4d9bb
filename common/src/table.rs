//! Rows as tables, as CSV files hold them: which columns there are and what stands in their cells.

use serde_json::{Map, Number, Value};

use crate::FieldError;

/// A column of a table of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// A JSON pointer into the row, without the first slash.
    pub pointer: &'static str,
    holds: Holds,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Any text, also the empty one.
    Text,
    /// A text that is never empty: an id, an instant, a status.
    Word,
    Integer,
    Flag,
    /// A list or an object, as JSON.
    Json,
}

impl Column {
    pub const fn text(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Text)
    }

    pub const fn word(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Word)
    }

    pub const fn integer(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Integer)
    }

    pub const fn flag(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Flag)
    }

    pub const fn json(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Json)
    }

    const fn new(pointer: &'static str, holds: Holds) -> Self {
        Self { pointer, holds }
    }

    /// What stands in the header: `address.city`.
    pub fn name(&self) -> String {
        self.pointer.replace('/', ".")
    }

    /// The cell of a row.
    pub fn write(&self, row: &Value) -> String {
        match row.pointer(&format!("/{}", self.pointer)) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// The value of a cell; none where an empty one says nothing. What cannot be one is left as text, for
    /// the type of the field to refuse.
    fn read(&self, cell: &str) -> Option<Value> {
        let text = || Value::String(cell.to_owned());
        let trimmed = cell.trim();
        if trimmed.is_empty() && self.holds != Holds::Text {
            return None;
        }
        Some(match self.holds {
            Holds::Text => text(),
            Holds::Word => Value::String(trimmed.to_owned()),
            Holds::Integer => trimmed
                .parse::<i64>()
                .map_or_else(|_| text(), |value| Value::Number(Number::from(value))),
            // As spreadsheets write it.
            Holds::Flag if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
            Holds::Flag if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
            Holds::Flag => text(),
            Holds::Json => serde_json::from_str(trimmed).unwrap_or_else(|_| text()),
        })
    }
}

/// The columns that a header names, in its order.
///
/// # Errors
/// A name that is no column, or that stands there twice.
pub fn read_header<'a>(
    columns: &'static [Column],
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<Column>, FieldError> {
    let mut found: Vec<Column> = Vec::new();
    for name in names {
        let name = name.trim();
        let Some(column) = columns.iter().find(|column| column.name() == name) else {
            let known: Vec<String> = columns.iter().map(Column::name).collect();
            let message = format!(
                "there is no column `{name}`; there are {}",
                known.join(", ")
            );
            return Err(FieldError::new("", "unknown_field", message));
        };
        if found.contains(column) {
            let message = format!("the column `{name}` stands there twice");
            return Err(FieldError::new("", "repeated", message));
        }
        found.push(*column);
    }
    Ok(found)
}

/// The row that stands in the cells of those columns; an empty cell leaves its field out, but where the field
/// is a text.
///
/// # Errors
/// As many cells as there are columns are needed.
pub fn read_row<'a>(
    columns: &[Column],
    cells: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Value, FieldError> {
    if cells.len() != columns.len() {
        let message = format!(
            "has {} cells, and the header has {}",
            cells.len(),
            columns.len()
        );
        return Err(FieldError::new("", "syntax", message));
    }
    let mut row = Value::Object(Map::new());
    for (column, cell) in columns.iter().zip(cells) {
        let Some(value) = column.read(cell) else {
            continue;
        };
        let mut place = &mut row;
        for name in column.pointer.split('/') {
            place = &mut place[name];
        }
        *place = value;
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Customer, Product, Resource};

    fn read<R: Resource>(names: &[&str], cells: &[&str]) -> Value {
        let columns = read_header(R::TABLE_COLUMNS, names.iter().copied()).unwrap();
        read_row(&columns, cells.iter().copied()).unwrap()
    }

    #[test]
    fn cells_become_what_their_column_holds() {
        assert_eq!(
            read::<Product>(
                &["sku", "stock", " price_minor ", "active", "description"],
                &["007", " 12 ", "12.50", "TRUE", ""]
            ),
            json!({"sku": "007", "stock": 12, "price_minor": "12.50", "active": true, "description": ""})
        );
        assert_eq!(
            read::<Product>(&["id", "stock", "active"], &["", " ", ""]),
            json!({}),
            "an empty cell says nothing"
        );
        assert_eq!(
            read::<Customer>(&["address.city", "address.country"], &["Cork", "IE"]),
            json!({"address": {"city": "Cork", "country": "IE"}})
        );
    }

    #[test]
    fn a_header_names_columns_once() {
        let header = |names: &[&'static str]| {
            read_header(Product::TABLE_COLUMNS, names.iter().copied()).unwrap_err()
        };
        assert_eq!(header(&["sku", "colour"]).code, "unknown_field");
        assert_eq!(header(&["sku", "sku"]).code, "repeated");
        let columns = read_header(Product::TABLE_COLUMNS, ["sku"].into_iter()).unwrap();
        assert_eq!(
            read_row(&columns, ["a", "b"].into_iter()).unwrap_err().code,
            "syntax"
        );
    }
}
