//! Shared by calls with many rows: their parameters, and the message if too many of them run.

use stockroom_common::{bulk::OnError, format::Format};

use crate::http::{
    error::Result,
    parameters::{Parameters, unreadable},
};

/// The message if imports and exports use all the connections that they may use.
pub(crate) const BUSY: &str =
    "Too many imports and exports are running. Try again when one has ended.";

/// Reads the parameter `format`.
pub(crate) fn parse_format(text: &str) -> Result<Format> {
    text.parse()
        .map_err(|message: String| unreadable("format", "unknown_value", message))
}

/// How a failed row affects the other rows. By default, nothing is written.
pub(crate) fn take_on_error(parameters: &mut Parameters) -> Result<OnError> {
    let known = [
        ("reject_all", OnError::RejectAll),
        ("reject_failed", OnError::RejectFailed),
    ];
    parameters.one_of("on_error", &known)
}
