//! Flags and environment of the server: one struct, every flag with its variable.

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

/// The variables that hold the URLs of PostgreSQL and of Redis.
pub const DATABASE_URL: &str = "DATABASE_URL";
pub const REDIS_URL: &str = "REDIS_URL";

/// Stockroom's server: a REST API for customers, products, categories and orders on PostgreSQL.
///
/// With DATABASE_URL it uses that database; without, it starts a private PostgreSQL from the
/// installed binaries, and a private Redis where one is installed, and stops them when it leaves.
/// REDIS_URL says where servers of one database share their cache.
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

    /// Serve one user of this machine: a private PostgreSQL even if DATABASE_URL is set, on a Unix
    /// socket that nobody else can open, and leave with the last client.
    #[arg(long, env = "STOCKROOM_LOCAL")]
    pub local: bool,

    /// Listen beyond this machine although there is no authentication yet.
    #[arg(long, env = "STOCKROOM_INSECURE_REMOTE")]
    pub insecure_remote: bool,

    /// A name under which a server on this machine may be called beside localhost, such as that of a proxy before it.
    /// May be given several times, or with commas between.
    #[arg(long, env = "STOCKROOM_ALLOW_HOST", value_delimiter = ',', value_parser = parse_host)]
    pub allow_host: Vec<String>,

    /// The folder of the private PostgreSQL.
    #[arg(long, env = local_paths::DATA_DIR_VARIABLE, global = true)]
    pub data_dir: Option<PathBuf>,

    /// Make a shop in a --data-dir that is not there, or for a command.
    #[arg(long, env = "STOCKROOM_CREATE", global = true)]
    pub create: bool,

    /// Connections to PostgreSQL at the most, shared out among reads, writes, bulk work and what keeps the
    /// server going; one more watches over them.
    #[arg(long, env = "STOCKROOM_MAX_CONNECTIONS", default_value_t = 24,
        value_parser = clap::value_parser!(u32).range(i64::from(MIN_CONNECTIONS)..=10_000))]
    pub max_connections: u32,

    /// `DATABASE_URL` leads to a pooler in transaction mode, such as PgBouncer with `pool_mode = transaction`:
    /// each statement gets a transaction of its own, and no statement is kept prepared. Slower than
    /// PostgreSQL itself, whose connections the server shares out anyway.
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

    /// Seconds between the signal to stop and the end of new connections. /readyz answers 503 meanwhile, so that
    /// load balancers send callers elsewhere first. A second signal ends the wait; a local server does not wait.
    #[arg(long, env = "STOCKROOM_LEAVE_DELAY", default_value_t = 3)]
    pub leave_delay: u32,

    /// Seconds that requests and exports in progress may then take to finish.
    #[arg(long, env = "STOCKROOM_DRAIN_LIMIT", default_value_t = 30)]
    pub drain_limit: u32,

    /// The earliest date that an order may have.
    #[arg(long, env = "STOCKROOM_ORDERS_FROM", default_value = "2000-01-01")]
    pub orders_from: NaiveDate,

    /// How finely orders and the change log are cut from now on: month, week or day. What there is
    /// stays as it is.
    #[arg(long, env = "STOCKROOM_PARTITION_INTERVAL", default_value_t)]
    pub partition_interval: Interval,

    /// What becomes of old partitions of orders: keep, or archive: or drop: and an age such as 36m.
    #[arg(long, env = "STOCKROOM_ORDERS_RETENTION", default_value = "keep")]
    pub orders_retention: Retention,

    /// Likewise of the change log, which holds the history of the rows.
    #[arg(long, env = "STOCKROOM_CHANGES_RETENTION", default_value = "drop:90d")]
    pub changes_retention: Retention,

    /// Refuse writes to a row that do not say which version they mean (428).
    #[arg(long, env = "STOCKROOM_REQUIRE_IF_MATCH")]
    pub require_if_match: bool,

    /// What to log, such as `info` or `stockroom_server=debug,warn`.
    #[arg(long, env = "STOCKROOM_LOG", default_value = "info", global = true)]
    pub log: String,

    /// Log one JSON object a line instead of text.
    #[arg(long, env = "STOCKROOM_LOG_JSON", global = true)]
    pub log_json: bool,

    /// Leave the queries of requests out of the log: they may hold names and e-mail addresses.
    #[arg(long, env = "STOCKROOM_LOG_WITHOUT_QUERIES")]
    pub log_without_queries: bool,

    /// Memory for cached answers, in MiB.
    #[arg(long, env = "STOCKROOM_CACHE_MEMORY", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub cache_memory: u32,

    /// Read from the environment alone: arguments are there for everybody to see.
    #[arg(skip = Secret::from_env(DATABASE_URL))]
    pub database_url: Option<Secret>,

    /// Likewise.
    #[arg(skip = Secret::from_env(REDIS_URL))]
    pub redis_url: Option<Secret>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring the schema of the database up to date and leave.
    Migrate,
    /// Fill the shop with realistic test data and leave; the same command goes on where it stopped.
    Seed(NewSeedJob),
    /// Watch over a private PostgreSQL for another process: internal.
    #[command(hide = true)]
    Guard {
        /// Remove the whole folder in the end.
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
            format!("`{text}` is no address; write 127.0.0.1:7878 or unix:/path/to.sock")
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

/// A URL with its password, which is never shown.
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
    /// How to reach the database that is given; none where the server brings its own.
    ///
    /// # Errors
    /// Where the URL is none of PostgreSQL. It is not repeated: it holds a password.
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

    /// Where servers of the database share their cache, if that is given.
    ///
    /// # Errors
    /// Where the URL is none of Redis.
    pub fn redis(&self) -> Result<Option<RedisAddress>, String> {
        let url = self.redis_url.as_ref().filter(|_| !self.local);
        let address = url.map(|url| url.expose().parse::<RedisAddress>());
        address
            .transpose()
            .map_err(|error| format!("{REDIS_URL} {error}"))
    }

    /// Refuses to make a shop where a folder may be mistyped.
    ///
    /// # Errors
    /// A sentence that says what to do.
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
