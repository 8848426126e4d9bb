//! The address of Redis: one node, a cluster, or sentinels that know the primary.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use tokio::sync::Mutex;

use super::link::Connection;

/// Time limit for connecting to a single node and verifying the epoch.
const NODE_LIMIT: Duration = Duration::from_millis(500);
/// The same for a cluster or sentinels, where some hosts may be switched off and not respond at all.
const FLEET_LIMIT: Duration = Duration::from_secs(3);
/// A host of a cluster that does not respond within this time is skipped. The default budget of a reader's
/// command (80 ms) is shorter.
const HOST_LIMIT: Duration = Duration::from_millis(200);

const FORMS: &str = "redis://[user:password@]host[:port][/db], unix:///path/to.sock, \
    redis+cluster://host:port,host:port… or redis+sentinel://host:port,host:port…/name; \
    rediss… for TLS";

/// A parsed Redis URL. Its password is never shown.
#[derive(Clone)]
pub struct RedisAddress(Arc<Kind>);

enum Kind {
    Node(Client),
    Cluster(ClusterClient),
    Sentinel(Mutex<SentinelClient>),
}

impl RedisAddress {
    /// The address of a Redis that listens on a Unix socket.
    ///
    /// # Errors
    /// If the path is not valid for a socket.
    pub fn socket(path: &Path) -> Result<Self, String> {
        let info = ConnectionAddr::Unix(path.into()).into_connection_info();
        let client = info
            .and_then(Client::open)
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(Kind::Node(client))))
    }

    /// Time limit for [`RedisAddress::connect`] and the first commands.
    pub(super) fn connect_limit(&self) -> Duration {
        match *self.0 {
            Kind::Node(_) => NODE_LIMIT,
            Kind::Cluster(_) | Kind::Sentinel(_) => FLEET_LIMIT,
        }
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        // No time limits of the driver: the caller enforces the budget of each command.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let client = match &*self.0 {
            Kind::Cluster(client) => {
                return Ok(Connection::Cluster(client.get_async_connection().await?));
            }
            Kind::Node(client) => client.clone(),
            Kind::Sentinel(sentinel) => sentinel.lock().await.async_get_client().await?,
        };
        let node = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Connection::Node(node))
    }
}

impl FromStr for RedisAddress {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        // The parser's own message would repeat the URL and thus the password.
        let kind = parse(url).map_err(|_| format!("is not a Redis URL; write {FORMS}"))?;
        Ok(Self(Arc::new(kind)))
    }
}

fn parse(url: &str) -> RedisResult<Kind> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let Some((base, kind)) = scheme.split_once('+').filter(|(_, kind)| *kind != "unix") else {
        return Client::open(url).map(Kind::Node);
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (format!("{user}@"), rest),
        None => (String::new(), rest),
    };
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let node = |user: &str, host: &str| format!("{base}://{user}{host}").into_connection_info();
    let nodes = |user: &str| {
        let nodes = hosts.split(',').map(|host| node(user, host));
        nodes.collect::<RedisResult<Vec<ConnectionInfo>>>()
    };
    match kind {
        "cluster" => {
            let cluster = ClusterClient::builder(nodes(&user)?)
                .connection_timeout(HOST_LIMIT)
                .response_timeout(HOST_LIMIT)
                .retries(1)
                .build()?;
            Ok(Kind::Cluster(cluster))
        }
        "sentinel" => {
            let (name, db) = path.split_once('/').unwrap_or((path, "0"));
            let first = hosts.split(',').next().unwrap_or_default();
            let given = node(&user, first)?;
            let given = given.redis_settings();
            let mut settings =
                RedisConnectionInfo::default().set_db(db.parse().unwrap_or_default());
            if let Some(username) = given.username() {
                settings = settings.set_username(username);
            }
            if let Some(password) = given.password() {
                settings = settings.set_password(password);
            }
            let mut primary =
                SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
            if base == "rediss" {
                primary = primary.set_tls_mode(TlsMode::Secure);
            }
            let kind = SentinelServerType::Master;
            let client = SentinelClient::build(nodes("")?, name, Some(primary), kind)?;
            Ok(Kind::Sentinel(Mutex::new(client)))
        }
        _ => Client::open(url).map(Kind::Node),
    }
}

impl std::fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self.0 {
            Kind::Node(_) => "one Redis (hidden)",
            Kind::Cluster(_) => "a Redis cluster (hidden)",
            Kind::Sentinel(_) => "Redis behind sentinels (hidden)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(url: &str) -> String {
        format!("{:?}", url.parse::<RedisAddress>().unwrap())
    }

    #[test]
    fn the_scheme_tells_what_kind_it_is_and_nothing_shows_the_password() {
        assert_eq!(
            kind("redis://:secret@10.0.0.1:6379/2"),
            "one Redis (hidden)"
        );
        assert_eq!(kind("unix:///run/redis.sock"), "one Redis (hidden)");
        assert_eq!(kind("rediss://redis.example"), "one Redis (hidden)");
        assert_eq!(
            kind("redis+cluster://ada:secret@a:7000,b:7001"),
            "a Redis cluster (hidden)"
        );
        assert_eq!(
            kind("redis+sentinel://:secret@a:26379,b:26379/shop"),
            "Redis behind sentinels (hidden)"
        );
        for url in ["", "shop", "http://secret@a", "redis+pigeon://secret@a"] {
            let error = url.parse::<RedisAddress>().unwrap_err();
            assert!(error.contains("redis+cluster://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
