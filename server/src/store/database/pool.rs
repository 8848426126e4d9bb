//! A pool of connections for one kind of work. It replaces the driver's pool, which pings each connection before and
//! after use, waits without limit for the second ping, and reports "timed out" whatever the cause. Here a clean
//! connection is put back without a ping, any other is rolled back within a time limit or closed, and while the
//! database is down callers fail at once with the cause.

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
/// A connection that was idle for longer is pinged before use.
const ASKED_AFTER: Duration = Duration::from_secs(1);
/// Time limit of that ping.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// Time limit for rolling back what the last user left open. Over a dead link it takes all of it, and nobody else can
/// have a connection in its place meanwhile.
const RECOVERY_LIMIT: Duration = Duration::from_secs(1);
/// Time limit of one attempt to connect: after a break in the network the next succeeds where this one hangs.
const OPEN_LIMIT: Duration = Duration::from_secs(3);
const MAX_IDLE: Duration = Duration::from_secs(600);
const MAX_AGE: Duration = Duration::from_secs(1_800);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    session: Arc<Session>,
    watch: Arc<Watch>,
    size: u32,
    turns: Arc<Semaphore>,
    /// The most recently used one is last.
    idle: Mutex<Vec<Connection>>,
}

/// A connection on loan; it returns to its pool when dropped.
#[derive(Debug)]
pub struct Lease {
    /// None only while it is dropped.
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

    /// A connection, once one is free.
    ///
    /// # Errors
    /// Where all are in use for too long, or the database cannot be reached.
    pub async fn acquire(&self) -> Result<Lease> {
        let deadline = Instant::now() + ACQUIRE_LIMIT;
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

    /// A transaction on a connection of its own.
    pub(crate) async fn begin(&self) -> Result<Transaction<Lease>> {
        self.begin_with("begin").await
    }

    /// As [`Pool::begin`], with a statement that says more about the transaction.
    pub(crate) async fn begin_with(&self, statement: &'static str) -> Result<Transaction<Lease>> {
        Transaction::begin(self.acquire().await?, statement).await
    }

    /// Connections at the most.
    pub(crate) fn size(&self) -> u32 {
        self.0.size
    }

    /// Connections that are open now.
    pub(crate) fn open_connections(&self) -> usize {
        let in_use = self.0.size as usize - self.0.turns.available_permits();
        self.idle().len() + in_use
    }

    /// Gives out no connection any more and waits until all are back and closed.
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

    /// The connection that was used last, where it still lives.
    async fn take_idle(&self) -> Option<Connection> {
        let mut connection = self.idle().pop()?;
        if connection.idle_for() < ASKED_AFTER {
            return Some(connection);
        }
        if let Ok(Ok(())) = timeout(PING_LIMIT, connection.ping()).await {
            return Some(connection);
        }
        // The others have been idle for longer, so they are dead too.
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
