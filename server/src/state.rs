//! What every handler may reach.

use std::{ops::Deref, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeZone, Utc};
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};

use crate::{
    cache::{Cache, CacheOptions, relay::Done},
    cursor::CursorKey,
    error::Result,
    feed::Feed,
    jobs::Jobs,
    partitions::{Age, Interval, Partitions, Retention},
    session::Sessions,
};

/// One of so many connections may be taken by exports and imports.
const CONNECTIONS_PER_TRANSFER: u32 = 4;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) options: Options,
    pub(crate) partitions: Partitions,
    pub(crate) cursor_key: CursorKey,
    pub(crate) cache: Cache,
    pub(crate) relay: Done,
    pub(crate) feed: Feed,
    pub(crate) sessions: Sessions,
    pub(crate) jobs: Jobs,
    /// Exports and imports that may be under way: each holds a connection for long.
    pub(crate) transfers: Arc<Semaphore>,
    /// Turns true once, when the server stops.
    pub(crate) stopping: watch::Sender<bool>,
}

/// What may differ between servers and between tests.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// No order may be placed before this instant.
    pub orders_from: DateTime<Utc>,
    /// Largest body of a request, in bytes.
    pub body_limit: usize,
    /// Largest file that is imported, in bytes as it is sent.
    pub import_limit: u64,
    /// Longest time that a request may take.
    pub request_timeout: Duration,
    /// How often an event stream without news says that it lives.
    pub heartbeat: Duration,
    /// Whether PUT, PATCH and DELETE must say which version they mean (428 otherwise).
    pub require_if_match: bool,
    pub cache: CacheOptions,
    /// How finely new partitions are cut.
    pub partition_interval: Interval,
    pub orders_retention: Retention,
    pub changes_retention: Retention,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            orders_from: Utc.timestamp_opt(946_684_800, 0).unwrap(),
            body_limit: 256 * 1024,
            import_limit: 4 << 30,
            request_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            require_if_match: false,
            cache: CacheOptions::default(),
            partition_interval: Interval::default(),
            orders_retention: Retention::Keep,
            changes_retention: Retention::Drop(Age::Days(90)),
        }
    }
}

/// Tells the time; tests pass their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// Now, in the microseconds that PostgreSQL keeps, so that what is logged equals what is stored.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)().trunc_subsecs(6)
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl AppState {
    /// Prepares a migrated database for serving: its partitions and the key that signs cursors.
    ///
    /// # Errors
    /// Where the database cannot be reached or is not migrated.
    pub async fn new(pool: PgPool, options: Options) -> Result<Self> {
        let cursor_key = CursorKey::load(&pool).await?;
        let partitions = Partitions::load(&pool, options.partition_interval).await?;
        partitions.make_ahead(&pool, options.clock.now()).await?;
        let cache = Cache::open(&pool, &options.cache, options.clock.clone()).await?;
        let transfers = Arc::new(Semaphore::new(most_transfers(&pool)));
        Ok(Self(Arc::new(Shared {
            pool,
            options,
            partitions,
            cursor_key,
            cache,
            relay: Done::default(),
            feed: Feed::default(),
            sessions: Sessions::default(),
            jobs: Jobs::default(),
            transfers,
            stopping: watch::Sender::new(false),
        })))
    }

    /// Ready once no client has been attached for a while: see `session.rs`.
    pub async fn deserted(&self) {
        self.sessions.deserted(self).await;
    }

    /// Whether an import or an export is under way.
    pub(crate) fn is_transferring(&self) -> bool {
        self.transfers.available_permits() < most_transfers(&self.pool)
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

fn most_transfers(pool: &PgPool) -> usize {
    let most = pool.options().get_max_connections() / CONNECTIONS_PER_TRANSFER;
    most.max(1) as usize
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
