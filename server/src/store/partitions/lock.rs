//! Locks that stop readers or writers. None of them is waited for or held for long: what needs some
//! takes them all at once, each with its share of a tenth of a second, or gives way and tries again.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::execute;
use crate::{
    http::error::{Error, Result},
    store::database::Connection,
};

/// What all locks of one attempt may make others wait for.
const WAIT: Duration = Duration::from_millis(90);
/// For how long it is tried again; requests may take 30 s.
const RETRY_LIMIT: Duration = Duration::from_secs(15);
/// Between two attempts, in milliseconds: others get their turn.
const PAUSE: std::ops::Range<u64> = 20..80;
/// Longer than PostgreSQL's deadlock_timeout (1 s), when a vacuum is told to give way.
const VACUUM_TIMEOUT: &str = "1500ms";
/// Another server's turn is over by then, or it is asked again.
const TURN_TIMEOUT: &str = "3s";
/// Longer than any turn takes.
const LONGEST_TURN: &str = "60s";
/// Held while partitions change, so that servers take turns ("partitio" in ASCII).
const TURN: i64 = 0x7061_7274_6974_696f;

/// Whom a lock stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Writers,
    Everybody,
}

/// Makes attempts until one does not lose its locks to others.
///
/// # Errors
/// 503 where others never leave room.
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
    let detail = "The tables were in use without a pause for too long: a long transaction, such as an \
        export or a backup, may be under way. Try again later.";
    Err(Error::refused(stockroom_common::Kind::Unavailable, detail))
}

/// As [`lock_partition_ddl`], for one who has done too much to give way.
pub(crate) async fn wait_for_turn(conn: &mut Connection) -> Result<()> {
    turn(conn, LONGEST_TURN).await
}

/// Waits until no other server changes partitions; until the transaction ends none will.
pub(crate) async fn lock_partition_ddl(conn: &mut Connection) -> Result<()> {
    turn(conn, TURN_TIMEOUT).await
}

async fn turn(conn: &mut Connection, timeout: &str) -> Result<()> {
    set_timeout(conn, timeout).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(TURN)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps vacuums off the tables until the transaction ends. The lock for that stops neither readers
/// nor writers, even while it is waited for, so it may wait until a vacuum gives way: which would be
/// far too long for the locks of [`take`].
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

/// Takes the locks, none of which is ever waited for in vain for longer than others bear.
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
