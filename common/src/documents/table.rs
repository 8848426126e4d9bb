//! Rows as tables, as in CSV files: the columns, and the content of their cells.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{FieldError, check, document};

/// A column of a table of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// A JSON pointer into the row, without the first slash.
    pub pointer: &'static str,
    holds: Holds,
}

/// The type of the cells in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Any text, possibly empty.
    Text,
    /// One line of text, possibly empty; white space at its ends is not part of it.
    Line,
    /// Text that is never empty: an id, an instant, a status.
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

    pub const fn line(pointer: &'static str) -> Self {
        Self::new(pointer, Holds::Line)
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

    /// The name of the column in the header, such as `address.city`.
    pub fn name(&self) -> String {
        self.pointer.replace('/', ".")
    }

    /// The cell of this column for a row.
    pub fn write(&self, row: &Value) -> String {
        match row.pointer(&format!("/{}", self.pointer)) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// Converts a text of the row to the form in which it is stored and compared: composed characters (NFC), and no
    /// white space around a line. Otherwise rows that look the same could be stored as different rows.
    fn normalize(&self, row: &mut Value) {
        let Some(Value::String(text)) = row.pointer_mut(&format!("/{}", self.pointer)) else {
            return;
        };
        let trimmed = match self.holds {
            Holds::Line => check::trimmed(text),
            _ => text,
        };
        match composed(trimmed) {
            Cow::Borrowed(same) if same.len() == text.len() => {}
            changed => *text = changed.into_owned(),
        }
    }

    /// The value of a cell; none for an empty cell, except in text columns. A cell that cannot be converted stays
    /// text, so that the type of the field refuses it.
    fn read(&self, cell: &str) -> Option<Value> {
        let text = || Value::String(cell.to_owned());
        let trimmed = cell.trim();
        if trimmed.is_empty() && !matches!(self.holds, Holds::Text | Holds::Line) {
            return None;
        }
        Some(match self.holds {
            Holds::Text | Holds::Line => text(),
            Holds::Word => Value::String(trimmed.to_owned()),
            Holds::Integer => {
                whole(trimmed).map_or_else(text, |value| Value::Number(Number::from(value)))
            }
            // Spreadsheets write TRUE and FALSE.
            Holds::Flag if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
            Holds::Flag if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
            Holds::Flag => text(),
            Holds::Json => document::parse(trimmed.as_bytes()).unwrap_or_else(|_| text()),
        })
    }
}

/// Reads a whole number, including one that a spreadsheet wrote with decimals (`40.0`). Refuses a leading `+`, which
/// may be meant as a relative change.
fn whole(text: &str) -> Option<i64> {
    if text.starts_with('+') {
        return None;
    }
    let whole = match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

/// Text in composed form (NFC): a letter and its marks are one character if such a character exists. All text is stored
/// in this form, so search terms need it as well.
pub fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Converts the texts of a row to the form in which they are stored.
pub fn normalize(columns: &[Column], row: &mut Value) {
    columns.iter().for_each(|column| column.normalize(row));
}

/// The columns of a header, in its order; none for a column without a name.
pub type Header = Vec<Option<Column>>;

/// Reads a header. Names match in any case.
///
/// # Errors
/// If a name is unknown or occurs twice.
pub fn read_header<'a>(
    columns: &'static [Column],
    names: impl Iterator<Item = &'a str>,
) -> Result<Header, FieldError> {
    let mut found = Header::new();
    for name in names {
        let name = name.trim();
        if name.is_empty() {
            found.push(None);
            continue;
        }
        let mut known = columns.iter();
        let Some(column) = known.find(|column| column.name().eq_ignore_ascii_case(name)) else {
            let known: Vec<String> = columns.iter().map(Column::name).collect();
            let message = format!(
                "there is no column `{name}`; there are {}",
                known.join(", ")
            );
            return Err(FieldError::new("", "unknown_field", message));
        };
        if found.contains(&Some(*column)) {
            let message = format!("the column `{name}` is there twice");
            return Err(FieldError::new("", "repeated", message));
        }
        found.push(Some(*column));
    }
    Ok(found)
}

/// Reads a row from its cells. An empty cell omits its field, unless the field is a text: then the text is empty.
///
/// # Errors
/// If the number of cells differs from the number of columns, or a column without a name has a value.
pub fn read_row(columns: &[Option<Column>], cells: &[&str]) -> Result<Value, FieldError> {
    let common = columns.len().min(cells.len());
    let (known, rest) = cells.split_at(common);
    // The number of trailing empty cells and trailing columns without a name does not matter.
    let has_wrong_cell_count = columns[common..].iter().any(Option::is_some)
        || rest.iter().any(|cell| !cell.trim().is_empty());
    if has_wrong_cell_count {
        let message = format!(
            "has {} cells, and the header has {}",
            cells.len(),
            columns.len()
        );
        return Err(FieldError::new("", "syntax", message));
    }
    let mut row = Value::Object(Map::new());
    for ((index, column), cell) in columns.iter().enumerate().zip(known) {
        let Some(column) = column else {
            if cell.trim().is_empty() {
                continue;
            }
            let message = format!("has a value in column {}, which has no name", index + 1);
            return Err(FieldError::new("", "syntax", message));
        };
        let Some(value) = column.read(cell) else {
            continue;
        };
        let mut target = &mut row;
        for name in column.pointer.split('/') {
            target = &mut target[name];
        }
        *target = value;
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
        read_row(&columns, cells).unwrap()
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
            read::<Product>(&["SKU ", "Stock", "", ""], &["A", "40.0", "", " "]),
            json!({"sku": "A", "stock": 40}),
            "as spreadsheets leave it"
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
        assert_eq!(read_row(&columns, &["a", "b"]).unwrap_err().code, "syntax");
        let columns = read_header(Product::TABLE_COLUMNS, ["", "sku"].into_iter()).unwrap();
        let fault = read_row(&columns, &["a", "b"]).unwrap_err();
        assert!(fault.message.contains("column 1"), "{}", fault.message);
    }

    #[test]
    fn texts_are_stored_in_one_form() {
        let mut row = json!({"sku": "A-1 ", "name": "Cafe\u{301}", "description": " e\u{301}\n", "price_minor": 1});
        normalize(Product::TABLE_COLUMNS, &mut row);
        assert_eq!(
            row,
            json!({"sku": "A-1", "name": "Caf\u{e9}", "description": " \u{e9}\n", "price_minor": 1})
        );
    }
}
