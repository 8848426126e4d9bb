//! What every handler may reach.

use std::{ops::Deref, sync::Arc};

use tokio::sync::Semaphore;

use crate::{
    cache::Cache,
    cursor::CursorKey,
    database::Database,
    error::Result,
    feed::Feed,
    import::receive::Spool,
    jobs::Jobs,
    lifecycle::{Lifecycle, Phase},
    log::Done,
    options::Options,
    partitions::Partitions,
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
