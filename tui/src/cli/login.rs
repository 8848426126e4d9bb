//! `stockroom login`, `logout` and `whoami`.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use stockroom_common::{
    Secret,
    access::{WhoAmI, check_secret},
    document,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    output::{eprint_line, write_out},
    shop::Shop,
};
use crate::{io::api, messages::call::Failure, model::text};

const FIXED: &str =
    "STOCKROOM_TOKEN or STOCKROOM_TOKEN_FILE is set and takes precedence; unset it first.";

/// Asks for a token, checks it with the server, and saves it.
pub(crate) async fn log_in(shop: &Shop) -> Result<(), Failure> {
    if shop.local.is_some() {
        let message = "The shop on this machine needs no login; name a server with --server.";
        return Err(api::local(message.into()));
    }
    if shop.credentials.is_fixed() {
        return Err(api::local(FIXED.into()));
    }
    let question = format!("Token for {}: ", text::clean(&shop.server.to_string()));
    let typed = ask(question)
        .await
        .map_err(|error| api::local(format!("No token was entered: {error}.")))?;
    let typed = typed.trim();
    check_secret(typed).map_err(|fault| api::local(format!("This is not a token: {fault}.")))?;
    shop.credentials.try_out(Secret::new(typed));
    let identity: WhoAmI = shop.get("/v1/whoami").await?;
    shop.credentials
        .log_in(Secret::new(typed))
        .map_err(api::local)?;
    eprint_line(&format!("Logged in as {}", described(&identity)));
    Ok(())
}

/// Forgets the saved token.
pub(crate) fn log_out(shop: &Shop) -> Result<(), Failure> {
    if shop.credentials.is_fixed() {
        return Err(api::local(FIXED.into()));
    }
    let was_saved = shop.credentials.log_out().map_err(api::local)?;
    eprint_line(if was_saved {
        "The token is forgotten here. It stays valid until it is revoked."
    } else {
        "No token was saved for this server."
    });
    Ok(())
}

/// Shows who the user is to the server.
pub(crate) async fn whoami(shop: &Shop, json: bool) -> Result<(), Failure> {
    let identity: WhoAmI = shop.get("/v1/whoami").await?;
    if json {
        return write_out(&document::to_value(&identity).to_string());
    }
    write_out(&described(&identity))
}

fn described(identity: &WhoAmI) -> String {
    let expiry = identity.expires_at.map_or_else(String::new, |at| {
        format!(
            ", until {}",
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        )
    });
    format!(
        "{} ({}{expiry})",
        text::clean(&identity.name),
        identity.role
    )
}

/// Reads a line. On a terminal, asks for it and does not show what is typed.
async fn ask(question: String) -> std::io::Result<String> {
    let input = stdin();
    if !input.is_terminal() {
        let mut line = String::new();
        input.lock().read_line(&mut line)?;
        return Ok(line);
    }
    write!(stderr(), "{question}")?;
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes -= LocalModes::ECHO;
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().lock().read_line(&mut line).map(|_| line)
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let read = tokio::select! {
        read = read => Some(read),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    tcsetattr(&input, OptionalActions::Flush, &shown)?;
    // The line break that was typed is hidden too.
    writeln!(stderr())?;
    match read {
        Some(read) => read?,
        // The thread that reads the terminal cannot be stopped in another way. The code is that of an interruption.
        None => std::process::exit(130),
    }
}
