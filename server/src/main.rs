//! The `stockroom-server` binary: reads the settings, starts the private PostgreSQL if needed, and serves.

use std::{
    fs,
    io::{IsTerminal, Write},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, parser::ValueSource};
use rustix::{
    fs::Mode,
    net::sockopt,
    process::{Resource, getrlimit, setrlimit, umask},
};
use sqlx::postgres::PgConnectOptions;
use stockroom_common::{LogSink, Secret, environment, local_paths};
use stockroom_server::{
    AppState, Database, Options, Pooling, Signals, Tls, TlsListener, access,
    cache::{CacheOptions, RedisAddress, StoreKind},
    check_pooling,
    local::{self, Durability, LocalPostgres, ServerLock},
    migrate, run, seed,
    settings::{Command, Listen, REDIS_URL, Settings},
    wait_for,
};
use tokio::net::{TcpListener, UnixListener};

/// Send buffer of a connection, in bytes: the most that the kernel holds for a client that does not read. Linux
/// doubles the value.
const SEND_BUFFER: usize = 256 << 10;
/// How long clients may take to read the responses that they have begun to read, after the server has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait at the end until the last lines of the log are written.
const LAST_LINES: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let settings = parse();
    let log = match start_log(&settings) {
        Ok(log) => log,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "stockroom-server: cannot log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = serve(settings, &log).await;
    if let Err(error) = &served {
        tracing::error!("{error}");
    }
    log.drain(LAST_LINES);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads the settings. A local server without `--listen` uses its private socket.
fn parse() -> Settings {
    let matches = environment::forgiving(Settings::command()).get_matches();
    let is_explicit = matches.value_source("listen") != Some(ValueSource::DefaultValue);
    let mut settings = Settings::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let urls = settings.database().map(drop);
    let checked = urls
        .and(settings.redis().map(drop))
        .and(settings.admin_token().map(drop));
    if let Err(message) = checked.and_then(|()| check_folder(&settings)) {
        Settings::command()
            .error(clap::error::ErrorKind::ValueValidation, message)
            .exit();
    }
    if settings.local
        && !is_explicit
        && let Ok(data_dir) = local::data_dir(settings.data_dir.as_deref())
    {
        settings.listen = Listen::Unix(local_paths::api_socket(&data_dir));
    }
    settings
}

fn check_folder(settings: &Settings) -> Result<(), String> {
    if settings.database()?.is_some() {
        return Ok(());
    }
    match local::data_dir(settings.data_dir.as_deref()) {
        Ok(data_dir) => settings.check_folder(&data_dir),
        // Reported later, when the folder is needed.
        Err(_) => Ok(()),
    }
}

/// Starts logging to standard error, through a sink that never blocks: a full, stuck or closed standard error must not
/// stop the server.
fn start_log(settings: &Settings) -> std::io::Result<LogSink> {
    let sink = LogSink::start(std::io::stderr())?;
    let filter = tracing_subscriber::EnvFilter::new(&settings.log);
    let writer = sink.clone();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || writer.clone())
        // The sink counts lost lines. Reporting the failure on standard error would fail as well.
        .log_internal_errors(false);
    if settings.log_json {
        log.json().init();
    } else {
        log.init();
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(sink)
}

async fn serve(settings: Settings, log: &LogSink) -> Result<(), Failure> {
    if let Some(Command::Guard { ephemeral }) = settings.command {
        let durability = if ephemeral {
            Durability::Ephemeral
        } else {
            Durability::Kept
        };
        let data_dir = local::data_dir(settings.data_dir.as_deref())?;
        return Ok(local::guard::run(&data_dir, durability).await?);
    }
    // Fails only if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();

    raise_file_limit();
    let signals = Signals::listen(settings.local)?;
    let tls = if settings.command.is_none() {
        check_listener(&settings)?;
        tls(&settings, &signals)?
    } else {
        None
    };
    let database = tokio::select! {
        database = Server::open(&settings) => database?,
        () = signals.first() => return Ok(()),
    };
    let result = serve_database(&settings, &database, (&signals, tls), log).await;
    database.close().await;
    result
}

/// Waits for the database and brings its schema up to date.
async fn prepare_database(settings: &Settings, server: &Server) -> Result<Database, Failure> {
    let limit = Duration::from_secs(settings.start_timeout.into());
    wait_for(&server.options, limit).await?;
    let pooling = settings.pooling();
    if pooling == Pooling::Session {
        check_pooling(&server.options).await?;
    }
    migrate(&server.options, pooling).await?;
    let options = server.options.clone();
    Ok(Database::new(options, pooling, settings.max_connections))
}

fn options(settings: &Settings, server: &Server, log: &LogSink) -> Result<Options, Failure> {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Ok(Options {
        orders_from: settings.orders_from(),
        hosts: settings.hosts(),
        require_if_match: settings.require_if_match,
        partition_interval: settings.partition_interval,
        orders_retention: settings.orders_retention,
        changes_retention: settings.changes_retention,
        leave_delay: if settings.local {
            Duration::ZERO
        } else {
            seconds(settings.leave_delay)
        },
        drain_limit: seconds(settings.drain_limit),
        log: Some(log.clone()),
        admin_tokens: server.admin_tokens(settings)?,
        log_without_queries: settings.log_without_queries,
        cache: CacheOptions {
            store: cache_store(settings, server)?,
            memory_bytes: u64::from(settings.cache_memory) << 20,
            ..CacheOptions::default()
        },
        ..Options::default()
    })
}

async fn serve_database(
    settings: &Settings,
    server: &Server,
    (signals, tls): (&Signals, Option<Tls>),
    log: &LogSink,
) -> Result<(), Failure> {
    if let Some(Command::Token(action)) = &settings.command {
        let database = tokio::select! {
            database = prepare_database(settings, server) => database?,
            () = signals.first() => return Ok(()),
        };
        return Ok(access::command(&database, action.clone()).await?);
    }
    let prepare = async {
        let database = prepare_database(settings, server).await?;
        let options = options(settings, server, log)?;
        database.check_clock(&options.clock).await?;
        let state = AppState::new(database, options).await?;
        if !state.has_tokens() {
            tracing::warn!(
                "there is no token yet, so no request is accepted; create one with \
                `stockroom-server token create --role admin --name NAME`"
            );
        }
        Ok::<_, Failure>(state)
    };
    let state = tokio::select! {
        state = prepare => state?,
        () = signals.first() => return Ok(()),
    };
    if matches!(settings.command, Some(Command::Migrate)) {
        tracing::info!("the schema is up to date");
        return Ok(());
    }
    if let Some(Command::Seed(request)) = &settings.command {
        return Ok(seed::command(&state, request.clone(), signals.first()).await?);
    }
    let shutdown = shutdown(state.clone(), signals.clone(), settings.local);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        tls = tls.is_some(),
        "listening on {}",
        settings.listen
    );
    let database = state.database().clone();
    match &settings.listen {
        Listen::Tcp(address) => {
            let listener = bind_tcp(address).await?;
            match tls {
                Some(tls) => run(TlsListener::new(listener, tls), state, shutdown).await,
                None => run(listener, state, shutdown).await,
            }
        }
        // The socket file is not removed: it may already belong to the next server.
        Listen::Unix(path) => run(bind_unix(path)?, state, shutdown).await,
    }
    // A client that reads an export slowly still holds a connection; it is cut off when the process ends.
    if tokio::time::timeout(LAST_ANSWERS, database.close())
        .await
        .is_err()
    {
        tracing::warn!("some responses were not read within {LAST_ANSWERS:?} and are cut off");
    }
    Ok(())
}

