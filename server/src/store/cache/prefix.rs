//! The prefix of the keys of one shop.

use sha2::{Digest, Sha256};

use crate::{http::error::Result, store::database::Database};

/// Returns the prefix of this shop's keys. Several shops may share a Redis, so the prefix depends on a
/// secret in the database, its name and its cluster: a copy under another name or in another cluster
/// counts as another shop.
pub(super) async fn shop_prefix(database: &Database) -> Result<String> {
    let pool = &database.background;
    let secret = crate::store::database::secret(pool, "shop").await?;
    let mut conn = pool.acquire().await?;
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut *conn)
        .await?;
    let cluster = "select system_identifier::text from pg_control_system()";
    let cluster: sqlx::Result<String> = sqlx::query_scalar(cluster).fetch_one(&mut *conn).await;
    let cluster = cluster.unwrap_or_else(|error| {
        tracing::warn!(%error, "the database does not identify its cluster: do not let a copy of it with the same name \
            use this Redis");
        String::new()
    });
    let hash = Sha256::new()
        .chain_update(secret)
        .chain_update(name)
        .chain_update([0])
        .chain_update(cluster)
        .finalize();
    let short = u64::from_be_bytes(hash[..8].try_into().unwrap_or_default());
    Ok(format!("stockroom:{short:016x}:"))
}
