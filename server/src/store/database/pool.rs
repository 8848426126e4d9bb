//! A pool of connections for one kind of work. It replaces the driver's pool, which pings each connection before and
//! after use, waits without limit for the second ping, and reports "timed out" whatever the cause. Here a clean
//! connection is returned without a ping. An unfinished one is rolled back within a time limit or closed. While the
//! database is down, callers fail at once with the cause.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{
    connection::{Condition, Connection, Transaction},
    session::Session,
    watch::Watch,
};
use crate::http::error::Result;

/// How long a caller waits for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// A connection that has been idle for longer than this is pinged before use.
const PING_AFTER: Duration = Duration::from_secs(1);
/// Time limit of that ping.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// Time limit for rolling back what the last user left open. Over a dead link the whole limit passes, and meanwhile
/// the connection still counts towards the size of the pool.
const RECOVERY_LIMIT: Duration = Duration::from_secs(1);
/// Time limit of one attempt to connect. After a network outage, an attempt may hang although the next one succeeds.
const OPEN_LIMIT: Duration = Duration::from_secs(3);
const MAX_IDLE: Duration = Duration::from_secs(600);
const MAX_AGE: Duration = Duration::from_secs(1_800);

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    session: Arc<Session>,
    watch: Arc<Watch>,
    size: u32,
    turns: Arc<Semaphore>,
    /// Ordered by last use; the most recently used connection is last.
    idle: Mutex<Vec<Connection>>,
}

/// A connection on loan; it returns to its pool when dropped.
#[derive(Debug)]
pub struct Lease {
    /// `None` only during `drop`.
    connection: Option<Connection>,
    pool: Pool,
    turn: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(session: Session, size: u32, watch: Arc<Watch>) -> Self {
        Self(Arc::new(Shared {
            session: Arc::new(session),
            watch,
            size,
            turns: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
        }))
    }

    /// Returns a connection as soon as one is free.
    ///
    /// # Errors
    /// If none becomes free within 5 s, or the database cannot be reached.
    pub async fn acquire(&self) -> Result<Lease> {
        let deadline = Instant::now() + ACQUIRE_LIMIT;
        // Without an idle connection the caller would wait in vain while the database is down.
        if self.idle().is_empty() {
            self.0.watch.check_outage()?;
        }
        let turn = timeout_at(deadline, self.0.turns.clone().acquire_owned()).await;
        let turn = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(sqlx::Error::PoolClosed.into()),
            Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
        };
        let connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.open(deadline).await?,
        };
        Ok(Lease {
            connection: Some(connection),
            pool: self.clone(),
            turn: Some(turn),
        })
    }

    /// Begins a transaction on a connection from the pool.
    pub(crate) async fn begin(&self) -> Result<Transaction<Lease>> {
        self.begin_with("begin").await
    }

    /// Like [`Pool::begin`], with a `begin` statement that sets the mode of the transaction.
    pub(crate) async fn begin_with(&self, statement: &'static str) -> Result<Transaction<Lease>> {
        Transaction::begin(self.acquire().await?, statement).await
    }

    /// Maximum number of connections.
    pub(crate) fn size(&self) -> u32 {
        self.0.size
    }

    /// Number of open connections, idle or in use.
    pub(crate) fn open_connections(&self) -> usize {
        let in_use = self.0.size as usize - self.0.turns.available_permits();
        self.idle().len() + in_use
    }

    /// Stops lending connections, waits until all are returned, and closes them.
    pub(super) async fn close(&self) {
        // Each lease holds a permit, so holding all of them means that no lease is left.
        let all = self.0.turns.acquire_many(self.0.size).await;
        self.0.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            connection.close().await;
        }
    }

    /// Takes the most recently used idle connection, if it still works.
    async fn take_idle(&self) -> Option<Connection> {
        let mut connection = self.idle().pop()?;
        if connection.idle_for() < PING_AFTER {
            return Some(connection);
        }
        if let Ok(Ok(())) = timeout(PING_LIMIT, connection.ping()).await {
            return Some(connection);
        }
        // The others have been idle for longer, so they are probably dead too.
        self.idle().clear();
        None
    }

    async fn open(&self, deadline: Instant) -> Result<Connection> {
        let probe = self.0.watch.probe()?;
        let deadline = deadline.min(Instant::now() + OPEN_LIMIT);
        let opened = Connection::open(self.0.session.clone(), self.0.watch.clone());
        match timeout_at(deadline, opened).await {
            Ok(Ok(connection)) => {
                probe.succeeded();
                Ok(connection)
            }
            Ok(Err(error)) => Err(probe.failed(&error.to_string())),
            Err(_) => Err(probe.failed("it does not answer")),
        }
    }

    fn put_back(&self, mut connection: Connection) {
        if self.0.turns.is_closed() || connection.age() > MAX_AGE {
            tokio::spawn(connection.close());
            return;
        }
        connection.touch();
        let mut idle = self.idle();
        idle.push(connection);
        let is_old = |connection: &Connection| connection.idle_for() > MAX_IDLE;
        let old = idle.iter().take_while(|connection| is_old(connection));
        let old = old.count();
        idle.drain(..old);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lease {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "taken in `drop` alone")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has a connection")
    }
}

impl DerefMut for Lease {
    #[expect(clippy::expect_used, reason = "taken in `drop` alone")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lease has a connection")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(mut connection), turn) = (self.connection.take(), self.turn.take()) else {
            return;
        };
        // Without a runtime the socket is closed, and PostgreSQL rolls back.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        match connection.condition() {
            Condition::Broken => {}
            Condition::Clean => self.pool.put_back(connection),
            Condition::Unfinished => {
                let pool = self.pool.clone();
                runtime.spawn(async move {
                    if let Ok(Ok(())) = timeout(RECOVERY_LIMIT, connection.recover()).await {
                        pool.put_back(connection);
                    }
                    drop(turn);
                });
            }
        }
    }
}
