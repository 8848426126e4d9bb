//! Rows as tables, as CSV files hold them: which columns there are and what stands in their cells.

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

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Any text, also the empty one.
    Text,
    /// Text of one line, also the empty one; white space at its ends is not part of it.
    Line,
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

    /// Brings a text of the row into the one form in which it is stored and compared: composed characters (NFC),
    /// and no white space around a line. Else rows that look the same would stand beside each other.
    fn normalize(&self, row: &mut Value) {
        let Some(Value::String(text)) = row.pointer_mut(&format!("/{}", self.pointer)) else {
            return;
        };
        let trimmed = match self.holds {
            Holds::Line => check::trimmed(text),
            _ => text,
        };
        match composed(trimmed) {
            Cow::Borrowed(kept) if kept.len() == text.len() => {}
            changed => *text = changed.into_owned(),
        }
    }

    /// The value of a cell; none where an empty one says nothing. What cannot be one is left as text, for
    /// the type of the field to refuse.
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
            // As spreadsheets write it.
            Holds::Flag if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
            Holds::Flag if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
            Holds::Flag => text(),
            Holds::Json => document::parse(trimmed.as_bytes()).unwrap_or_else(|_| text()),
        })
    }
}

/// A whole number, also one that a spreadsheet wrote with decimals: `40.0`. One with a `+` may be meant as a change.
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

/// Text with its letters and their marks in one character where there is one (NFC): the form of all that is stored, and
/// so of all that is looked for.
pub fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Brings the texts of a row into the form in which they are stored.
pub fn normalize(columns: &[Column], row: &mut Value) {
    columns.iter().for_each(|column| column.normalize(row));
}

/// The columns that a header names, in its order; none for one without a name.
pub type Header = Vec<Option<Column>>;

/// Reads a header. Names are found whatever their case.
///
/// # Errors
/// A name that is no column, or that stands there twice.
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
            let message = format!("the column `{name}` stands there twice");
            return Err(FieldError::new("", "repeated", message));
        }
        found.push(Some(*column));
    }
    Ok(found)
}

/// The row that stands in the cells of those columns; an empty cell leaves its field out, but where the field
/// is a text.
///
/// # Errors
/// As many cells as there are columns are needed, and nothing under a column without a name.
pub fn read_row(columns: &[Option<Column>], cells: &[&str]) -> Result<Value, FieldError> {
    let common = columns.len().min(cells.len());
    let (known, rest) = cells.split_at(common);
    // Cells that hold nothing may be more or fewer than the columns that have no name.
    let is_torn = columns[common..].iter().any(Option::is_some)
        || rest.iter().any(|cell| !cell.trim().is_empty());
    if is_torn {
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
