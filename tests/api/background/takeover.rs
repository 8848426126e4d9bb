//! Jobs whose server dies or that must stop: the next server continues, and nothing is done twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use stockroom_server::Options;
use stockroom_tests::{
    Answer, Deadline, Node, Shop, connect, database_url, fresh_database, http_client, path,
};

use super::jobs::{count, customers, job, lines, orders, send, text};

/// A server process with two products and two customers; the test locks the second customer.
struct Crash {
    node: Node,
    pool: PgPool,
    customers: [Value; 2],
    products: [Value; 2],
}

impl Crash {
    async fn prepare() -> Self {
        let database = fresh_database().await;
        let node = Node::start(
            "stockroom-server",
            vec![("DATABASE_URL", database_url(&database))],
        );
        let pool = connect(database, 4).await.unwrap();
        let post = async |path: &str, body: Value| {
            let request = http_client().post(node.url(path)).json_body(&body);
            Answer::read(request.send().await.unwrap()).await.ok(201)
        };
        let customer =
            async |email: &str| post("/v1/customers", json!({"name": "Ada", "email": email})).await;
        let customers = [
            customer("ada@example.org").await,
            customer("bob@example.org").await,
        ];
        let category = post("/v1/categories", json!({"name": "Tea"})).await;
        let product = async |sku: &str| {
            let product = json!({
                "category_id": category["id"], "sku": sku, "name": sku, "price_minor": 100, "stock": 5_000,
            });
            post("/v1/products", product).await
        };
        let products = [product("A-1").await, product("B-1").await];
        Self {
            node,
            pool,
            customers,
            products,
        }
    }

    /// Kills the server in the middle of the import of those orders and lets another one continue. Returns the new
    /// server and the finished job.
    async fn crash_during_import(
        mut self,
        query: &str,
        write: impl Fn(&[Value]) -> String,
        is_amid: impl Fn(i64) -> bool,
    ) -> (Shop, Value) {
        let [one, two] = &self.products;
        let [ada, bob] = &self.customers;
        let file = write(&orders([ada, bob], [one, two], 500));
        let mut holder = self.pool.begin().await.unwrap();
        // An import locks products before it writes anything, but customers only when an order refers to them.
        sqlx::query("select 1 from customers where email = 'bob@example.org' for update")
            .execute(&mut *holder)
            .await
            .unwrap();
        let request = http_client()
            .post(self.node.url(&format!("/v1/orders/import?{query}")))
            .header("prefer", "respond-async")
            .body(file);
        let job = Answer::read(request.send().await.unwrap()).await.ok(202);
        let deadline = Deadline::new("the loop to end", 120);
        loop {
            deadline.check();
            let (done, written): (i64, i64) = sqlx::query_as(
                "select rows_done, (progress->1->>'done')::bigint from jobs where kind = 'import'",
            )
            .fetch_one(&self.pool)
            .await
            .unwrap();
            if written >= 500 && is_amid(done) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.node.kill();
        // Simulates that the server has been dead long enough.
        sqlx::query("update jobs set beat_at = beat_at - interval '1 minute'")
            .execute(&self.pool)
            .await
            .unwrap();
        holder.rollback().await.unwrap();
        let shop = Shop::serve(self.pool, Options::default()).await;
        let done = shop.ended(&job).await;
        (shop, done)
    }
}

/// A request with a JSON body.
trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for reqwest::RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }
}

async fn has_each_order_once(shop: &Shop, done: &Value) {
    assert_eq!(
        (&done["state"], &done["report"]["created"]),
        (&json!("done"), &json!(1_000)),
        "{done:#}"
    );
    assert_eq!(count(shop, "orders").await, 1_000);
    let stock: Vec<i64> = sqlx::query_scalar("select stock from products order by sku")
        .fetch_all(&shop.pool)
        .await
        .unwrap();
    assert_eq!(stock, [4_500, 4_500]);
}

#[tokio::test]
async fn import_resumes_after_its_committed_rows_when_its_server_dies() {
    goes_on_after_a_batch("ndjson", lines).await;
}

/// Kills the server after the first batch of a file was committed; the next server writes only the remaining rows.
async fn goes_on_after_a_batch(format: &str, write: impl Fn(&[Value]) -> String) {
    let query = format!("format={format}&on_error=reject_failed");
    let crash = Crash::prepare().await;
    let (shop, done) = crash
        .crash_during_import(&query, write, |rows_done| rows_done == 500)
        .await;
    has_each_order_once(&shop, &done).await;
}

#[tokio::test]
async fn import_resumes_in_a_csv_file_with_carriage_returns_only() {
    // Old spreadsheets end lines with a carriage return only.
    let table = |orders: &[Value]| {
        let row = |order: &Value| {
            let items = order["items"].to_string().replace('"', "\"\"");
            format!("{},\"{items}\"\r", order["customer_id"].as_str().unwrap())
        };
        let rows: String = orders.iter().map(row).collect();
        format!("customer_id,items\r{rows}")
    };
    goes_on_after_a_batch("csv", table).await;
}

