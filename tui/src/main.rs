//! The `stockroom` binary: reads the settings and runs the client.

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};
use stockroom_common::environment;
use stockroom_tui::{
    cli::{
        command::{self, USAGE},
        settings::Settings,
    },
    run::{Error, run},
};

#[tokio::main]
async fn main() -> ExitCode {
    let matches = environment::forgiving(Settings::command()).get_matches();
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
