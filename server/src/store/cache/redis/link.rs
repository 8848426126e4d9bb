//! The one connection to Redis, maintained in the background. A Redis that lost its memory, was reset to a
//! snapshot or was replaced is a new process with a new `run_id`. The epoch contains the `run_id` of the
//! process in which it was created, and a connection is used only if the two agree.
//!
//! The link is also the circuit breaker: a connection that does not respond in time is closed, and every
//! call fails at once until a new connection is verified.

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use redis::{
    Cmd, ErrorKind, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant as Deadline, timeout, timeout_at},
};

use super::{KeyPrefix, RedisAddress, millis};
use crate::store::cache::{
    nonce::fresh_nonce,
    store::{StoreError, TAG_TTL},
};

/// Time limit for reading the `run_id` of every primary of a cluster.
const CHECK_LIMIT: Duration = Duration::from_millis(500);
/// The delay between attempts to connect grows from the first value to the last, plus jitter.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_millis(300);
/// If a connection lasted longer than this, the delays start again at [`FIRST_RETRY`].
const STEADY: Duration = Duration::from_secs(1);
/// Interval at which the `run_id`s of a cluster are compared: its driver replaces connections to nodes
/// without notice.
const CLUSTER_CHECK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link {
    live: Arc<watch::Sender<Option<Live>>>,
    maintenance: AbortHandle,
    /// Whether it was logged that Redis is full.
    is_full: AtomicBool,
}

/// A connection whose epoch was verified.
#[derive(Clone, Debug)]
struct Live {
    connection: Connection,
    run_id: Arc<str>,
    /// Distinguishes the connection from earlier and later ones.
    number: u64,
}

#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects, and reconnects until the `Link` is dropped.
    pub(super) fn maintain(address: RedisAddress, prefix: KeyPrefix) -> Self {
        let live = Arc::new(watch::Sender::new(None));
        let maintenance = tokio::spawn(maintain(address, prefix, live.clone())).abort_handle();
        Self {
            live,
            maintenance,
            is_full: AtomicBool::new(false),
        }
    }

    /// The `run_id` of the Redis process at the other end.
    ///
    /// # Errors
    /// If no connection is up.
    pub(super) fn run_id(&self) -> Result<Arc<str>, StoreError> {
        self.live().map(|live| live.run_id)
    }

    /// Sends a command once. Closes the connection if it breaks or does not respond within `budget`.
    pub(super) async fn call(&self, cmd: &Cmd, budget: Duration) -> Result<Value, StoreError> {
        self.call_on(self.live()?, cmd, Deadline::now() + budget)
            .await
    }

    /// Like [`Link::call`], but if the connection breaks, sends the command once more over the next one.
    /// `budget` limits both attempts together. The command must be idempotent.
    pub(super) async fn retry_call(
        &self,
        cmd: &Cmd,
        budget: Duration,
    ) -> Result<Value, StoreError> {
        let deadline = Deadline::now() + budget;
        match self.call_on(self.live()?, cmd, deadline).await {
            Err(StoreError::Down) => {}
            answer => return answer,
        }
        let mut live = self.live.subscribe();
        let next = timeout_at(deadline, live.wait_for(Option::is_some)).await;
        let next = next.ok().and_then(Result::ok).and_then(|live| live.clone());
        self.call_on(next.ok_or(StoreError::Budget)?, cmd, deadline)
            .await
    }

    fn live(&self) -> Result<Live, StoreError> {
        self.live.borrow().clone().ok_or(StoreError::Down)
    }

    async fn call_on(
        &self,
        mut live: Live,
        cmd: &Cmd,
        deadline: Deadline,
    ) -> Result<Value, StoreError> {
        match timeout_at(deadline, live.connection.call(cmd)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if is_command_error(&error) => {
                self.log_if_full(&error);
                Err(StoreError::Failed(error.to_string()))
            }
            Ok(Err(error)) => {
                self.give_up(live.number, &error);
                Err(StoreError::Down)
            }
            Err(_) => {
                self.give_up(live.number, &StoreError::Budget);
                Err(StoreError::Budget)
            }
        }
    }

    /// Logs once that Redis is full and rejects writes. Otherwise the lack of hits would be the only sign.
    fn log_if_full(&self, error: &RedisError) {
        if error.code() == Some("OOM") && !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "Redis is full and evicts nothing: answers are not cached; set its maxmemory-policy to \
            allkeys-lru"
            );
        }
    }

    fn give_up(&self, number: u64, why: &dyn std::error::Error) {
        let is_ours =
            |live: &mut Option<Live>| live.take_if(|live| live.number == number).is_some();
        if self.live.send_if_modified(is_ours) {
            tracing::warn!(error = %why, "Redis is bypassed until it answers again");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.maintenance.abort();
    }
}

