//! A server with its own database, and the rows that most tests need.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use stockroom_common::{Secret, access};
use stockroom_server::{
    AppState, Database, Options, Pooling,
    cache::{CacheOptions, StoreKind},
    run,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{Answer, connect, deadline::Deadline, fresh_database, process::PATIENCE, shared_redis};

pub struct Shop {
    pub base: String,
    pub client: Client,
    /// The test's own connections to the server's database.
    pub pool: PgPool,
    /// The server's connections.
    pub database: Database,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

/// Installs the TLS provider that the HTTP client needs, once per process.
pub(crate) fn install_tls() {
    // Fails if another test has already installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Options of a server that caches in the Redis at this URL.
pub fn caching_in(url: &str) -> Options {
    Options {
        cache: CacheOptions {
            store: StoreKind::Redis(url.parse().unwrap()),
            ..CacheOptions::default()
        },
        ..Options::default()
    }
}

/// A client whose requests time out after 30 seconds.
pub fn http_client() -> Client {
    install_tls();
    let builder = Client::builder()
        .timeout(Duration::from_secs(30))
        // A hanging server makes the client open extra connections, and without this limit it keeps all of them.
        .pool_max_idle_per_host(32);
    builder
        .default_headers(with_token(&admin_token()))
        .build()
        .unwrap()
}

/// The token with which tests do everything; servers of the harness accept it.
pub fn admin_token() -> Secret {
    access::secret_of(&"t".repeat(access::RANDOM_LENGTH))
}

/// The headers of a request with this token.
pub fn with_token(token: &Secret) -> HeaderMap {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose())).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

/// A client that sends this token, without a time limit.
pub fn client_with(token: &Secret) -> Client {
    install_tls();
    let builder = Client::builder().default_headers(with_token(token));
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

    /// Serves the database of the pool, with as many connections as the pool has; several servers may share a
    /// database. They cache in the Redis of the test binary unless the options name another store.
    pub async fn serve(pool: PgPool, mut options: Options) -> Self {
        let is_shared = matches!(options.cache.store, StoreKind::Off);
        if is_shared {
            options.cache.store = StoreKind::Redis(shared_redis().await);
            // These tests must not depend on how fast a busy machine is.
            options.cache.budget = PATIENCE;
        }
        let shop = Self::serve_with_exactly(pool, options).await;
        if is_shared {
            shop.cache_is_up().await;
        }
        shop
    }

    /// Like [`Shop::serve`], but with exactly these options.
    pub async fn serve_with_exactly(pool: PgPool, options: Options) -> Self {
        let connections = pool.options().get_max_connections();
        let address = (*pool.connect_options()).clone();
        let database = Database::new(address, Pooling::Session, connections);
        Self::serve_over(database, pool, options).await
    }

    /// Like [`Shop::serve_with_exactly`], but with separate connections of the server to the database of the pool.
    pub async fn serve_over(database: Database, pool: PgPool, options: Options) -> Self {
        let options = Options {
            admin_tokens: vec![admin_token()],
            ..options
        };
        let state = AppState::new(database.clone(), options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async move {
                // A dropped sender also stops the server.
                let _ = stopped.await;
            };
            run(listener, state, stopped).await;
        });
        Self {
            base,
            client: client_with(&admin_token()),
            pool,
            database,
            stop: Some(stop),
            served: Some(served),
        }
    }

    /// Stops the server and waits until it has ended.
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

    /// A product at 12.50 with `stock` pieces, in a new category.
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

    /// An order for `quantity` pieces of one product.
    pub async fn order(&self, customer: &Value, product: &Value, quantity: i32) -> Value {
        let order = json!({
            "customer_id": customer["id"],
            "items": [{"product_id": product["id"], "quantity": quantity}],
        });
        self.post("/v1/orders", &order).await.ok(201)
    }

    /// Runs a seed job to its end and returns the job.
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
    pub async fn lock_rows(&self, table: &str) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.unwrap();
        let sql = format!("select 1 from {table} for update");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *holder)
            .await
            .unwrap();
        holder
    }

    /// Locks a whole table until the transaction ends, even against readers.
    pub async fn lock_table(&self, table: &str) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.unwrap();
        let sql = format!("lock table {table} in access exclusive mode");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *holder)
            .await
            .unwrap();
        holder
    }

    /// Waits until the server reaches its cache store.
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

    /// Waits until any statement waits for a lock.
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

    /// The content of every table, so that a test can prove that nothing changed.
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

/// The path of a row.
pub fn path(resource: &str, row: &Value) -> String {
    format!("/v1/{resource}/{}", row["id"].as_str().unwrap())
}

/// A shop that several tasks of one test share.
pub type SharedShop = Arc<Shop>;
