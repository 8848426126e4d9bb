//! Shared by the readers of both formats: a row with its line, and the errors of bytes that are not a row.

use std::io;

use serde_json::Value;
use stockroom_common::FieldError;

/// Maximum size of a row in bytes.
pub(super) const ROW_LIMIT: usize = 1 << 20;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row: the line in which it begins, and its content.
pub(crate) type Line = (u64, Result<Value, FieldError>);

/// The rows of a file. An error after which no row can be read ends them.
pub(super) type LineReader = Box<dyn Iterator<Item = Result<Line, FieldError>> + Send>;

pub(super) fn broken(error: &io::Error) -> FieldError {
    FieldError::new("", "syntax", format!("cannot be read: {error}"))
}

/// The error for a row that is not UTF-8.
pub(super) fn row_not_utf8(row: &[u8]) -> FieldError {
    // Bytes that do not occur in Windows-1252 text.
    let is_windows = !row
        .iter()
        .any(|byte| matches!(byte, 0 | 0x81 | 0x8d | 0x8f | 0x90 | 0x9d));
    wrong_encoding(if is_windows {
        "probably Windows-1252"
    } else {
        "another encoding"
    })
}

pub(super) fn wrong_encoding(encoding: &str) -> FieldError {
    let message = format!(
        "is not UTF-8 but {encoding}; save the file as UTF-8 (in spreadsheets: \"CSV UTF-8\")"
    );
    FieldError::new("", "syntax", message)
}

pub(super) fn too_long() -> FieldError {
    let message = format!("has more than {ROW_LIMIT} bytes; a quote may not be closed");
    FieldError::new("", "too_long", message)
}
