//! One PostgreSQL for all tests of a binary, with a fresh database for each test.

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use stockroom_server::{
    Pooling,
    cache::RedisAddress,
    local::{Durability, LocalPostgres},
    migrate,
};
use tokio::sync::OnceCell;

use crate::process::{binary, temp_dir};

const TEMPLATE: &str = "migrated";

static POSTGRES: OnceCell<LocalPostgres> = OnceCell::const_new();
static DATABASES: AtomicUsize = AtomicUsize::new(0);
/// PostgreSQL copies a template only while no other session is connected to it, so copies run one at a time.
static COPYING: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(Default::default);

/// Creates an empty, migrated database and returns its connection options.
pub async fn fresh_database() -> PgConnectOptions {
    database_like(TEMPLATE).await
}

/// Like [`fresh_database`], but without a schema.
pub async fn empty_database() -> PgConnectOptions {
    database_like("template1").await
}

async fn database_like(template: &str) -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{number}");
    let _turn = COPYING.lock().await;
    let admin = postgres.connect_options("postgres");
    execute(
        &admin,
        format!("create database {name} template {template}"),
    )
    .await;
    postgres.connect_options(&name)
}

/// Closes a database: refuses new connections and ends the existing ones.
pub async fn close_database(database: &PgConnectOptions) {
    let name = database.get_database().unwrap();
    let admin = database.clone().database("postgres");
    execute(
        &admin,
        format!("alter database {name} with allow_connections false"),
    )
    .await;
    throw_out(database).await;
}

/// Reopens a database after [`close_database`].
pub async fn open_database(database: &PgConnectOptions) {
    let name = database.get_database().unwrap();
    let admin = database.clone().database("postgres");
    execute(
        &admin,
        format!("alter database {name} with allow_connections true"),
    )
    .await;
}

/// Ends all connections to a database.
pub async fn throw_out(database: &PgConnectOptions) {
    let name = database.get_database().unwrap();
    let end = format!(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{name}'"
    );
    execute(&database.clone().database("postgres"), end).await;
}

/// Connects the test itself to a database, separately from the server.
pub async fn connect(options: PgConnectOptions, max_connections: u32) -> sqlx::Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(max_connections);
    pool.connect_with(options.options([("timezone", "UTC")]))
        .await
}

/// The URL of a database from [`fresh_database`].
pub fn database_url(database: &PgConnectOptions) -> String {
    let name = database.get_database().unwrap();
    let sockets = database.get_socket().unwrap().display().to_string();
    format!("postgres://stockroom@localhost:5432/{name}?host={sockets}&sslmode=disable")
}

/// The Redis that all tests of this binary share. The keys of each database are distinct.
pub async fn shared_redis() -> RedisAddress {
    let postgres = POSTGRES.get_or_init(start).await;
    let socket = postgres.redis_socket();
    let socket = socket.expect("Redis is not installed; run the tests with `make test`");
    RedisAddress::socket(&socket).unwrap()
}

/// A second PostgreSQL cluster for one test.
pub struct OtherCluster(LocalPostgres);

impl OtherCluster {
    pub async fn start() -> Self {
        // The guard process removes the folder.
        let data_dir = temp_dir("cluster").keep();
        let server = binary("stockroom-server");
        let postgres = LocalPostgres::start(&data_dir, Durability::Ephemeral, &server).await;
        Self(postgres.unwrap())
    }

    /// Creates a migrated database with this name.
    pub async fn database(&self, name: &str) -> PgConnectOptions {
        let admin = self.0.connect_options("postgres");
        execute(&admin, format!("create database {name}")).await;
        let database = self.0.connect_options(name);
        migrate(&database, Pooling::Session).await.unwrap();
        database
    }

    pub async fn stop(self) {
        self.0.stop().await.unwrap();
    }
}

async fn start() -> LocalPostgres {
    // The guard process removes the folder when this process has ended.
    let data_dir = temp_dir("postgres").keep();
    let server = binary("stockroom-server");
    let postgres = LocalPostgres::start(&data_dir, Durability::Ephemeral, &server)
        .await
        .unwrap();
    let admin = postgres.connect_options("postgres");
    execute(&admin, format!("create database {TEMPLATE}")).await;
    migrate(&postgres.connect_options(TEMPLATE), Pooling::Session)
        .await
        .unwrap();
    postgres
}

async fn execute(options: &PgConnectOptions, sql: String) {
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}
