//! What the readers of both formats share: a row with its line, and what is wrong with bytes that are none.

use std::io;

use serde_json::Value;
use stockroom_common::FieldError;

/// Bytes that a row may have.
pub(super) const ROW_LIMIT: usize = 1 << 20;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row: the line where it begins, and what stands there.
pub(crate) type Line = (u64, Result<Value, FieldError>);

/// Rows on their way out of a file; a fault that none can follow ends them.
pub(super) type LineReader = Box<dyn Iterator<Item = Result<Line, FieldError>> + Send>;

pub(super) fn broken(error: &io::Error) -> FieldError {
    FieldError::new("", "syntax", format!("cannot be read: {error}"))
}

/// What to say of a row that is not UTF-8.
pub(super) fn not_utf8(row: &[u8]) -> FieldError {
    // Bytes that stand for nothing in Windows-1252.
    let is_windows = !row
        .iter()
        .any(|byte| matches!(byte, 0 | 0x81 | 0x8d | 0x8f | 0x90 | 0x9d));
    no_utf8(if is_windows {
        "Windows-1252, as it seems"
    } else {
        "another encoding"
    })
}

pub(super) fn no_utf8(encoding: &str) -> FieldError {
    let message = format!(
        "is not UTF-8 but {encoding}; save the file as UTF-8 (as a table it is \"CSV UTF-8\" in spreadsheets)"
    );
    FieldError::new("", "syntax", message)
}

pub(super) fn too_long() -> FieldError {
    let message = format!("has more than {ROW_LIMIT} bytes; a quote may not be closed");
    FieldError::new("", "too_long", message)
}
