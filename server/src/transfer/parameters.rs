//! What calls of many rows have in common: their parameters, and what those are told who come when enough are under way.

use stockroom_common::{bulk::OnError, format::Format};

use crate::http::{
    error::Result,
    parameters::{Parameters, unreadable},
};

/// What is said where imports and exports hold all the connections that they may.
pub(crate) const BUSY: &str =
    "As many imports and exports as may be are under way; try again when one has ended.";

/// Reads the parameter `format`.
pub(crate) fn parse_format(text: &str) -> Result<Format> {
    text.parse()
        .map_err(|message: String| unreadable("format", "unknown_value", message))
}

/// What a row that fails means for the others; nothing is written unless the caller says so.
pub(crate) fn take_on_error(parameters: &mut Parameters) -> Result<OnError> {
    let known = [
        ("reject_all", OnError::RejectAll),
        ("reject_failed", OnError::RejectFailed),
    ];
    parameters.one_of("on_error", &known)
}
