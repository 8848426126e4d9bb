//! The `stockroom-server` binary: reads the settings and wires the parts together.

use std::{
    fs,
    io::IsTerminal,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, parser::ValueSource};
use futures_util::FutureExt;
use sqlx::postgres::PgConnectOptions;
use stockroom_common::place;
use stockroom_server::{
    AppState, Options,
    cache::{CacheOptions, Place, RedisAddress},
    connect,
    local::{self, Durability, LocalPostgres, ServerLock},
    migrate, run, seed,
    settings::{Command, DATABASE_URL, Listen, REDIS_URL, Settings},
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
};

/// How long callers may take to read what they have begun to, once the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = parse();
    start_log(&settings);
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the settings; a local server that is not told where to listen uses its private socket.
fn parse() -> Settings {
    let matches = Settings::command().get_matches();
    let told = matches.value_source("listen") != Some(ValueSource::DefaultValue);
    let mut settings = Settings::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if settings.local
        && !told
        && let Ok(data_dir) = local::data_dir(settings.data_dir.as_deref())
    {
        settings.listen = Listen::Unix(place::api_socket(&data_dir));
    }
    settings
}

fn start_log(settings: &Settings) {
    let filter = tracing_subscriber::EnvFilter::new(&settings.log);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if settings.log_json {
        log.json().init();
    } else {
        log.init();
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    if let Some(Command::Guard { ephemeral }) = settings.command {
        let durability = if ephemeral {
            Durability::Ephemeral
        } else {
            Durability::Kept
        };
        let data_dir = local::data_dir(settings.data_dir.as_deref())?;
        return Ok(local::guard::run(&data_dir, durability).await?);
    }
    if settings.listen.is_remote() && !settings.insecure_remote {
        let message = "would let everybody on the network read and change the shop, for there is no \
            authentication yet; listen on 127.0.0.1, or add --insecure-remote if that is what you want";
        return Err(format!("listening on {} {message}", settings.listen).into());
    }
    // Fails if there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let stop = stop_signal()?.shared();
    let database = tokio::select! {
        database = Database::open(&settings) => database?,
        () = stop.clone() => return Ok(()),
    };
    let result = serve_database(&settings, &database, stop).await;
    database.close().await;
    result
}

async fn serve_database(
    settings: &Settings,
    database: &Database,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) -> Result<(), Failure> {
    let place = cache_place(settings, database)?;
    let prepare = async {
        let pool = connect(database.options.clone(), settings.max_connections).await?;
        migrate(&pool).await?;
        let options = Options {
            orders_from: settings.orders_from(),
            require_if_match: settings.require_if_match,
            partition_interval: settings.partition_interval,
            orders_retention: settings.orders_retention,
            changes_retention: settings.changes_retention,
            cache: CacheOptions {
                place,
                memory_bytes: u64::from(settings.cache_memory) << 20,
                ..CacheOptions::default()
            },
            ..Options::default()
        };
        AppState::new(pool, options).await
    };
    let state = tokio::select! {
        state = prepare => state?,
        () = stop.clone() => return Ok(()),
    };
    if matches!(settings.command, Some(Command::Migrate)) {
        tracing::info!("the schema is up to date");
        return Ok(());
    }
    if let Some(Command::Seed(request)) = &settings.command {
        return Ok(seed::command(&state, request.clone(), stop).await?);
    }
    let (pool, leaving, leaves) = (state.pool().clone(), state.clone(), settings.local);
    let shutdown = async move {
        tokio::select! {
            () = stop => tracing::info!("stopping"),
            () = leaving.deserted(), if leaves => tracing::info!("the last client has gone"),
        }
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "listening on {}",
        settings.listen
    );
    match &settings.listen {
        Listen::Tcp(address) => run(bind_tcp(address).await?, state, shutdown).await?,
        // The socket stays behind: by now it may be that of the next server.
        Listen::Unix(path) => run(bind_unix(path)?, state, shutdown).await?,
    }
    // A caller who takes his time with an export keeps its connection; he is cut off with the process.
    if tokio::time::timeout(LAST_ANSWERS, pool.close())
        .await
        .is_err()
    {
        tracing::warn!("some answers were not taken in {LAST_ANSWERS:?}; they are cut off");
    }
    Ok(())
}

/// Where to cache: as told, or with a private PostgreSQL in the Redis beside it or in memory.
fn cache_place(settings: &Settings, database: &Database) -> Result<Place, Failure> {
    if let Some(url) = settings.redis_url.as_ref().filter(|_| !settings.local) {
        let address = url.expose().parse::<RedisAddress>();
        return Ok(Place::Redis(
            address.map_err(|error| format!("{REDIS_URL} {error}"))?,
        ));
    }
    let Some((postgres, _)) = &database.private else {
        tracing::warn!(
            "caching is off, for another server of this database could not tell this one what it \
             changed; set {REDIS_URL} to where they meet"
        );
        return Ok(Place::Off);
    };
    match postgres.redis_socket() {
        Some(socket) => Ok(Place::Redis(RedisAddress::socket(&socket)?)),
        None => Ok(Place::Memory),
    }
}

async fn bind_tcp(address: &std::net::SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// Binds a socket that only this user can open, in place of one that an earlier server left.
fn bind_unix(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| format!("cannot listen on {}: {error}", path.display());
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(format!("another server already listens on {}", path.display()).into());
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed)?,
        Ok(_) => return Err(format!("{} is there and no socket", path.display()).into()),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// The database to serve from, and, where it is private, what keeps it running.
struct Database {
    options: PgConnectOptions,
    private: Option<(LocalPostgres, ServerLock)>,
}

impl Database {
    async fn open(settings: &Settings) -> Result<Self, Failure> {
        if let Some(url) = settings.database_url.as_ref().filter(|_| !settings.local) {
            // The parser's own message would repeat the URL, and with it the password.
            let options = PgConnectOptions::from_str(url.expose())
                .map_err(|_| format!("{DATABASE_URL} is not a PostgreSQL URL"))?;
            let private = None;
            return Ok(Self { options, private });
        }
        let data_dir = local::data_dir(settings.data_dir.as_deref())?;
        let lock = ServerLock::take(&data_dir)?;
        if let Some(sockets) = place::api_socket(&data_dir).parent() {
            local::make_private_dir(sockets)?;
        }
        tracing::info!("starting a private PostgreSQL in {}", data_dir.display());
        let exe = std::env::current_exe()?;
        let postgres = LocalPostgres::start(&data_dir, Durability::Kept, &exe).await?;
        let options = postgres.connect_options("postgres");
        local::create_database(&options).await?;
        Ok(Self {
            options: options.database(local::DATABASE),
            private: Some((postgres, lock)),
        })
    }

    async fn close(self) {
        if let Some((postgres, _lock)) = self.private
            && let Err(error) = postgres.stop().await
        {
            tracing::error!("PostgreSQL did not stop cleanly: {error}");
        }
    }
}

/// Ready at ctrl-c, SIGTERM or SIGHUP.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
