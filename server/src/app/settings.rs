//! The flags and environment variables of the server, in one struct. Doc comments of flags are their `--help` texts.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Parser, Subcommand};
use sqlx::postgres::PgConnectOptions;
use stockroom_common::{local_paths, seed::NewSeedJob};

use crate::{
    http::origin::{Hosts, parse_host},
    store::{
        cache::RedisAddress,
        database::{MIN_CONNECTIONS, Pooling},
        partitions::{Interval, Retention},
    },
};

/// The environment variables with the URLs of PostgreSQL and Redis.
pub const DATABASE_URL: &str = "DATABASE_URL";
pub const REDIS_URL: &str = "REDIS_URL";

/// Stockroom's server: a REST API for customers, products, categories and orders on PostgreSQL.
///
/// With DATABASE_URL it uses that database. Without it, it starts a private PostgreSQL from the
/// installed binaries, and a private Redis if one is installed, and stops them when it exits.
/// REDIS_URL is the Redis in which servers of one database share their cache.
#[derive(Debug, Parser)]
#[command(name = "stockroom-server", version)]
pub struct Settings {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to listen: an address and port, or `unix:` and the path of a socket.
    #[arg(
        long,
        env = "STOCKROOM_LISTEN",
        default_value = "127.0.0.1:7878",
        global = true
    )]
    pub listen: Listen,

    /// Serve one user of this machine: use a private PostgreSQL even if DATABASE_URL is set, listen on
    /// a Unix socket that nobody else can open, and exit after the last client.
    #[arg(long, env = "STOCKROOM_LOCAL")]
    pub local: bool,

    /// Allow --listen addresses that other machines can reach, although there is no authentication yet.
    #[arg(long, env = "STOCKROOM_INSECURE_REMOTE")]
    pub insecure_remote: bool,

    /// A host name under which this server may be called in addition to localhost, such as that of a proxy.
    /// May be given several times, or separated by commas.
    #[arg(long, env = "STOCKROOM_ALLOW_HOST", value_delimiter = ',', value_parser = parse_host)]
    pub allow_host: Vec<String>,

    /// The folder of the private PostgreSQL.
    #[arg(long, env = local_paths::DATA_DIR_VARIABLE, global = true)]
    pub data_dir: Option<PathBuf>,

    /// Create the shop if the --data-dir does not exist, or if a command finds no shop.
    #[arg(long, env = "STOCKROOM_CREATE", global = true)]
    pub create: bool,

    /// Maximum connections to PostgreSQL, divided among reads, writes, bulk work and background work.
    /// The server uses one more to monitor them.
    #[arg(long, env = "STOCKROOM_MAX_CONNECTIONS", default_value_t = 24,
        value_parser = clap::value_parser!(u32).range(i64::from(MIN_CONNECTIONS)..=10_000))]
    pub max_connections: u32,

    /// `DATABASE_URL` is a pooler in transaction mode, such as PgBouncer with `pool_mode = transaction`:
    /// each statement gets its own transaction, and no statement stays prepared. Slower than a direct
    /// connection to PostgreSQL, and not needed for pooling: the server pools its connections itself.
    #[arg(long, env = "STOCKROOM_TRANSACTION_POOLING", global = true)]
    pub transaction_pooling: bool,

    /// Seconds to keep trying to reach the database at startup.
    #[arg(
        long,
        env = "STOCKROOM_START_TIMEOUT",
        default_value_t = 30,
        global = true
    )]
    pub start_timeout: u32,

    /// Seconds between the signal to stop and the end of new connections. Meanwhile /readyz answers 503, so that
    /// load balancers send callers elsewhere first. A second signal ends the delay; a local server has no delay.
    #[arg(long, env = "STOCKROOM_LEAVE_DELAY", default_value_t = 3)]
    pub leave_delay: u32,

    /// Seconds that requests and exports in progress may then take to finish.
    #[arg(long, env = "STOCKROOM_DRAIN_LIMIT", default_value_t = 30)]
    pub drain_limit: u32,

    /// The earliest date that an order may have.
    #[arg(long, env = "STOCKROOM_ORDERS_FROM", default_value = "2000-01-01")]
    pub orders_from: NaiveDate,

    /// The time range of new partitions of orders and of the change log: month, week or day. Existing
    /// partitions do not change.
    #[arg(long, env = "STOCKROOM_PARTITION_INTERVAL", default_value_t)]
    pub partition_interval: Interval,

    /// What happens to old partitions of orders: keep, or archive: or drop: with an age such as 36m.
    #[arg(long, env = "STOCKROOM_ORDERS_RETENTION", default_value = "keep")]
    pub orders_retention: Retention,

    /// What happens to old partitions of the change log, which contains the history of the rows.
    #[arg(long, env = "STOCKROOM_CHANGES_RETENTION", default_value = "drop:90d")]
    pub changes_retention: Retention,

    /// Refuse writes to a row that do not name its version (428).
    #[arg(long, env = "STOCKROOM_REQUIRE_IF_MATCH")]
    pub require_if_match: bool,

    /// What to log, such as `info` or `stockroom_server=debug,warn`.
    #[arg(long, env = "STOCKROOM_LOG", default_value = "info", global = true)]
    pub log: String,

    /// Log one JSON object per line instead of text.
    #[arg(long, env = "STOCKROOM_LOG_JSON", global = true)]
    pub log_json: bool,

    /// Leave the queries of requests out of the log: they may contain names and e-mail addresses.
    #[arg(long, env = "STOCKROOM_LOG_WITHOUT_QUERIES")]
    pub log_without_queries: bool,

    /// Memory for cached answers, in MiB.
    #[arg(long, env = "STOCKROOM_CACHE_MEMORY", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub cache_memory: u32,

    /// Read only from the environment: other users of the machine can see arguments.
    #[arg(skip = Secret::from_env(DATABASE_URL))]
    pub database_url: Option<Secret>,

    /// Read only from the environment, for the same reason.
    #[arg(skip = Secret::from_env(REDIS_URL))]
    pub redis_url: Option<Secret>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring the schema of the database up to date and exit.
    Migrate,
    /// Fill the shop with realistic test data and exit; the same command continues where it stopped.
    Seed(NewSeedJob),
    /// Monitor a private PostgreSQL for another process: internal.
    #[command(hide = true)]
    Guard {
        /// Remove the whole folder at the end.
        #[arg(long)]
        ephemeral: bool,
    },
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    /// Whether other machines can reach it.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let address = text.parse();
        address.map(Self::Tcp).map_err(|_| {
            format!("`{text}` is not an address; write 127.0.0.1:7878 or unix:/path/to.sock")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A URL that may contain a password, and is therefore never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    fn from_env(variable: &str) -> Option<Self> {
        let secret = std::env::var(variable).ok()?;
        Some(Self(secret)).filter(|secret| !secret.0.is_empty())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Settings {
    /// How to connect to the given database; `None` if the server starts its own.
    ///
    /// # Errors
    /// If the URL is not a PostgreSQL URL. The message does not repeat it, because it may contain a password.
    pub fn database(&self) -> Result<Option<PgConnectOptions>, String> {
        let Some(url) = self.database_url.as_ref().filter(|_| !self.local) else {
            return Ok(None);
        };
        let is_postgres = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.expose().starts_with(scheme));
        let options = PgConnectOptions::from_str(url.expose()).ok();
        let options = options.filter(|_| is_postgres).ok_or_else(|| {
            format!("{DATABASE_URL} is not a PostgreSQL URL; write postgres://user:password@host:5432/database")
        })?;
        Ok(Some(options))
    }

    /// The Redis in which servers of the database share their cache, if one is given.
    ///
    /// # Errors
    /// If the URL is not a Redis URL.
    pub fn redis(&self) -> Result<Option<RedisAddress>, String> {
        let url = self.redis_url.as_ref().filter(|_| !self.local);
        let address = url.map(|url| url.expose().parse::<RedisAddress>());
        address
            .transpose()
            .map_err(|error| format!("{REDIS_URL} {error}"))
    }

    /// Refuses to create a shop in a folder whose name may be mistyped.
    ///
    /// # Errors
    /// A message that explains what to do.
    pub fn check_folder(&self, data_dir: &Path) -> Result<(), String> {
        let folder = data_dir.display();
        if data_dir.exists() && !data_dir.is_dir() {
            return Err(format!("{folder} is a file; --data-dir names a folder"));
        }
        if self.create {
            return Ok(());
        }
        let makes_none = matches!(self.command, Some(Command::Migrate | Command::Seed(_)));
        match self.data_dir {
            _ if makes_none && !data_dir.join("postgres").is_dir() => Err(format!(
                "there is no shop in {folder}; start the server or the client there first, or add --create"
            )),
            Some(_) if !data_dir.exists() && self.command.is_none() => Err(format!(
                "there is no folder {folder}; add --create to make a shop there"
            )),
            _ => Ok(()),
        }
    }

    pub fn pooling(&self) -> Pooling {
        if self.transaction_pooling {
            Pooling::Transaction
        } else {
            Pooling::Session
        }
    }

    /// The names under which the server may be called.
    pub fn hosts(&self) -> Hosts {
        if self.listen.is_remote() && self.allow_host.is_empty() {
            Hosts::Any
        } else {
            Hosts::Local(self.allow_host.clone())
        }
    }

    /// The instant before which no order may be placed.
    pub fn orders_from(&self) -> DateTime<Utc> {
        self.orders_from.and_time(chrono::NaiveTime::MIN).and_utc()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Settings::command().debug_assert();
    }

    #[test]
    fn only_other_machines_are_remote() {
        let remote = |text: &str| text.parse::<Listen>().unwrap().is_remote();
        assert!(!remote("127.0.0.1:7878"));
        assert!(!remote("[::1]:7878"));
        assert!(!remote("unix:/run/stockroom.sock"));
        assert!(remote("0.0.0.0:7878"));
        assert!(remote("192.0.2.1:7878"));
        assert!("localhost".parse::<Listen>().is_err());
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        let settings = |database: &str| Settings {
            database_url: Some(Secret(database.into())),
            ..Settings::parse_from(["stockroom-server"])
        };
        assert!(
            settings("postgres://ada:secret@db/shop")
                .database()
                .unwrap()
                .is_some()
        );
        let message = settings("foo://ada:secret@bar").database().unwrap_err();
        assert!(
            message.contains("postgres://user:password@host"),
            "{message}"
        );
        assert!(!message.contains("secret"), "{message}");
        for connections in ["0", "3", "many"] {
            let flags = ["stockroom-server", "--max-connections", connections];
            assert!(Settings::try_parse_from(flags).is_err(), "{connections}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let url = Secret("postgres://ada:secret@db/shop".into());
        assert!(!format!("{url:?}").contains("secret"));
    }
}
