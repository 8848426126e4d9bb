//! `stockroom-server token`: tokens without a running server, such as the first one.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use stockroom_common::{Kind, Role, access::NewToken};

use super::tokens;
use crate::{
    http::error::{Error, Result},
    process::clock::Clock,
    store::{database::Database, partitions::Age},
};

#[derive(Clone, Debug, Subcommand)]
pub enum TokenAction {
    /// Create a token and print it; it cannot be shown again
    Create {
        /// What its bearer may do: viewer (read), editor (write rows), admin (everything)
        #[arg(long)]
        role: Role,
        /// The author that the history names for changes made with it
        #[arg(long)]
        name: String,
        /// How long it is valid, such as 90d or 12w; for ever if not given
        #[arg(long, value_name = "AGE")]
        expires: Option<Age>,
    },
    /// List all tokens, newest first
    List,
    /// Revoke the token of this name; running servers refuse it within a second
    Revoke { name: String },
}

/// Runs the command over a migrated database. Results go to standard output.
///
/// # Errors
/// If the database cannot be reached, or the command is refused.
pub async fn command(database: &Database, action: TokenAction) -> Result<()> {
    let (pool, now) = (&database.background, Clock::system().now());
    let by = "stockroom-server";
    let mut out = std::io::stdout();
    match action {
        TokenAction::Create {
            role,
            name,
            expires,
        } => {
            let expires_at = expires.map(|age| {
                age.after(now)
                    .ok_or_else(|| Error::refused(Kind::Invalid, format!("{age} is too long")))
            });
            let expires_at = expires_at.transpose()?;
            let new = NewToken {
                name,
                role,
                expires_at,
            };
            let created = tokens::create(pool, now, by, new).await?;
            if writeln!(out, "{}", created.secret.expose()).is_err() {
                // Nobody has seen the secret.
                tokens::revoke(pool, now, created.token.id, by).await?;
                let detail = "The token could not be printed, so it was revoked.";
                return Err(Error::refused(Kind::Unavailable, detail));
            }
        }
        TokenAction::List => {
            let row = |cells: [&str; 6]| {
                let [name, role, created, expires, used, state] = cells;
                format!("{name:<24} {role:<6} {created:<20} {expires:<20} {used:<20} {state}")
            };
            let head = ["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", "STATE"];
            let _ = writeln!(out, "{}", row(head).trim_end());
            for token in tokens::list(pool).await? {
                let state = match (token.revoked_at, token.expires_at) {
                    (Some(_), _) => "revoked",
                    (None, Some(at)) if at <= now => "expired",
                    _ => "valid",
                };
                let (created, expires) = (time(Some(token.created_at)), time(token.expires_at));
                let used = time(token.last_used_at);
                let cells = [
                    &token.name,
                    token.role.name(),
                    &created,
                    &expires,
                    &used,
                    state,
                ];
                let _ = writeln!(out, "{}", row(cells));
            }
        }
        TokenAction::Revoke { name } => {
            let all = tokens::list(pool).await?;
            let mut named = all
                .iter()
                .filter(|token| token.name.eq_ignore_ascii_case(&name));
            let Some(token) = named.find(|token| token.revoked_at.is_none()) else {
                let detail = format!("No valid token is named {name}; `token list` shows all.");
                return Err(Error::refused(Kind::NotFound, detail));
            };
            tokens::revoke(pool, now, token.id, by).await?;
            let _ = writeln!(out, "{} is revoked", token.name);
        }
    }
    Ok(())
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "-".into(),
        |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}
