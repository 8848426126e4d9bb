//! The one connection to Redis, kept up in the background. A Redis that has lost its memory, went back
//! to a snapshot or was replaced is another process, with another `run_id`; the epoch holds that of
//! the process that it was made in, and a connection is used only when the two agree. The link is also
//! the circuit breaker: what does not answer in time is given up, and until a new connection is proven
//! every call fails at once.

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

/// How long the nodes of a cluster may take to say who they are.
const CHECK_LIMIT: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_millis(300);
/// A connection that lived so long was a good one: the next is tried without delay.
const STEADY: Duration = Duration::from_secs(1);
/// How often the nodes of a cluster are asked who they are: its connections come and go unseen.
const CLUSTER_CHECK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link {
    live: Arc<watch::Sender<Option<Live>>>,
    keeper: AbortHandle,
    /// Whether it was said that Redis takes no more.
    is_full: AtomicBool,
}

/// A connection whose epoch was proven.
#[derive(Clone, Debug)]
struct Live {
    connection: Connection,
    run_id: Arc<str>,
    /// Tells it from those before and after it.
    number: u64,
}

#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects, and connects again, until this is dropped.
    pub(super) fn keep(address: RedisAddress, prefix: KeyPrefix) -> Self {
        let live = Arc::new(watch::Sender::new(None));
        let keeper = tokio::spawn(keep(address, prefix, live.clone())).abort_handle();
        Self {
            live,
            keeper,
            is_full: AtomicBool::new(false),
        }
    }

    /// The process that answers, where there is one.
    pub(super) fn run_id(&self) -> Result<Arc<str>, StoreError> {
        self.live().map(|live| live.run_id)
    }

    /// Sends a command, once. Gives the connection up where that does not work within `budget`.
    pub(super) async fn call(&self, cmd: &Cmd, budget: Duration) -> Result<Value, StoreError> {
        self.call_on(self.live()?, cmd, Deadline::now() + budget)
            .await
    }

    /// As [`Link::call`], and where the connection turns out to be gone once more on the next one, all
    /// of it within `budget`. The command must be one that may be done twice.
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

    /// Says once that Redis takes no more: nothing else shows it but that there are no hits.
    fn log_if_full(&self, error: &RedisError) {
        if error.code() == Some("OOM") && !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "Redis is at its memory limit and evicts nothing: answers are not cached; set its \
                maxmemory-policy to allkeys-lru"
            );
        }
    }

    fn give_up(&self, number: u64, why: &dyn std::error::Error) {
        let is_ours =
            |live: &mut Option<Live>| live.take_if(|live| live.number == number).is_some();
        if self.live.send_if_modified(is_ours) {
            tracing::warn!(error = %why, "Redis is given up until it answers again");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
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

    /// Who answers: the `run_id` of the node, or of all nodes of a cluster that own slots.
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
            return Err((ErrorKind::UnexpectedReturnType, "INFO tells no run_id").into());
        }
        Ok(ids.join("+").into())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// The value of the epoch that was made while the process `run_id` answered.
pub(super) fn epoch(run_id: &str, nonce: &str) -> String {
    format!("{run_id}:{nonce}")
}

async fn keep(address: RedisAddress, prefix: KeyPrefix, live: Arc<watch::Sender<Option<Live>>>) {
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
                    // The sender lives as long as this task.
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
        tracing::warn!(
            error,
            "Redis does not answer; reads go to the database meanwhile"
        );
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

/// Connects, and makes sure that the epoch belongs to the process that answers.
async fn open(address: &RedisAddress, epoch_key: &str) -> RedisResult<(Connection, Arc<str>)> {
    let mut connection = address.connect().await?;
    let run_id = match connection.run_id().await {
        Err(error) if hides_run_id(&error) && matches!(connection, Connection::Node(_)) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                tracing::warn!(
                    %error,
                    "Redis does not tell its run_id; the cache begins anew with every connection to it"
                );
            });
            // No other connection has this one, so its epoch replaces the one that is there.
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

/// Whether Redis answers but keeps its `run_id` to itself, as some compatible and managed servers do.
fn hides_run_id(error: &RedisError) -> bool {
    !error.is_io_error() && !error.is_connection_dropped() && !error.is_timeout()
}

/// Ready when other nodes answer for the cluster. A node's own connection ends with its process.
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

/// Whether Redis refused this command but will take others: full memory, say. A replica that was a
/// primary before is to be left.
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
