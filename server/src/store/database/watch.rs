//! Monitors the database over a separate connection that no other work uses: whether it is up and writable, and
//! whether its backends are still working on calls that have waited for a long time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{
    Connection as _, FromRow, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::http::error::{Error, Result};

/// How long a call waits before its backend is checked.
const SUSPECT_AFTER: Duration = Duration::from_secs(2);
/// How often the backend is checked from then on.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Checks in a row that must find the backend idle.
const CONFIRMATIONS: u32 = 2;
/// A call fails if no check has succeeded for this long. Longer than `statement_timeout` (30 s).
const MAX_SILENCE: Duration = Duration::from_secs(35);
/// Time limit of one check.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Checks share an answer that is no older than this.
const FRESH: Duration = Duration::from_millis(250);
/// Pause after a failed attempt to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// During an outage, an attempt to connect blocks others for this long at most. Longer than the time limit of an
/// attempt in the pools (3 s).
const PROBE_HOLD: Duration = Duration::from_secs(4);
/// The database counts as stalled if calls wait and none has been answered for this long.
const STALLED_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Watch {
    options: PgConnectOptions,
    link: tokio::sync::Mutex<Link>,
    outage: Mutex<Option<Outage>>,
    timeline: watch::Sender<Arc<str>>,
    began: Instant,
    /// When a call last got an answer, in milliseconds since `began`.
    mark_alive: AtomicU64,
    /// Calls that have waited for longer than [`SUSPECT_AFTER`].
    suspects: AtomicUsize,
}

#[derive(Debug, Default)]
struct Link {
    connection: Option<PgConnection>,
    /// Time and result of the last check; the result is `None` if it failed.
    last: Option<(Instant, Option<Arc<Activity>>)>,
}

/// For each backend, by process ID, whether it is working on a statement.
type Activity = HashMap<i32, bool>;

/// Why the database cannot be reached, and when the next attempt may be made.
#[derive(Debug)]
struct Outage {
    reason: Arc<str>,
    next_probe: Instant,
}

/// The result of a health check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    pub(crate) is_read_only: bool,
    pub(crate) now: DateTime<Utc>,
}

/// An attempt to connect.
pub(super) struct Probe<'w> {
    watch: &'w Watch,
    is_over: bool,
}

