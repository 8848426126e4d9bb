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
use stockroom_common::{Secret, access::check_secret, environment, local_paths, seed::NewSeedJob};

use crate::{
    access::TokenAction,
    http::{
        origin::{Hosts, parse_host},
        tls::TlsFiles,
    },
    store::{
        cache::RedisAddress,
        database::{MIN_CONNECTIONS, Pooling},
        partitions::{Interval, Retention},
    },
};

/// The environment variables with the URLs of PostgreSQL and Redis.
pub const DATABASE_URL: &str = "DATABASE_URL";
pub const REDIS_URL: &str = "REDIS_URL";
/// The environment variable with the token of an administrator.
pub const ADMIN_TOKEN: &str = "STOCKROOM_ADMIN_TOKEN";

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

    /// Speak TLS, with this certificate (PEM; the server's own first, then those that signed it). The files are read
    /// again when they change, and on SIGHUP.
    #[arg(
        long,
        env = "STOCKROOM_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate (PEM).
    #[arg(
        long,
        env = "STOCKROOM_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Allow plain HTTP on a --listen address that other machines can reach, as behind a proxy that adds TLS. Tokens
    /// and data cross the network unencrypted.
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
    #[arg(skip = environment::secret(DATABASE_URL))]
    pub database_url: Result<Option<Secret>, String>,

    /// The token of an administrator, which is accepted besides those in the database and, with a private PostgreSQL,
    /// that of the data folder. Read only from the environment, for the same reason.
    #[arg(skip = environment::secret(ADMIN_TOKEN))]
    pub admin_token: Result<Option<Secret>, String>,

    /// Read only from the environment, for the same reason.
    #[arg(skip = environment::secret(REDIS_URL))]
    pub redis_url: Result<Option<Secret>, String>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring the schema of the database up to date and exit.
    Migrate,
    /// Create, list and revoke tokens.
    #[command(subcommand)]
    Token(TokenAction),
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

impl Settings {
    /// How to connect to the given database; `None` if the server starts its own.
    ///
    /// # Errors
    /// If the URL is not a PostgreSQL URL. The message does not repeat it, because it may contain a password.
    pub fn database(&self) -> Result<Option<PgConnectOptions>, String> {
        let url = self.database_url.as_ref().map_err(Clone::clone)?;
        let Some(url) = url.as_ref().filter(|_| !self.local) else {
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
        let url = self.redis_url.as_ref().map_err(Clone::clone)?;
        let url = url.as_ref().filter(|_| !self.local);
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
        let makes_none = matches!(
            self.command,
            Some(Command::Migrate | Command::Seed(_) | Command::Token(_))
        );
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

    /// The administrator's token that is set.
    ///
    /// # Errors
    /// If it is none, or its file cannot be read.
    pub fn admin_token(&self) -> Result<Option<Secret>, String> {
        if self.local {
            return Ok(None);
        }
        let secret = self.admin_token.clone()?;
        if let Some(secret) = &secret {
            check_secret(secret.expose())
                .map_err(|fault| format!("{ADMIN_TOKEN} is not a token: {fault}"))?;
        }
        Ok(secret)
    }

    /// The files for TLS, if the server speaks it.
    pub fn tls(&self) -> Option<TlsFiles> {
        if self.local {
            return None;
        }
        Some(TlsFiles {
            certificates: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
        })
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
            database_url: Ok(Some(Secret::new(database))),
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
}
