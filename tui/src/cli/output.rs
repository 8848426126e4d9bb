//! What commands write: data to standard output, talk to standard error.

use std::io::Write;

use crate::{io::api, messages::call::Failure, model::text};

/// Writes a line to standard output. Who stops reading (`| head`) has what they wanted: that is no failure.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn write_out(line: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|error| api::local(format!("Cannot write: {error}."))),
    }
}

pub(crate) fn say(line: &str) {
    // Without anybody to read it there is nothing to say.
    let _ = writeln!(std::io::stderr(), "{}", text::clean(line));
}
