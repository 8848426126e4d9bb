//! The database as the server uses it: one connection pool for each kind of work, so that no kind can use up
//! the connections of another, and a watch that detects outages and dead connections.

mod connection;
mod pool;
mod session;
mod watch;

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, migrate::Migrator, postgres::PgConnectOptions,
};
use tokio::time::{Instant, sleep, timeout};

pub use self::{
    connection::Connection,
    pool::{Lease, Pool},
    session::{Pooling, check_pooling},
};
pub(crate) use self::{connection::Transaction, watch::Health};
use self::{
    session::{Session, pooler_compatible},
    watch::Watch,
};
use crate::{
    http::error::{Error, Result},
    process::clock::Clock,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Minimum number of connections of [`Database::new`]: one for each kind of work.
pub const MIN_CONNECTIONS: u32 = 4;
/// Pause between two attempts to reach the database at startup.
const START_PAUSE: Duration = Duration::from_millis(250);
/// Time limit of one of these attempts.
const START_LIMIT: Duration = Duration::from_secs(5);
/// Maximum difference between the clocks of a server and its database.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// A migration statement has no time limit, but waits at most 10 minutes for a lock on a table, because the statements
/// of other sessions queue behind it meanwhile.
const MIGRATION_SETTINGS: [(&str, &str); 3] = [
    ("timezone", "UTC"),
    ("statement_timeout", "0"),
    ("lock_timeout", "10min"),
];
/// Interval at which a running migration is logged.
const MIGRATION_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The connection pools and their watch. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    /// Reads that a caller waits for.
    pub(crate) reads: Pool,
    /// Writes that a caller waits for. They wait for a lock for 2 s at most.
    pub(crate) writes: Pool,
    /// Work on many rows: imports, exports, seeding, partitions. It has no `lock_timeout`.
    pub(crate) bulk: Pool,
    /// Short statements of the server's own tasks: the relay, the feed, the job queue.
    pub(crate) background: Pool,
    watch: Arc<Watch>,
}

impl Database {
    /// Creates pools with `max_connections` in all, but at least [`MIN_CONNECTIONS`]. No connection is opened
    /// yet. The watch uses one connection more.
    pub fn new(options: PgConnectOptions, pooling: Pooling, max_connections: u32) -> Self {
        let options = pooler_compatible(options)
            .application_name("stockroom")
            // Orders are read from partitions by name, so each partition in use has its own statement.
            .statement_cache_capacity(1_024);
        let watch = Arc::new(Watch::new(options.clone()));
        let [background, writes, bulk, reads] = shares(max_connections);
        let pool = |lock_timeout, size| {
            let session = Session::new(options.clone(), pooling, lock_timeout);
            Pool::new(session, size, watch.clone())
        };
        Self {
            reads: pool("5s", reads),
            writes: pool("2s", writes),
            bulk: pool("0", bulk),
            background: pool("5s", background),
            watch,
        }
    }

    /// Maximum number of concurrent exports and imports. Each holds a bulk connection for a long time, so one
    /// connection is left for shorter work.
    pub(crate) fn max_transfers(&self) -> usize {
        self.bulk.size().saturating_sub(1).max(1) as usize
    }

    /// All pools, for metrics and tests.
    pub fn pools(&self) -> [&Pool; 4] {
        [&self.reads, &self.writes, &self.bulk, &self.background]
    }

    /// Waits until all connections are returned, and closes them.
    pub async fn close(&self) {
        for pool in self.pools() {
            pool.close().await;
        }
    }

    /// Checks the database over a connection that no other work uses.
    ///
    /// # Errors
    /// If it does not respond within a second, or if other calls wait and none has been answered for 10 s.
    pub(crate) async fn health(&self) -> Result<Health> {
        let health = self.watch.health().await?;
        match self.watch.stalled_for() {
            None => Ok(health),
            Some(silent) => {
                let reason = format!("no statement has succeeded for {} s", silent.as_secs());
                Err(Error::Unreachable(reason.into()))
            }
        }
    }

    /// The timeline that the most recently opened connection reported. It changes when a standby is promoted.
    pub(crate) fn timeline(&self) -> tokio::sync::watch::Receiver<Arc<str>> {
        self.watch.timeline()
    }

    /// Sets `clock` to the database's time, and compares that with the system clock of this machine. Does nothing
    /// if the clock is one that a test supplied.
    ///
    /// # Errors
    /// If the system clock is off by more than a minute, or the database does not respond.
    pub async fn check_clock(&self, clock: &Clock) -> Result<()> {
        if !clock.is_system() {
            return Ok(());
        }
        let database = self.watch.health().await?.now;
        clock.follow(database);
        check_skew(Utc::now() - database)
    }
}

fn check_skew(skew: TimeDelta) -> Result<()> {
    if skew.abs() <= MAX_CLOCK_SKEW {
        return Ok(());
    }
    let seconds = skew.num_seconds();
    let direction = if seconds > 0 { "ahead of" } else { "behind" };
    Err(Error::Clock(format!(
        "the clock of this machine is {} s {direction} that of the database; correct the wrong one, for example with NTP",
        seconds.abs()
    )))
}

/// Connections for each kind of work: background, writes, bulk, reads.
fn shares(max_connections: u32) -> [u32; 4] {
    let all = max_connections.max(MIN_CONNECTIONS);
    let background = (all / 8).max(1);
    let writes = (all / 4).max(1);
    let bulk = if all < 8 { 1 } else { all / 4 + 1 };
    [background, writes, bulk, all - background - writes - bulk]
}

