//! The table of tokens. It holds the SHA-256 of each secret, never the secret.

use chrono::{DateTime, Utc};
use rand::RngExt;
use sha2::{Digest, Sha256};
use sqlx::{Row, postgres::PgRow};
use stockroom_common::{
    Id, Kind, Secret,
    access::{self, CreatedToken, NewToken, Token},
    check,
};
use uuid::Uuid;

use crate::{
    http::error::{Constraint, Error, Result},
    store::database::Pool,
};

const NAME_TAKEN: Constraint = Constraint {
    name: "tokens_name_key",
    pointer: "/name",
    message: "another token has this name",
};

/// The name of the tokens that a server is given by its environment or its data folder.
pub(super) const GIVEN_TOKEN: &str = "admin";

/// Names under which servers write by themselves, which would make it seem that they did.
const RESERVED: [&str; 6] = [
    GIVEN_TOKEN,
    "anonymous",
    "retention",
    "stockroom-server",
    "stockroom-server seed",
    "stockroom migrate",
];

/// The SHA-256 of a secret. A secret has 256 random bits, so a slow hash would protect it no better.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new random secret.
pub fn generate() -> Secret {
    let mut rng = rand::rng();
    let alphabet = access::ALPHABET;
    let random: String = (0..access::RANDOM_LENGTH)
        .map(|_| char::from(alphabet[rng.random_range(..alphabet.len())]))
        .collect();
    access::secret_of(&random)
}

/// Creates a token in the name of `created_by`.
///
/// # Errors
/// 422 if it breaks a rule, 409 if another token has its name.
pub(crate) async fn create(
    pool: &Pool,
    now: DateTime<Utc>,
    created_by: &str,
    mut new: NewToken,
) -> Result<CreatedToken> {
    new.name = check::trimmed(&new.name).to_owned();
    let errors = new.check(now);
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let is_reserved = |name: &&str| new.name.eq_ignore_ascii_case(name);
    if RESERVED.iter().any(is_reserved) {
        let message = "is the name of a part of the server";
        return Err(Error::field(Kind::Conflict, "/name", "reserved", message));
    }
    let secret = generate();
    let mut conn = pool.acquire().await?;
    let token = sqlx::query(
        "with changed as (update token_generation set number = number + 1)
        insert into tokens (id, name, role, hash, created_at, created_by, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        returning *",
    )
    .bind(Uuid::now_v7())
    .bind(new.name)
    .bind(new.role.name())
    .bind(hash(secret.expose()).as_slice())
    .bind(now)
    .bind(created_by)
    .bind(new.expires_at)
    .try_map(|row| from_row(&row))
    .fetch_one(&mut *conn)
    .await;
    let token = token.map_err(|error| Error::from(error).on_constraint(&[NAME_TAKEN]))?;
    tracing::info!(name = token.name, role = %token.role, created_by, "a token was created");
    Ok(CreatedToken { secret, token })
}

/// All tokens, newest first, also those that were revoked.
pub(crate) async fn list(pool: &Pool) -> Result<Vec<Token>> {
    let mut conn = pool.acquire().await?;
    let tokens = sqlx::query("select * from tokens order by created_at desc, id desc")
        .try_map(|row| from_row(&row))
        .fetch_all(&mut *conn)
        .await?;
    Ok(tokens)
}

/// Revokes a token; it stays in the list. Does nothing if it is revoked already.
///
/// # Errors
/// 404 if there is none.
pub(crate) async fn revoke(pool: &Pool, now: DateTime<Utc>, id: Id<Token>, by: &str) -> Result<()> {
    let mut conn = pool.acquire().await?;
    let name: Option<String> = sqlx::query_scalar(
        "with changed as (update token_generation set number = number + 1)
        update tokens set revoked_at = coalesce(revoked_at, $2) where id = $1 returning name",
    )
    .bind(id.uuid())
    .bind(now)
    .fetch_optional(&mut *conn)
    .await?;
    let name = name.ok_or_else(|| Error::refused(Kind::NotFound, "No token has this id."))?;
    tracing::info!(name, by, "a token was revoked");
    Ok(())
}

/// Grows with each token that is created or revoked.
pub(super) async fn generation(pool: &Pool) -> Result<i64> {
    let mut conn = pool.acquire().await?;
    let number = sqlx::query_scalar("select number from token_generation")
        .fetch_one(&mut *conn)
        .await?;
    Ok(number)
}

/// The tokens that are not revoked, each with the hash of its secret.
pub(super) async fn active(pool: &Pool) -> Result<Vec<(Token, Vec<u8>)>> {
    let mut conn = pool.acquire().await?;
    let tokens = sqlx::query("select * from tokens where revoked_at is null")
        .try_map(|row| Ok((from_row(&row)?, row.try_get("hash")?)))
        .fetch_all(&mut *conn)
        .await?;
    Ok(tokens)
}

/// Records when tokens were last used.
pub(super) async fn save_uses(pool: &Pool, uses: &[(Uuid, DateTime<Utc>)]) -> Result<()> {
    let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = uses.iter().copied().unzip();
    let mut conn = pool.acquire().await?;
    sqlx::query(
        "update tokens set last_used_at = used.at
        from unnest($1::uuid[], $2::timestamptz[]) as used (id, at)
        where tokens.id = used.id and (last_used_at is null or last_used_at < used.at)",
    )
    .bind(ids)
    .bind(times)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

fn from_row(row: &PgRow) -> sqlx::Result<Token> {
    let role: String = row.try_get("role")?;
    Ok(Token {
        id: Id::new(row.try_get("id")?),
        name: row.try_get("name")?,
        role: role
            .parse()
            .map_err(|error: String| sqlx::Error::Decode(error.into()))?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}
