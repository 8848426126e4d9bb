//! What every handler may reach.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeZone, Utc};

use rustix::time::{ClockId, clock_gettime};
use stockroom_common::LogSink;
use tokio::sync::Semaphore;

use crate::{
    cache::{Cache, CacheOptions, relay::Done},
    cursor::CursorKey,
    database::Database,
    error::Result,
    feed::Feed,
    import::receive::Spool,
    jobs::Jobs,
    lifecycle::{Lifecycle, Phase},
    origin::Hosts,
    partitions::{Age, Interval, Partitions, Retention},
    session::{MAX_STREAMS, Sessions},
};

/// KiB of large bodies that may be in memory at a time; one that is larger takes all of it. What is made of a body
/// takes some ten times its size.
pub(crate) const MAX_LARGE_BODIES_KIB: u32 = 8 << 10;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub(crate) database: Database,
    pub(crate) options: Options,
    pub(crate) partitions: Partitions,
    pub(crate) cursor_key: CursorKey,
    pub(crate) cache: Cache,
    pub(crate) relay: Done,
    pub(crate) feed: Feed,
    pub(crate) sessions: Sessions,
    pub(crate) jobs: Jobs,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) spool: Spool,
    /// A permit for each KiB of large bodies.
    pub(crate) large_bodies: Arc<Semaphore>,
    /// Exports and imports that may be under way: each holds a connection for long.
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) lifecycle: Lifecycle,
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
    /// Bytes of files that may lie on this server's disk while they are imported.
    pub spool_limit: u64,
    /// How long a caller may take to send the head of a request, and a connection be without one.
    pub head_limit: Duration,
    /// Longest time that a request may take.
    pub request_timeout: Duration,
    /// How long the server keeps answering after the signal to stop, with `/readyz` at 503.
    pub leave_delay: Duration,
    /// How long requests and exports in progress may then take to finish.
    pub drain_limit: Duration,
    /// How often an event stream without news says that it lives.
    pub heartbeat: Duration,
    /// The names under which the server may be called.
    pub hosts: Hosts,
    /// Whether PUT, PATCH and DELETE must say which version they mean (428 otherwise).
    pub require_if_match: bool,
    pub cache: CacheOptions,
    /// How finely new partitions are cut.
    pub partition_interval: Interval,
    pub orders_retention: Retention,
    pub changes_retention: Retention,
    /// How often partitions that are due are made and those that have come of age taken off.
    pub sweep_every: Duration,
    /// Where the log goes, to tell what of it was lost.
    pub log: Option<LogSink>,
    /// Whether the log of requests leaves their queries out, which may hold names and e-mail addresses.
    pub log_without_queries: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            orders_from: Utc.timestamp_opt(946_684_800, 0).unwrap(),
            body_limit: 256 * 1024,
            import_limit: 4 << 30,
            spool_limit: 16 << 30,
            head_limit: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            leave_delay: Duration::ZERO,
            drain_limit: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            hosts: Hosts::Local(Vec::new()),
            require_if_match: false,
            cache: CacheOptions::default(),
            partition_interval: Interval::default(),
            orders_retention: Retention::Keep,
            changes_retention: Retention::Drop(Age::Days(90)),
            sweep_every: Duration::from_secs(3_600),
            log: None,
            log_without_queries: false,
        }
    }
}

/// Tells the time; tests pass their own.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Given(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>),
    /// The time of the database, kept by a counter of this machine that nobody sets. What is kept is how many
    /// microseconds the one is ahead of the other.
    Database(Arc<AtomicI64>),
}

impl Clock {
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(now)))
    }

    /// The time of the machine, until it is set by the database: servers whose clocks differ, or
    /// jump, must not disagree about what is now.
    pub fn system() -> Self {
        let clock = Self(Source::Database(Arc::default()));
        clock.follow(Utc::now());
        clock
    }

    /// Sets the clock by the database's; a clock that was given stays as it is.
    pub(crate) fn follow(&self, database: DateTime<Utc>) {
        if let Source::Database(ahead) = &self.0 {
            ahead.store(database.timestamp_micros() - uptime_micros(), Relaxed);
        }
    }

    /// Whether it follows the database's.
    pub(crate) const fn is_system(&self) -> bool {
        matches!(self.0, Source::Database(_))
    }

    /// Now, in the microseconds that PostgreSQL keeps, so that what is logged equals what is stored.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::Given(now) => now().trunc_subsecs(6),
            Source::Database(ahead) => {
                let micros = uptime_micros() + ahead.load(Relaxed);
                DateTime::from_timestamp_micros(micros).unwrap_or_default()
            }
        }
    }
}

/// Time since the machine was started, sleep included where the system counts it.
fn uptime_micros() -> i64 {
    #[cfg(target_os = "linux")]
    const COUNTER: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const COUNTER: ClockId = ClockId::Monotonic;
    let uptime = clock_gettime(COUNTER);
    uptime.tv_sec * 1_000_000 + uptime.tv_nsec / 1_000
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
    pub async fn new(database: Database, options: Options) -> Result<Self> {
        let pool = &database.background;
        let cursor_key = CursorKey::load(pool).await?;
        let partitions = Partitions::load(pool, options.partition_interval).await?;
        partitions.make_ahead(pool, options.clock.now()).await?;
        let cache = Cache::open(&database, &options.cache, options.clock.clone()).await?;
        let spool_limit = options.spool_limit;
        let transfers = Arc::new(Semaphore::new(database.max_transfers()));
        Ok(Self(Arc::new(Shared {
            database,
            options,
            partitions,
            cursor_key,
            cache,
            relay: Done::default(),
            feed: Feed::default(),
            sessions: Sessions::default(),
            jobs: Jobs::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            spool: Spool::new(spool_limit),
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES_KIB as usize)),
            transfers,
            lifecycle: Lifecycle::default(),
        })))
    }

    /// Ready once no client has been attached for a while: see `session.rs`.
    pub async fn deserted(&self) {
        self.sessions.deserted(self).await;
    }

    /// Ends the wait of a server that is about to stop.
    pub fn stop_at_once(&self) {
        self.lifecycle.advance_to(Phase::Stopping);
    }

    /// Whether an import or an export is under way.
    pub(crate) fn is_transferring(&self) -> bool {
        self.transfers.available_permits() < self.database.max_transfers()
    }

    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
