//! The `stockroom` binary: reads the settings and runs the client.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use stockroom_tui::{command, run::run, settings::Settings};

#[tokio::main]
async fn main() -> ExitCode {
    let mut settings = Settings::parse();
    // Fails if there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(command) = settings.command.take() {
        return command::run(&settings, command).await;
    }
    match run(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "stockroom: {error}");
            ExitCode::FAILURE
        }
    }
}
