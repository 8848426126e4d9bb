//! A server with a database of its own, and the rows that most tests need.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use stockroom_server::{
    AppState, Database, Options, Pooling,
    cache::{CacheOptions, StoreKind},
    run,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{Answer, connect, fresh_database, process::PATIENCE, shared_redis};

pub struct Shop {
    pub base: String,
    pub client: Client,
    /// Connections of the test's own, to the server's database.
    pub pool: PgPool,
    /// The server's own.
    pub database: Database,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

/// Installs the TLS provider that the HTTP client needs, once.
pub(crate) fn install_tls() {
    // Fails where another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Options of a server that caches in the Redis at that URL.
pub fn caching_in(url: &str) -> Options {
    Options {
        cache: CacheOptions {
            store: StoreKind::Redis(url.parse().unwrap()),
            ..CacheOptions::default()
        },
        ..Options::default()
    }
}

/// A client that gives up on a request after half a minute.
pub fn http_client() -> Client {
    install_tls();
    let builder = Client::builder()
        .timeout(Duration::from_secs(30))
        // A server that hangs makes the client open spare connections, and without a limit it keeps them all.
        .pool_max_idle_per_host(32);
    builder.build().unwrap()
}

impl Shop {
    /// Opens an empty shop.
    pub async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub async fn open_with(options: Options) -> Self {
        Self::serve(connect(fresh_database().await, 8).await.unwrap(), options).await
    }

    /// Serves the database behind the pool with as many connections; several servers may share one. They cache in the Redis of
    /// the test binary unless the options say where else.
    pub async fn serve(pool: PgPool, mut options: Options) -> Self {
        let is_shared = matches!(options.cache.store, StoreKind::Off);
        if is_shared {
            options.cache.store = StoreKind::Redis(shared_redis().await);
            // What is tested here is not how a busy machine keeps time.
            options.cache.budget = PATIENCE;
        }
        let shop = Self::serve_as_told(pool, options).await;
        if is_shared {
            shop.cache_is_up().await;
        }
        shop
    }

    /// As [`Shop::serve`], with exactly these options.
    pub async fn serve_as_told(pool: PgPool, options: Options) -> Self {
        let connections = pool.options().get_max_connections();
        let address = (*pool.connect_options()).clone();
        let database = Database::new(address, Pooling::Session, connections);
        Self::serve_over(database, pool, options).await
    }

    /// As [`Shop::serve_as_told`], with connections of the server's own to the database of the pool.
    pub async fn serve_over(database: Database, pool: PgPool, options: Options) -> Self {
        install_tls();
        let state = AppState::new(database.clone(), options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async move {
                // A dropped sender stops it as well.
                let _ = stopped.await;
            };
            run(listener, state, stopped).await;
        });
        Self {
            base,
            client: Client::new(),
            pool,
            database,
            stop: Some(stop),
            served: Some(served),
        }
    }

    /// Stops the server and waits until it has.
    pub async fn close(mut self) {
        drop(self.stop.take());
        self.served.take().unwrap().await.unwrap();
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.write(Method::PATCH, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends bytes that need not be JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        self.send(request.body(body)).await
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self
            .request(method, path)
            .header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    pub async fn category(&self, name: &str) -> Value {
        self.post("/v1/categories", &json!({"name": name}))
            .await
            .ok(201)
    }

    /// A product of 12.50 with that many pieces, in a category of its own.
    pub async fn product(&self, sku: &str, stock: i64) -> Value {
        let category = self.category(&format!("Category of {sku}")).await;
        let product = json!({
            "category_id": category["id"],
            "sku": sku,
            "name": format!("Product {sku}"),
            "price_minor": 1_250,
            "stock": stock,
        });
        self.post("/v1/products", &product).await.ok(201)
    }

    pub async fn customer(&self, email: &str) -> Value {
        let customer = json!({"name": "Ada Lovelace", "email": email});
        self.post("/v1/customers", &customer).await.ok(201)
    }

    /// An order of that many pieces of one product.
    pub async fn order(&self, customer: &Value, product: &Value, quantity: i32) -> Value {
        let order = json!({
            "customer_id": customer["id"],
            "items": [{"product_id": product["id"], "quantity": quantity}],
        });
        self.post("/v1/orders", &order).await.ok(201)
    }

    /// Runs a seed job to its end; gives the job.
    pub async fn seed(&self, request: &Value) -> Value {
        let job = self.post("/v1/seed-jobs", request).await.ok(202);
        self.ended(&job).await
    }

    /// Waits until the job has ended.
    pub async fn ended(&self, job: &Value) -> Value {
        let path = path("jobs", job);
        let deadline = Deadline::new("the end of a job", 3_600);
        loop {
            deadline.check();
            let job = self.get(&path).await.ok(200);
            if job["state"] != "queued" && job["state"] != "running" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn stock(&self, product: &Value) -> i64 {
        let row = self.get(&path("products", product)).await.ok(200);
        row["stock"].as_i64().unwrap()
    }

    /// Locks every row of a table until the transaction ends.
    pub async fn hold(&self, table: &str) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.unwrap();
        let sql = format!("select 1 from {table} for update");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *holder)
            .await
            .unwrap();
        holder
    }

    /// Locks a whole table, against readers as well, until the transaction ends.
    pub async fn shut(&self, table: &str) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.unwrap();
        let sql = format!("lock table {table} in access exclusive mode");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *holder)
            .await
            .unwrap();
        holder
    }

    /// Waits until the store of the cache answers the server.
    pub async fn cache_is_up(&self) {
        let deadline = Deadline::new("the store of the cache", 60);
        loop {
            deadline.check();
            let metrics = self.request(Method::GET, "/metrics").send().await.unwrap();
            let metrics = metrics.text().await.unwrap();
            if metrics.contains("stockroom_cache_breaker_open 0") {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a statement of somebody's waits for a lock.
    pub async fn sees_a_wait(&self) {
        let waiting = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock')";
        let deadline = Deadline::new("a statement that waits for a lock", 60);
        while !sqlx::query_scalar::<_, bool>(waiting)
            .fetch_one(&self.pool)
            .await
            .unwrap()
        {
            deadline.check();
            tokio::task::yield_now().await;
        }
    }

    /// What every table says, so that a test can show that nothing changed.
    pub async fn fingerprint(&self) -> Value {
        sqlx::query_scalar(
            "select jsonb_build_object(
                'categories', (select jsonb_agg(t order by id) from categories t),
                'products', (select jsonb_agg(t order by id) from products t),
                'customers', (select jsonb_agg(t order by id) from customers t),
                'orders', (select jsonb_agg(t order by id) from orders t),
                'items', (select jsonb_agg(t order by order_id, line_no) from order_items t),
                'changes', (select count(*) from changes))",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

/// When something that is waited for must have happened.
struct Deadline {
    what: &'static str,
    at: Instant,
}

impl Deadline {
    fn new(what: &'static str, seconds: u64) -> Self {
        let at = Instant::now() + Duration::from_secs(seconds);
        Self { what, at }
    }

    #[track_caller]
    fn check(&self) {
        assert!(Instant::now() < self.at, "waited in vain for {}", self.what);
    }
}

/// The path of a row.
pub fn path(resource: &str, row: &Value) -> String {
    format!("/v1/{resource}/{}", row["id"].as_str().unwrap())
}

/// Shared by tasks of one test.
pub type SharedShop = Arc<Shop>;
