//! Who may do what: tokens, and the role that each gives.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, Id, check::Checks, host::secret::Secret};

/// What the bearer of a token may do. Each role may also do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything, and exports it.
    Viewer,
    /// Writes rows: one by one, in bulk, and by `apply` imports.
    Editor,
    /// Seeds, archives, imports by `restore`, and manages tokens.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("`{text}` is not a role; there are viewer, editor and admin"))
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: Id<Token>,
    /// Names the author of changes made with the token; unique among tokens that are not revoked.
    pub name: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    /// The name of the token that this one was created with.
    pub created_by: String,
    /// From then on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Accurate to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewToken {
    /// Checks the rules of a name, and that the token does not expire before `now`.
    pub fn check(&self, now: DateTime<Utc>) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.required_line("/name", &self.name, 100);
        if self.expires_at.is_some_and(|at| at <= now) {
            checks.fail("/expires_at", "out_of_range", "must be in the future");
        }
        checks.into_errors()
    }
}

/// The answer to the creation of a token: the only one that contains its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatedToken {
    pub secret: Secret,
    pub token: Token,
}

/// The token that a request was sent with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    pub name: String,
    pub role: Role,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Names an author for people: `grace (till 3)` for the token `till 3` that acted for Grace.
pub(crate) fn author(actor: &str, on_behalf_of: Option<&str>) -> String {
    match on_behalf_of {
        Some(name) => format!("{name} ({actor})"),
        None => actor.to_owned(),
    }
}

/// The first letters of each secret, by which scanners for leaked secrets recognise it.
pub const PREFIX: &str = "sr_";
/// Random characters of a secret: 43 in base 62 hold 256 bits.
pub const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// Characters of a whole secret.
pub const LENGTH: usize = PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH;
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Completes the random characters of a secret with its prefix and checksum.
pub fn secret_of(random: &str) -> Secret {
    Secret::new(format!("{PREFIX}{random}{}", checksum(random)))
}

/// Checks the form of a secret. A mistyped or truncated one fails, so that it is reported without asking a server.
///
/// # Errors
/// What is wrong with it; the message does not contain it.
pub fn check_secret(text: &str) -> Result<(), &'static str> {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return Err("it must begin with sr_");
    };
    if rest.len() != RANDOM_LENGTH + CHECKSUM_LENGTH
        || !rest.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err("it must have 52 characters; it may be cut off");
    }
    let (random, sum) = rest.split_at(RANDOM_LENGTH);
    if checksum(random) == sum {
        Ok(())
    } else {
        Err("its checksum is wrong; it is mistyped")
    }
}

/// The CRC-32 of the text, in base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_or_truncated_secret_is_recognised() {
        let secret = secret_of(&"a1".repeat(22)[..RANDOM_LENGTH]);
        let text = secret.expose();
        assert_eq!(text.len(), 52);
        assert_eq!(check_secret(text), Ok(()));
        for at in PREFIX.len()..text.len() {
            let mut mistyped = text.to_owned().into_bytes();
            mistyped[at] = if mistyped[at] == b'x' { b'y' } else { b'x' };
            let mistyped = String::from_utf8(mistyped).unwrap();
            assert!(
                check_secret(&mistyped).unwrap_err().contains("mistyped"),
                "{at}"
            );
            assert!(check_secret(&text[..at]).is_err());
        }
        assert!(check_secret("").unwrap_err().contains("sr_"));
        assert!(!format!("{secret:?}").contains("a1"));
    }

    #[test]
    fn roles_are_ordered_and_named() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("Admin".parse::<Role>().is_err());
    }
}
