//! The database as the server uses it: a pool of connections for each kind of work, so that none of them
//! can take the connections of the others, and a watch over them all.

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
    session::{Session, plain},
    watch::Watch,
};
use crate::{
    http::error::{Error, Result},
    process::clock::Clock,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// The least that [`Database::new`] makes do with: a connection for each kind of work.
pub const MIN_CONNECTIONS: u32 = 4;
/// Between two attempts to reach the database at the start.
const START_PAUSE: Duration = Duration::from_millis(250);
/// How long one of them may take.
const START_LIMIT: Duration = Duration::from_secs(5);
/// How far the clock of a server may be from that of its database.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// A migration has no limit of its own, but waits for no longer than this until the tables are free; others wait
/// behind it meanwhile.
const MIGRATION_SETTINGS: [(&str, &str); 3] = [
    ("timezone", "UTC"),
    ("statement_timeout", "0"),
    ("lock_timeout", "10min"),
];
/// How often it is said that a migration is still under way.
const MIGRATION_NEWS: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    /// What readers wait for.
    pub(crate) reads: Pool,
    /// Writes that somebody waits for: none of them waits for a lock for long.
    pub(crate) writes: Pool,
    /// Many rows in one go: imports, exports, seeding, partitions.
    pub(crate) bulk: Pool,
    /// Short statements that keep the server going: the relay, the feed, the queue of jobs.
    pub(crate) background: Pool,
    watch: Arc<Watch>,
}

impl Database {
    /// Prepares pools of so many connections in all, at least [`MIN_CONNECTIONS`]; none is opened yet. One
    /// more watches over them.
    pub fn new(options: PgConnectOptions, pooling: Pooling, max_connections: u32) -> Self {
        let options = plain(options)
            .application_name("stockroom")
            // An order is read from its partition by name: a statement for each that is in use.
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

    /// Exports and imports that may be under way: each holds a connection for long, and one is left for what
    /// is over sooner.
    pub(crate) fn max_transfers(&self) -> usize {
        self.bulk.size().saturating_sub(1).max(1) as usize
    }

    /// All pools, for those who count or look into connections.
    pub fn pools(&self) -> [&Pool; 4] {
        [&self.reads, &self.writes, &self.bulk, &self.background]
    }

    /// Waits until all connections are back, and closes them.
    pub async fn close(&self) {
        for pool in self.pools() {
            pool.close().await;
        }
    }

    /// How the database is, asked over a connection that no work can take.
    ///
    /// # Errors
    /// Where it does not answer within a second, or answers nothing else any more.
    pub(crate) async fn health(&self) -> Result<Health> {
        let health = self.watch.health().await?;
        match self.watch.stalled_for() {
            None => Ok(health),
            Some(silent) => {
                let words = format!("no statement has succeeded for {} s", silent.as_secs());
                Err(Error::Unreachable(words.into()))
            }
        }
    }

    /// The timeline of the database that was connected to last: it changes where a standby takes over.
    pub(crate) fn timeline(&self) -> tokio::sync::watch::Receiver<Arc<str>> {
        self.watch.timeline()
    }

    /// Sets the clock by the database's, and refuses a machine whose own is far from that.
    ///
    /// # Errors
    /// Where it is off by more than a minute, or the database does not answer.
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
        "the clock of this machine is {} s {direction} that of the database; set the wrong one right (by NTP, say)",
        seconds.abs()
    )))
}

/// How many connections each kind of work gets: background, writes, bulk, reads.
fn shares(max_connections: u32) -> [u32; 4] {
    let all = max_connections.max(MIN_CONNECTIONS);
    let background = (all / 8).max(1);
    let writes = (all / 4).max(1);
    let bulk = if all < 8 { 1 } else { all / 4 + 1 };
    [background, writes, bulk, all - background - writes - bulk]
}

/// Waits for so long at the most until the database takes connections.
///
/// # Errors
/// BypassReason it does not; at once where waiting cannot help.
pub async fn wait_for(options: &PgConnectOptions, limit: Duration) -> Result<()> {
    let options = plain(options.clone());
    let deadline = Instant::now() + limit;
    let mut is_reported = false;
    loop {
        let words = match timeout(START_LIMIT, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => {
                // It was only to show that one can be had.
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
            return Err(Error::Unreachable(words.into()));
        }
        if !is_reported {
            tracing::warn!(
                error = words,
                "PostgreSQL cannot be reached; trying for {limit:?}"
            );
            is_reported = true;
        }
        sleep(START_PAUSE).await;
    }
}

/// Whether another attempt would end the same way: a wrong password, a database that is not there.
fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28") || code == "3D000")
}

/// A secret that all servers of the database share; the first that needs it makes it.
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

/// Brings the schema up to date. Several servers may do so at once; one does the work. It takes the time it
/// takes: a large table may get an index, and tables that are in use are waited for.
///
/// # Errors
/// Where a migration fails; it is rolled back then.
pub async fn migrate(options: &PgConnectOptions, pooling: Pooling) -> Result<()> {
    let options = plain(options.clone()).application_name("stockroom migrate");
    let mut connection = PgConnection::connect_with(&options).await?;
    let mut migrating = std::pin::pin!(async move {
        match pooling {
            Pooling::Session => {
                set(&mut connection, "session", &MIGRATION_SETTINGS).await?;
                MIGRATIONS.run(&mut connection).await?;
            }
            Pooling::Transaction => migrate_at_once(&mut connection).await?,
        }
        // The schema is up to date whatever becomes of the connection.
        let _ = connection.close().await;
        Ok(())
    });
    let began = Instant::now();
    loop {
        match timeout(MIGRATION_NEWS, &mut migrating).await {
            Ok(done) => return done,
            Err(_) => tracing::info!(
                "the schema is being brought up to date for {} s; others may hold its tables \
                (pg_stat_activity tells who)",
                began.elapsed().as_secs()
            ),
        }
    }
}

/// All of it in one transaction, which has one backend even where others share it: a lock and names of
/// prepared statements that belong to the session would be left to them.
async fn migrate_at_once(connection: &mut PgConnection) -> Result<()> {
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