/// Resolves when the server must stop: on the first signal or, if `leaves`, once the last client has disconnected.
/// A second signal then ends event streams and begins the drain limit without waiting for the leave delay.
async fn shutdown(state: AppState, signals: Signals, leaves: bool) {
    tokio::select! {
        () = signals.first() => tracing::info!("stopping; send the signal again to stop at once"),
        () = state.wait_until_idle(), if leaves => tracing::info!("the last client has disconnected"),
    }
    tokio::spawn(async move {
        signals.second().await;
        state.stop_at_once();
    });
}

/// The cache store: the configured Redis; otherwise, with a private PostgreSQL, its private Redis or this process's
/// memory; otherwise none.
fn cache_store(settings: &Settings, server: &Server) -> Result<StoreKind, Failure> {
    if let Some(address) = settings.redis()? {
        return Ok(StoreKind::Redis(address));
    }
    let Some((postgres, _)) = &server.private else {
        tracing::warn!(
            "caching is off: servers that share a database must share a Redis; set {REDIS_URL}"
        );
        return Ok(StoreKind::Off);
    };
    match postgres.redis_socket() {
        Some(socket) => Ok(StoreKind::Redis(RedisAddress::socket(&socket)?)),
        None => Ok(StoreKind::Memory),
    }
}

/// Refuses listeners that would be less safe than they seem.
fn check_listener(settings: &Settings) -> Result<(), Failure> {
    let has_tls = settings.tls().is_some();
    if has_tls && matches!(settings.listen, Listen::Unix(_)) {
        return Err("TLS is for addresses; leave out --tls-cert, or listen on an address".into());
    }
    if settings.listen.is_remote() && !has_tls && !settings.insecure_remote {
        let message = "would send tokens and data over the network unencrypted; add --tls-cert and --tls-key, \
            listen on 127.0.0.1, or add --insecure-remote if a proxy adds TLS";
        return Err(format!("listening on {} {message}", settings.listen).into());
    }
    Ok(())
}

