//! Output of the commands: data to standard output, messages to standard error.

use std::io::Write;

use stockroom_common::{Kind, Problem};

use crate::{io::api, messages::call::Failure, model::text};

/// Writes a line to standard output. If the reader (`| head`) has closed the pipe, exits with success.
///
/// # Errors
/// If the line cannot be written.
pub(crate) fn write_out(line: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|error| api::local(format!("Cannot write: {error}."))),
    }
}

pub(crate) fn eprint_line(line: &str) {
    // If standard error is closed, nobody can read the message.
    let _ = writeln!(std::io::stderr(), "{}", text::clean(line));
}

pub(crate) fn unusable(detail: String) -> Failure {
    Failure::Refused(Problem::new(Kind::Unreadable, detail))
}
