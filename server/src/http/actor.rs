//! Who sends a request: the bearer of its token, and whom that bearer acts for.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use stockroom_common::{Kind, Role, check::Checks};

use crate::http::error::{Error, Result};

/// The bearer of the token that a request was sent with. The access check puts it into the request.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// The name of the token.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// For routes whose role depends on what is asked for.
    ///
    /// # Errors
    /// 403 if the principal has a lower role.
    pub(crate) fn require(&self, role: Role) -> Result<()> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!(
            "The token `{}` has the role {}; this takes the role {role}.",
            self.name, self.role
        );
        Err(Error::refused(Kind::Forbidden, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let principal = parts.extensions.get::<Self>().cloned();
        // A route that needs no token has no principal; no handler of such a route asks for one.
        principal.ok_or_else(|| Error::refused(Kind::Unauthenticated, "A token is needed."))
    }
}

/// The author of a write, as the change log and jobs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The name of the token, or of the part of the server that writes by itself.
    pub(crate) name: String,
    /// Whom the bearer of the token acts for, from the `Stockroom-Actor` header.
    pub(crate) on_behalf_of: Option<String>,
}

impl Actor {
    pub(crate) const HEADER: &'static str = "stockroom-actor";
    /// Maximum length of the header, in bytes.
    const MAX_LENGTH: usize = 200;

    /// A part of the server that writes without a request.
    pub(crate) fn server(part: &str) -> Self {
        Self {
            name: part.into(),
            on_behalf_of: None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let principal = Principal::from_request_parts(parts, state).await?;
        let on_behalf_of = match parts.headers.get(Self::HEADER) {
            None => None,
            Some(value) => match std::str::from_utf8(value.as_bytes()) {
                Ok(name) if is_name(name) => Some(name.to_owned()),
                _ => {
                    return Err(Error::refused(
                        Kind::Unreadable,
                        "`Stockroom-Actor` must be a name in UTF-8 of at most 200 bytes, without invisible characters.",
                    ));
                }
            },
        };
        Ok(Self {
            name: principal.name.as_ref().into(),
            on_behalf_of: on_behalf_of.filter(|name| **name != *principal.name),
        })
    }
}

fn is_name(name: &str) -> bool {
    let mut checks = Checks::new();
    checks.required_line("", name, Actor::MAX_LENGTH);
    name.len() <= Actor::MAX_LENGTH && checks.into_errors().is_empty()
}