/// Waits for at most `limit` until the database accepts connections.
///
/// # Errors
/// The reason of the last failed attempt. Returned at once if another attempt cannot help.
pub async fn wait_for(options: &PgConnectOptions, limit: Duration) -> Result<()> {
    let options = pooler_compatible(options.clone());
    let deadline = Instant::now() + limit;
    let mut is_reported = false;
    loop {
        let reason = match timeout(START_LIMIT, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => {
                // The connection was only a test, so a failed close does not matter.
                let _ = connection.close().await;
                return Ok(());
            }
            Ok(Err(error)) if is_final(&error) => {
                return Err(Error::Unreachable(error.to_string().into()));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not answer within {START_LIMIT:?}"),
        };
        if Instant::now() + START_PAUSE > deadline {
            return Err(Error::Unreachable(reason.into()));
        }
        if !is_reported {
            tracing::warn!(
                error = reason,
                "PostgreSQL cannot be reached; trying for {limit:?}"
            );
            is_reported = true;
        }
        sleep(START_PAUSE).await;
    }
}

/// Whether another attempt would fail in the same way, as with a wrong password or a missing database.
fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28") || code == "3D000")
}

/// Returns a secret that all servers of the database share. The first server that needs it creates it.
pub(crate) async fn secret(pool: &Pool, name: &str) -> Result<Vec<u8>> {
    let fresh: [u8; 32] = rand::random();
    let mut conn = pool.acquire().await?;
    sqlx::query("insert into server_secrets (name, value) values ($1, $2) on conflict do nothing")
        .bind(name)
        .bind(fresh.as_slice())
        .execute(&mut *conn)
        .await?;
    let secret = sqlx::query_scalar("select value from server_secrets where name = $1")
        .bind(name)
        .fetch_one(&mut *conn)
        .await?;
    Ok(secret)
}

/// Brings the schema up to date. Several servers may call this at once; one of them does the work. It has no
/// overall time limit, because a large table may get an index and locks on tables in use must be waited for.
///
/// # Errors
/// If a migration fails; it is then rolled back.
pub async fn migrate(options: &PgConnectOptions, pooling: Pooling) -> Result<()> {
    let options = pooler_compatible(options.clone()).application_name("stockroom migrate");
    let mut connection = PgConnection::connect_with(&options).await?;
    let mut migrating = std::pin::pin!(async move {
        match pooling {
            Pooling::Session => {
                set(&mut connection, "session", &MIGRATION_SETTINGS).await?;
                MIGRATIONS.run(&mut connection).await?;
            }
            Pooling::Transaction => migrate_in_one_transaction(&mut connection).await?,
        }
        // A failed close does not matter: the schema is up to date.
        let _ = connection.close().await;
        Ok(())
    });
    let began = Instant::now();
    loop {
        match timeout(MIGRATION_LOG_INTERVAL, &mut migrating).await {
            Ok(done) => return done,
            Err(_) => tracing::info!(
                "migrations have been running for {} s; other sessions may lock the tables (see \
            pg_stat_activity)",
                began.elapsed().as_secs()
            ),
        }
    }
}

/// Runs all migrations in one transaction, which keeps one backend even behind a pooler. The lock belongs to the
/// transaction, and prepared statements are deallocated: whatever belongs to the session would stay with the
/// backend, and thus with the next client that uses it.
async fn migrate_in_one_transaction(connection: &mut PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    set(&mut transaction, "local", &MIGRATION_SETTINGS).await?;
    for statement in [
        "select pg_advisory_xact_lock(hashtext('stockroom migrate'))",
        "deallocate all",
    ] {
        sqlx::raw_sql(statement).execute(&mut *transaction).await?;
    }
    let migrations = Migrator {
        migrations: MIGRATIONS.migrations.clone(),
        locking: false,
        ..Migrator::DEFAULT
    };
    migrations.run(&mut *transaction).await?;
    sqlx::raw_sql("deallocate all")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

async fn set(
    connection: &mut PgConnection,
    scope: &str,
    settings: &[(&str, &str)],
) -> sqlx::Result<()> {
    for (name, value) in settings {
        let statement = format!("set {scope} {name} = '{value}'");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_by_a_minute_either_way() {
        for seconds in [0, 60, -60] {
            check_skew(TimeDelta::seconds(seconds)).unwrap();
        }
        let message = |days| check_skew(TimeDelta::days(days)).unwrap_err().to_string();
        assert!(message(365).contains("31536000 s ahead of"));
        assert!(message(-365).contains("31536000 s behind"));
        assert!(check_skew(TimeDelta::seconds(61)).is_err());
    }

    #[test]
    fn every_kind_of_work_has_a_connection_and_all_of_them_are_given_out() {
        assert_eq!(shares(24), [3, 6, 7, 8]);
        assert_eq!(shares(8), [1, 2, 3, 2]);
        for max in [0, 1, 4, 5, 7, 9, 16, 100] {
            let shares = shares(max);
            assert!(shares.iter().all(|share| *share > 0), "{max}: {shares:?}");
            assert_eq!(shares.iter().sum::<u32>(), max.max(MIN_CONNECTIONS));
        }
    }
}