impl Connection {
    async fn call(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Node(node) => node.req_packed_command(cmd).await?,
            Self::Cluster(cluster) => cluster.req_packed_command(cmd).await?,
        };
        value.extract_error()
    }

    /// The `run_id` of the node, or of all primaries of a cluster, sorted and joined.
    async fn run_id(&mut self) -> RedisResult<Arc<str>> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let answer = match self {
            Self::Node(node) => node.req_packed_command(&info).await?,
            Self::Cluster(cluster) => {
                let everywhere =
                    RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                cluster.route_command(info, everywhere).await?
            }
        };
        let mut texts = Vec::new();
        collect_texts(answer.extract_error()?, &mut texts);
        let mut ids: Vec<&str> = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.strip_prefix("run_id:"))
            .map(str::trim)
            .collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return Err((ErrorKind::UnexpectedReturnType, "INFO has no run_id").into());
        }
        Ok(ids.join("+").into())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// The value of an epoch that was created in the process `run_id`.
pub(super) fn epoch(run_id: &str, nonce: &str) -> String {
    format!("{run_id}:{nonce}")
}

/// Keeps `live` up to date. The loop has no end: dropping the `Link` aborts the task.
async fn maintain(
    address: RedisAddress,
    prefix: KeyPrefix,
    live: Arc<watch::Sender<Option<Live>>>,
) {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);

    let mut delays = backoff();
    let mut was_down = false;
    loop {
        let opened = timeout(address.connect_limit(), open(&address, &prefix.epoch())).await;
        match opened.map_err(|_| StoreError::Budget.to_string()) {
            Ok(Ok((connection, run_id))) => {
                tracing::info!(%run_id, "Redis answers");
                was_down = false;
                let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
                let (since, check) = (Instant::now(), (connection.clone(), run_id.clone()));
                live.send_replace(Some(Live {
                    connection,
                    run_id,
                    number,
                }));
                tokio::select! {
                    // This cannot fail: the sender lives as long as this task.
                    _ = async { live.subscribe().wait_for(Option::is_none).await.map(|_| ()) } => {}
                    () = until_changed(check) => {
                        live.send_replace(None);
                    }
                }
                if since.elapsed() > STEADY {
                    delays = backoff();
                }
            }
            Ok(Err(error)) => was_down = log_once(was_down, &error.to_string()),
            Err(error) => was_down = log_once(was_down, &error),
        }
        tokio::time::sleep(delays.next().unwrap_or(LAST_RETRY)).await;
    }
}

fn log_once(was_down: bool, error: &str) -> bool {
    if !was_down {
        tracing::warn!(error, "Redis does not answer; reads go to the database");
    }
    true
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LAST_RETRY)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Connects, and replaces the epoch if it was not created in the process at the other end: a Redis that came
/// back with an old dump may hold deleted nonces again, and a new epoch invalidates every entry that holds them.
async fn open(address: &RedisAddress, epoch_key: &str) -> RedisResult<(Connection, Arc<str>)> {
    let mut connection = address.connect().await?;
    let run_id = match connection.run_id().await {
        Err(error) if hides_run_id(&error) && matches!(connection, Connection::Node(_)) => {
            static LOGGED: Once = Once::new();
            LOGGED.call_once(|| {
                tracing::warn!(
                    %error,
                    "Redis hides its run_id; the cache starts empty with every connection"
                );
            });
            // No other connection has this id, so the present epoch is replaced.
            format!("connection-{}", fresh_nonce()).into()
        }
        run_id => run_id?,
    };
    let present = connection.call(redis::cmd("GET").arg(epoch_key)).await?;
    let fits = match &present {
        Value::BulkString(value) => value.starts_with(epoch(&run_id, "").as_bytes()),
        _ => false,
    };
    if !fits {
        let fresh = epoch(&run_id, &fresh_nonce());
        let mut set = redis::cmd("SET");
        set.arg(epoch_key).arg(fresh).arg("PX").arg(millis(TAG_TTL));
        connection.call(&set).await?;
    }
    Ok((connection, run_id))
}

/// Whether Redis responds but does not report its `run_id`, as with some compatible and managed servers.
fn hides_run_id(error: &RedisError) -> bool {
    !error.is_io_error() && !error.is_connection_dropped() && !error.is_timeout()
}

/// Resolves when the primaries of the cluster have changed or do not respond in time. Never resolves for a
/// single node, because its connection ends with its process.
async fn until_changed((mut connection, run_id): (Connection, Arc<str>)) {
    if matches!(connection, Connection::Node(_)) {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(CLUSTER_CHECK).await;
        let present = timeout(CHECK_LIMIT, connection.run_id()).await;
        if !matches!(present, Ok(Ok(present)) if present == run_id) {
            return;
        }
    }
}

fn collect_texts(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => texts.push(text),
        Value::Array(values) => values
            .into_iter()
            .for_each(|value| collect_texts(value, texts)),
        Value::Map(pairs) => pairs
            .into_iter()
            .for_each(|(_, value)| collect_texts(value, texts)),
        _ => {}
    }
}

/// Whether Redis rejected this command but will accept others, for example because its memory is full. After
/// any other error the connection must be closed, for example if the node has become a replica.
fn is_command_error(error: &RedisError) -> bool {
    !(error.is_unrecoverable_error()
        || error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                redis::ServerErrorKind::ReadOnly
                    | redis::ServerErrorKind::BusyLoading
                    | redis::ServerErrorKind::MasterDown
                    | redis::ServerErrorKind::ClusterDown
            )
        ))
}