impl Watch {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            link: tokio::sync::Mutex::default(),
            outage: Mutex::default(),
            timeline: watch::Sender::new("".into()),
            began: Instant::now(),
            mark_alive: AtomicU64::new(0),
            suspects: AtomicUsize::new(0),
        }
    }

    /// Resolves when backend `pid` is no longer working on the call that waits for it: [`CONFIRMATIONS`] checks in a
    /// row found it idle or gone, or no check has succeeded for [`MAX_SILENCE`]. The caller drops the future when the
    /// call is answered.
    pub(super) async fn wait_until_lost(self: Arc<Self>, pid: i32) {
        sleep(SUSPECT_AFTER).await;
        let _doubt = SuspectGuard::new(&self.suspects);
        let (mut idle, mut answered) = (0, Instant::now());
        loop {
            match self.activity().await {
                None if answered.elapsed() > MAX_SILENCE => return,
                None => {}
                Some(activity) => {
                    answered = Instant::now();
                    let is_at_work = activity.get(&pid).copied().unwrap_or(false);
                    idle = if is_at_work { 0 } else { idle + 1 };
                }
            }
            // One check is not enough: the answer may be in transit.
            if idle >= CONFIRMATIONS {
                return;
            }
            sleep(PROBE_INTERVAL).await;
        }
    }

    /// Records the timeline of a new connection, before the connection is used.
    pub(super) fn connected_to(&self, timeline: &str) {
        let is_new = self.timeline.send_if_modified(|known| {
            let is_new = **known != *timeline;
            if is_new {
                *known = timeline.into();
            }
            is_new
        });
        if is_new {
            tracing::info!(timeline, "connected to PostgreSQL");
        }
    }

    pub(super) fn timeline(&self) -> watch::Receiver<Arc<str>> {
        self.timeline.subscribe()
    }

    pub(super) fn mark_alive(&self) {
        let now = self.began.elapsed().as_millis();
        self.mark_alive
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }

    /// How long no call has been answered although some wait; `None` if none waits or it is within the limit.
    pub(super) fn stalled_for(&self) -> Option<Duration> {
        if self.suspects.load(Relaxed) == 0 {
            return None;
        }
        let mark_alive = Duration::from_millis(self.mark_alive.load(Relaxed));
        let silent = self.began.elapsed().saturating_sub(mark_alive);
        (silent > STALLED_AFTER).then_some(silent)
    }

    /// Checks whether the database is writable, and reads its clock.
    ///
    /// # Errors
    /// If it does not respond within a second.
    pub(super) async fn health(&self) -> Result<Health> {
        let ask = async { self.link.lock().await.health(&self.options).await };
        match timeout(PROBE_TIMEOUT, ask).await {
            Ok(health) => health.map_err(|error| Error::Unreachable(error.to_string().into())),
            Err(_) => Err(Error::Unreachable("it does not answer".into())),
        }
    }

    /// What the backends are doing; `None` if the database does not respond.
    async fn activity(&self) -> Option<Arc<Activity>> {
        let mut link = self.link.lock().await;
        if let Some((at, last)) = &link.last
            && at.elapsed() < FRESH
        {
            return last.clone();
        }
        let asked = timeout(PROBE_TIMEOUT, link.ask(&self.options)).await;
        let activity = match asked {
            Ok(Ok(activity)) => Some(Arc::new(activity)),
            _ => None,
        };
        link.last = Some((Instant::now(), activity.clone()));
        activity
    }

    /// Fails at once while the database is known to be down, except when it is time for another attempt.
    pub(super) fn check_outage(&self) -> Result<()> {
        match &*self.outage() {
            Some(outage) if Instant::now() < outage.next_probe => Err(outage.error()),
            _ => Ok(()),
        }
    }

    /// Gives permission to connect. While the database is down, only one caller at a time gets it.
    ///
    /// # Errors
    /// The cause of the outage, for all other callers.
    pub(super) fn probe(&self) -> Result<Probe<'_>> {
        if let Some(outage) = &mut *self.outage() {
            if Instant::now() < outage.next_probe {
                return Err(outage.error());
            }
            outage.next_probe = Instant::now() + PROBE_HOLD;
        }
        Ok(Probe {
            watch: self,
            is_over: false,
        })
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    async fn ask(&mut self, options: &PgConnectOptions) -> sqlx::Result<Activity> {
        let activity: Vec<(i32, bool)> = self
            .query(
                options,
                // `ClientWrite`: the backend cannot deliver its answer although this server reads, so the link is dead.
                "select pid, state = 'active' and wait_event is distinct from 'ClientWrite'
                from pg_stat_activity
                where datname = current_database() and usename = current_user and state is not null",
            )
            .await?;
        Ok(activity.into_iter().collect())
    }

    async fn health(&mut self, options: &PgConnectOptions) -> sqlx::Result<Health> {
        let health = self
            .query(
                options,
                "select pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool,
                    clock_timestamp()",
            )
            .await?;
        let (is_read_only, now) = health.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Health { is_read_only, now })
    }

    /// Queries over the open connection or, if that fails, over a new one. A connection is kept only if its answer
    /// was read completely, so a cancelled query cannot mix up answers.
    async fn query<T>(
        &mut self,
        options: &PgConnectOptions,
        sql: &'static str,
    ) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        if let Some(mut connection) = self.connection.take()
            && let Ok(rows) = sqlx::raw_sql(sql).fetch_all(&mut connection).await
        {
            self.connection = Some(connection);
            return rows.iter().map(T::from_row).collect();
        }
        let mut connection = PgConnection::connect_with(options).await?;
        // Sent as one message, without a prepared statement: a pooler may use another backend for the next message.
        let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
        self.connection = Some(connection);
        rows.iter().map(T::from_row).collect()
    }
}

impl Outage {
    fn error(&self) -> Error {
        Error::Unreachable(self.reason.clone())
    }
}

impl Probe<'_> {
    pub(super) fn succeeded(mut self) {
        self.is_over = true;
        if self.watch.outage().take().is_some() {
            tracing::info!("PostgreSQL answers again");
        }
    }

    pub(super) fn failed(mut self, reason: &str) -> Error {
        self.is_over = true;
        let mut outage = self.watch.outage();
        if outage.is_none() {
            tracing::warn!(error = reason, "PostgreSQL cannot be reached");
        }
        let failed = Outage {
            reason: reason.into(),
            next_probe: Instant::now() + RETRY_PAUSE,
        };
        outage.insert(failed).error()
    }
}

impl Drop for Probe<'_> {
    /// After a cancelled attempt, the next caller may try.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Some(outage) = &mut *self.watch.outage() {
            outage.next_probe = Instant::now();
        }
    }
}

/// Counts a call in [`Watch::suspects`] until the guard is dropped.
struct SuspectGuard<'w>(&'w AtomicUsize);

impl<'w> SuspectGuard<'w> {
    fn new(suspects: &'w AtomicUsize) -> Self {
        suspects.fetch_add(1, Relaxed);
        Self(suspects)
    }
}

impl Drop for SuspectGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