#[tokio::test]
async fn all_or_nothing_import_restarts_on_the_next_server() {
    let crash = Crash::prepare().await;
    let (shop, done) = crash
        .crash_during_import("format=ndjson", lines, |rows_done| rows_done == 0)
        .await;
    has_each_order_once(&shop, &done).await;
    // The import was committed but its server died before it recorded the end. It is not written again.
    sqlx::query(
        "update jobs set state = 'running', beat_at = beat_at - interval '1 minute',
            runner = gen_random_uuid(), finished_at = null
        where kind = 'import'",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    let done = shop.ended(&done).await;
    has_each_order_once(&shop, &done).await;
}

#[tokio::test]
async fn cancelled_import_leaves_whole_batches_or_nothing() {
    let shop = Shop::open().await;
    let customers = [
        shop.customer("ada@example.org").await,
        shop.customer("bob@example.org").await,
    ];
    let products = [
        shop.product("A-1", 5_000).await,
        shop.product("B-1", 5_000).await,
    ];
    let [ada, bob] = &customers;
    let file = lines(&orders([ada, bob], [&products[0], &products[1]], 500));
    for (query, left) in [("?on_error=reject_failed", 500), ("", 0)] {
        let before = count(&shop, "orders").await;
        let mut holder = shop.pool.begin().await.unwrap();
        sqlx::query("select 1 from customers where email = 'bob@example.org' for update")
            .execute(&mut *holder)
            .await
            .unwrap();
        let sent = send(&shop, &format!("orders/import{query}"), file.clone()).await;
        let sent = sent.ok(202);
        let deadline = Deadline::new("the loop to end", 120);
        loop {
            deadline.check();
            let job = job(&shop, &sent).await;
            assert_eq!(job["finished_at"], Value::Null, "{job:#}");
            if job["progress"][1]["done"].as_i64() >= Some(500) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        shop.delete(&path("jobs", &sent)).await.ok(202);
        // The server learns of the cancellation with the second beat from here; the first may already have been in
        // progress.
        let mut beats = std::collections::BTreeSet::new();
        let deadline = Deadline::new("three heartbeats", 120);
        while beats.len() < 3 {
            deadline.check();
            let beat: DateTime<Utc> =
                sqlx::query_scalar("select beat_at from jobs where state = 'running'")
                    .fetch_one(&shop.pool)
                    .await
                    .unwrap();
            beats.insert(beat);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        holder.rollback().await.unwrap();
        let ended = shop.ended(&sent).await;
        assert_eq!(ended["state"], "cancelled", "{ended:#}");
        let written = count(&shop, "orders").await - before;
        match left {
            0 => assert_eq!(written, 0),
            _ => assert_eq!(json!(written), ended["report"]["created"], "{ended:#}"),
        }
    }
}

#[tokio::test]
async fn export_that_is_taken_over_contains_nothing_of_the_first_attempt() {
    let shop = Shop::open().await;
    let rows = lines(&customers(3_000));
    let done = send(&shop, "customers/import", rows).await.ok(202);
    shop.ended(&done).await;
    let path_of = "/v1/customers/export?format=csv";
    let export = shop.send(shop.request(Method::POST, path_of)).await.ok(202);
    shop.ended(&export).await;
    // As a server leaves it that died before the end of the export.
    sqlx::raw_sql(
        "insert into job_pieces select job_id, number + 1, bytes from job_pieces order by number desc;
        update jobs set state = 'running', runner = gen_random_uuid(), finished_at = null,
            file_bytes = null, beat_at = beat_at - interval '1 minute'
        where kind = 'export'",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    shop.get(&format!("{}/file", path("jobs", &export)))
        .await
        .refused(409);
    shop.ended(&export).await;
    let file = text(&shop, &format!("{}/file", path("jobs", &export))).await;
    assert_eq!(file, text(&shop, path_of).await);
}

#[tokio::test]
async fn job_fails_after_too_many_takeovers() {
    let shop = Shop::open().await;
    let job = send(&shop, "categories/import", lines(&[json!({"name": "Tea"})])).await;
    let job = shop.ended(&job.ok(202)).await;
    sqlx::query(
        "update jobs set state = 'running', runner = gen_random_uuid(), finished_at = null,
            taken_over = 5, beat_at = beat_at - interval '1 minute'",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    let given_up = shop.ended(&job).await;
    assert_eq!(given_up["state"], "failed");
    let detail = given_up["problem"]["detail"].as_str().unwrap();
    assert!(detail.contains("5 servers failed"), "{detail}");
}

#[tokio::test]
async fn job_resumes_after_a_lost_database_connection() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let products = [
        shop.product("A-1", 5_000).await,
        shop.product("B-1", 5_000).await,
    ];
    let file = lines(&orders(
        [&customer, &customer],
        [&products[0], &products[1]],
        500,
    ));
    let mut holder = shop.pool.begin().await.unwrap();
    sqlx::query("select 1 from products where sku = 'B-1' for update")
        .execute(&mut *holder)
        .await
        .unwrap();
    let sent = send(&shop, "orders/import?on_error=reject_failed", file).await;
    let sent = sent.ok(202);
    // The backend that waits for the product belongs to the import.
    let deadline = Deadline::new("the loop to end", 120);
    loop {
        deadline.check();
        let ended: Vec<bool> = sqlx::query_scalar(
            "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_all(&shop.pool)
        .await
        .unwrap();
        if !ended.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    holder.rollback().await.unwrap();
    let deadline = Deadline::new("a finished job", 120);
    while job(&shop, &sent).await["finished_at"].is_null() {
        deadline.check();
        // Simulates that more time has passed.
        sqlx::query(
            "update jobs set beat_at = beat_at - interval '1 minute' where rows_done = 500",
        )
        .execute(&shop.pool)
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let done = shop.ended(&sent).await;
    has_each_order_once(&shop, &done).await;
}
