//! The state that every feature shares: the database and its partitions, the cache, the options and the limits.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use crate::{
    http::{cursor::CursorKey, error::Result, extract::BodyLimits},
    process::{job_signals::JobSignals, lifecycle::Lifecycle, spool::SpoolSpace, streams::Streams},
    store::{
        cache::Cache,
        database::{self, Database},
        log::RelayQueue,
        options::Options,
        partitions::Partitions,
    },
};

/// A handle to the shared state of this server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub(crate) database: Database,
    pub(crate) options: Options,
    pub(crate) partitions: Partitions,
    pub(crate) cursor_key: CursorKey,
    pub(crate) cache: Cache,
    pub(crate) relay: RelayQueue,
    pub(crate) jobs: JobSignals,
    pub(crate) streams: Streams,
    pub(crate) spool: SpoolSpace,
    pub(crate) body_limits: BodyLimits,
    /// Limits the exports and imports that run at the same time, as each holds a connection for a long time.
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) lifecycle: Lifecycle,
}

impl Store {
    /// Prepares a migrated database for serving: creates its partitions ahead, and reads or creates the key that signs
    /// cursors.
    ///
    /// # Errors
    /// If the database cannot be reached or is not migrated.
    pub(crate) async fn open(database: Database, options: Options) -> Result<Self> {
        let pool = &database.background;
        let cursor_key = CursorKey::new(database::secret(pool, "cursor").await?);
        let partitions = Partitions::load(pool, options.partition_interval).await?;
        partitions.make_ahead(pool, options.clock.now()).await?;
        let cache = Cache::open(&database, &options.cache, options.clock.clone()).await?;
        let spool = SpoolSpace::new(options.spool_limit);
        let body_limits = BodyLimits::new(options.body_limit, options.request_timeout);
        let transfers = Arc::new(Semaphore::new(database.max_transfers()));
        Ok(Self(Arc::new(Shared {
            database,
            options,
            partitions,
            cursor_key,
            cache,
            relay: RelayQueue::default(),
            jobs: JobSignals::default(),
            streams: Streams::default(),
            spool,
            body_limits,
            transfers,
            lifecycle: Lifecycle::default(),
        })))
    }

    /// Whether an import or an export is in progress.
    pub(crate) fn is_transferring(&self) -> bool {
        self.transfers.available_permits() < self.database.max_transfers()
    }
}

impl FromRef<Store> for BodyLimits {
    fn from_ref(store: &Store) -> Self {
        store.body_limits.clone()
    }
}

impl Deref for Store {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
