//! Locks that block readers or writers. An attempt takes all its locks up front and waits at most 90 ms for all of
//! them together. If it does not get them, it rolls back, lets others proceed, and tries again.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::execute;
use crate::{
    http::error::{Error, Result},
    store::database::Connection,
};

/// How long one attempt may wait for all its locks together: while it waits, others queue behind it.
const WAIT: Duration = Duration::from_millis(90);
/// How long attempts are repeated. Must be less than the 30 s that a request may take.
const RETRY_LIMIT: Duration = Duration::from_secs(15);
/// Pause between two attempts, in milliseconds, in which others can take their locks.
const PAUSE: std::ops::Range<u64> = 20..80;
/// Longer than PostgreSQL's `deadlock_timeout` (1 s), after which an autovacuum that blocks another session is
/// cancelled.
const VACUUM_TIMEOUT: &str = "1500ms";
/// How long one attempt waits for another server to finish changing partitions, before it is repeated.
const TURN_TIMEOUT: &str = "3s";
/// Longer than any server holds the lock [`DDL_LOCK_KEY`].
const LONGEST_TURN: &str = "60s";
/// The advisory lock held while partitions change, so that servers take turns ("partitio" in ASCII).
const DDL_LOCK_KEY: i64 = 0x7061_7274_6974_696f;

/// Whom a lock blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Writers,
    Everybody,
}

/// Repeats `attempt` until it gets all its locks, for at most [`RETRY_LIMIT`]. Any other error ends the loop at once.
///
/// # Errors
/// 503 if it never gets its locks.
pub(crate) async fn with_lock_retry<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + RETRY_LIMIT;
    while Instant::now() < deadline {
        match attempt().await {
            Err(error) if error.is_lost_lock() => {
                let pause = rand::rng().random_range(PAUSE);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            outcome => return outcome,
        }
    }
    let detail = "The tables were locked for too long: a long transaction, such as an export or a \
            backup, may be running. Try again later.";
    Err(Error::refused(stockroom_common::Kind::Unavailable, detail))
}

/// Like [`lock_partition_ddl`], but waits longer: for work that is too expensive to repeat.
pub(crate) async fn wait_for_turn(conn: &mut Connection) -> Result<()> {
    lock_ddl(conn, LONGEST_TURN).await
}

/// Waits until no other server changes partitions, and prevents others from doing so until the transaction ends.
pub(crate) async fn lock_partition_ddl(conn: &mut Connection) -> Result<()> {
    lock_ddl(conn, TURN_TIMEOUT).await
}

async fn lock_ddl(conn: &mut Connection, timeout: &str) -> Result<()> {
    set_timeout(conn, timeout).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(DDL_LOCK_KEY)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps vacuums off the tables until the transaction ends. Its lock (`share update exclusive`) blocks neither
/// readers nor writers, even while it waits, so it can wait until an autovacuum gives way. The locks of [`take`] must
/// not wait that long, so call this first.
pub(crate) async fn hold_off_vacuum(
    conn: &mut Connection,
    tables: &[impl AsRef<str>],
) -> Result<()> {
    set_timeout(conn, VACUUM_TIMEOUT).await?;
    for table in tables {
        let table = table.as_ref();
        execute(
            conn,
            &format!("lock table only {table} in share update exclusive mode"),
        )
        .await?;
    }
    Ok(())
}

/// Takes the locks in the given order. Each may wait for its share of [`WAIT`].
pub(crate) async fn take(
    conn: &mut Connection,
    wanted: Vec<(impl AsRef<str>, Mode)>,
) -> Result<()> {
    let each = WAIT.as_millis() as usize / wanted.len().max(1);
    set_timeout(conn, &format!("{each}ms")).await?;
    for (table, mode) in wanted {
        let mode = match mode {
            Mode::Writers => "share row exclusive",
            Mode::Everybody => "access exclusive",
        };
        let table = table.as_ref();
        execute(conn, &format!("lock table only {table} in {mode} mode")).await?;
    }
    Ok(())
}

async fn set_timeout(conn: &mut Connection, timeout: &str) -> Result<()> {
    execute(conn, &format!("set local lock_timeout = '{timeout}'")).await
}
