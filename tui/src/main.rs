//! The `stockroom` binary: reads the settings and runs the client.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};
use stockroom_common::environment;
use stockroom_tui::{
    cli::{
        command::{self, USAGE},
        settings::Settings,
    },
    run::{Error, run},
};

/// The arguments; `@name` as the first one means `--server @name`.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_name = |first: &OsString| first.as_encoded_bytes().starts_with(b"@");
    if arguments.get(1).is_some_and(is_name) {
        arguments.insert(1, "--server".into());
    }
    arguments
}

#[tokio::main]
async fn main() -> ExitCode {
    let matches = environment::forgiving(Settings::command()).get_matches_from(arguments());
    let mut settings = Settings::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(command) = settings.command.take() {
        return command::run(&settings, command).await;
    }
    match run(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "stockroom: {error}");
            match error {
                Error::Settings(_) | Error::NoTerminal(_) => ExitCode::from(USAGE),
                Error::Terminal(_) | Error::Connection(_) => ExitCode::FAILURE,
            }
        }
    }
}
