//! The connection pool and the migrations.

use std::time::Duration;

use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::error::Result;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Opens a pool of at most `max_connections`; the first is made at once, to fail early.
///
/// # Errors
/// Where the database cannot be reached.
pub async fn connect(options: PgConnectOptions, max_connections: u32) -> Result<PgPool> {
    let options = options
        .application_name("stockroom")
        // An order is read from its partition by name: a statement for each that is in use.
        .statement_cache_capacity(1_024)
        .options([
            ("timezone", "UTC"),
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// A secret that all servers of the database share; the first that needs it makes it.
pub(crate) async fn secret(pool: &PgPool, name: &str) -> Result<Vec<u8>> {
    let fresh: [u8; 32] = rand::random();
    sqlx::query("insert into server_secrets (name, value) values ($1, $2) on conflict do nothing")
        .bind(name)
        .bind(fresh.as_slice())
        .execute(pool)
        .await?;
    let secret = sqlx::query_scalar("select value from server_secrets where name = $1")
        .bind(name)
        .fetch_one(pool)
        .await?;
    Ok(secret)
}

/// Brings the schema up to date. Several servers may do so at once; one does the work.
///
/// # Errors
/// Where a migration fails; it is rolled back then.
pub async fn migrate(pool: &PgPool) -> Result<()> {
    Ok(MIGRATIONS.run(pool).await?)
}