/// The certificate for TLS, which is read again when its files change.
fn tls(settings: &Settings, signals: &Signals) -> Result<Option<Tls>, Failure> {
    let Some(files) = settings.tls() else {
        return Ok(None);
    };
    let tls = Tls::load(files)?;
    let mut signals = signals.clone();
    tokio::spawn(tls.clone().follow(async move || signals.reload().await));
    Ok(Some(tls))
}

async fn bind_tcp(address: &std::net::SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error: std::io::Error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // Accepted connections inherit both options. Keepalive detects clients that vanished without closing; the buffer
    // size limits the memory for a client that does not read.
    sockopt::set_socket_keepalive(&listener, true).map_err(|error| failed(error.into()))?;
    sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER)
        .map_err(|error| failed(error.into()))?;
    Ok(listener)
}

/// Binds a socket that only this user can open. Replaces a socket file that an earlier server has left.
fn bind_unix(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| format!("cannot listen on {}: {error}", path.display());
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(format!("another server already listens on {}", path.display()).into());
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed)?,
        Ok(_) => return Err(format!("{} exists and is not a socket", path.display()).into()),
        Err(_) => {}
    }
    // The umask makes the socket private from the start: a client that connects before the permissions are set would
    // stay connected.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound.map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// How to connect to the database and, if it is private, the handles that keep it running and locked.
struct Server {
    options: PgConnectOptions,
    private: Option<(LocalPostgres, ServerLock)>,
}

impl Server {
    async fn open(settings: &Settings) -> Result<Self, Failure> {
        if let Some(options) = settings.database()? {
            let private = None;
            return Ok(Self { options, private });
        }
        let data_dir = local::data_dir(settings.data_dir.as_deref())?;
        let lock = ServerLock::take(&data_dir)?;
        if let Some(sockets) = local_paths::api_socket(&data_dir).parent() {
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

    /// The tokens of administrators: the one that is set, and with a private PostgreSQL that of the data folder, which
    /// the client of this user looks for.
    fn admin_tokens(&self, settings: &Settings) -> Result<Vec<Secret>, Failure> {
        let mut tokens: Vec<Secret> = settings.admin_token()?.into_iter().collect();
        if self.private.is_some() {
            let data_dir = local::data_dir(settings.data_dir.as_deref())?;
            tokens.push(local::token(&data_dir, access::generate)?);
        }
        Ok(tokens)
    }

    async fn close(self) {
        if let Some((postgres, _lock)) = self.private
            && let Err(error) = postgres.stop().await
        {
            tracing::error!("PostgreSQL did not stop cleanly: {error}");
        }
    }
}

/// Raises the soft limit of open files to the hard one, as each connection takes one file. Many systems keep the soft
/// limit at 1,024 for programs that use `select`.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that is not allowed, the limit stays unchanged.
    let _ = setrlimit(Resource::Nofile, limit);
}
