//! Readers and writers of a few hot rows and lists; each read is checked.

mod checks;
mod report;
mod writers;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use stockroom_tests::http_client;
use tokio::task::JoinSet;
use uuid::Uuid;

pub(super) use self::report::Report;
use super::{
    READERS, REPAIRED_WITHIN, WRITERS,
    faults::Rig,
    ledger::{Known, Ledger},
};

pub(super) const STOCK: i64 = 1_000_000_000;

/// The running load.
pub(super) struct Load {
    shop: Arc<Shop>,
    tasks: JoinSet<()>,
}

/// A row that is constantly written and read.
struct Hot {
    path: String,
    /// The field that writers change.
    field: &'static str,
    versions: Ledger,
}

struct Shop {
    client: Client,
    nodes: Vec<SocketAddr>,
    rows: Vec<Hot>,
    category: String,
    /// Two customers, each with the time of their newest order in microseconds.
    customers: Vec<(String, Ledger)>,
    newest: Ledger,
    /// The ordered product; `ordered` counts the orders that took a piece of it.
    product: String,
    ordered: Ledger,
    is_over: AtomicBool,
    /// Since when no fault has been active.
    calm_since: Mutex<Option<Instant>>,
    /// Until when callers may be refused. This ends some time after the fault, because a reader that joins a hanging
    /// load waits until that load ends.
    excused_until: Mutex<Option<Instant>>,
    report: Mutex<Report>,
    names: AtomicU64,
}

impl Load {
    pub(super) async fn start(rig: &Rig, seed: u64) -> Self {
        let shop = Arc::new(Shop::fill(rig).await);
        let mut tasks = JoinSet::new();
        for index in 0..WRITERS + READERS {
            let (shop, random) = (shop.clone(), ChaCha8Rng::seed_from_u64(seed ^ (index + 1)));
            tasks.spawn(async move {
                if index < WRITERS {
                    shop.write_on(random).await;
                } else {
                    shop.read_on(random).await;
                }
            });
        }
        Self { shop, tasks }
    }

    pub(super) fn has_violations(&self) -> bool {
        !self.shop.report().violations.is_empty()
    }

    pub(super) fn disturbed(&self) {
        *lock(&self.shop.calm_since) = None;
    }

    pub(super) fn calm(&self) {
        *lock(&self.shop.calm_since) = Some(Instant::now());
    }

    /// Allows refusals for this long from now on.
    pub(super) fn excuse_for(&self, time: Duration) {
        *lock(&self.shop.excused_until) = Some(Instant::now() + time);
    }

    /// Waits until every server serves reads and writes again.
    pub(super) async fn wait_until_back(&self, fault: &'static str, limit: Duration) {
        let began = Instant::now();
        for node in 0..self.shop.nodes.len() {
            while !self.shop.is_back(node).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let took = began.elapsed();
        let mut report = self.shop.report();
        let longest = report.back_after.entry(fault).or_default();
        *longest = took.max(*longest);
        if took > limit {
            report
                .violations
                .push(format!("a server was back only {took:?} after: {fault}"));
        }
    }

    pub(super) fn count_fault(&self, fault: &'static str) {
        *self.shop.report().faults.entry(fault).or_default() += 1;
    }

    /// Ends the load and compares all cached responses with the database.
    pub(super) async fn finish(self) -> Report {
        self.shop.is_over.store(true, Relaxed);
        self.tasks.join_all().await;
        self.shop.compare().await;
        std::mem::take(&mut *self.shop.report())
    }
}

impl Shop {
    async fn fill(rig: &Rig) -> Self {
        let client = http_client();
        let base = rig.nodes[0].url("/v1");
        let create = |path: &'static str, body: Value| {
            let request = client
                .post(format!("{base}/{path}"))
                .header("content-type", "application/json")
                .body(body.to_string());
            async move {
                let response = request.send().await.unwrap();
                let row = body_of(response).await.unwrap();
                assert!(row["id"].is_string(), "{row}");
                (format!("/v1/{path}/{}", text(&row["id"])), row)
            }
        };
        let hot = |path: String, field| Hot {
            path,
            field,
            versions: Ledger::default(),
        };
        let (_, category) = create("categories", json!({"name": "Hot"})).await;
        let category = text(&category["id"]).to_owned();
        let product = |sku: &str| json!({"category_id": category, "sku": sku, "name": sku, "price_minor": 100, "stock": STOCK});
        let mut rows = Vec::new();
        for sku in ["A", "B", "C"] {
            rows.push(hot(create("products", product(sku)).await.0, "name"));
        }
        let (_, product) = create("products", product("ORDERED")).await;
        let mut customers = Vec::new();
        for email in ["a@example.org", "b@example.org"] {
            let customer = json!({"name": email, "email": email});
            let (path, customer) = create("customers", customer).await;
            rows.push(hot(path, "name"));
            let id = text(&customer["id"]).to_owned();
            let order =
                json!({"customer_id": id, "items": [{"product_id": product["id"], "quantity": 1}]});
            rows.push(hot(create("orders", order).await.0, "note"));
            customers.push((id, Ledger::default()));
        }
        Self {
            client,
            nodes: rig.nodes.iter().map(|node| node.address).collect(),
            rows,
            category,
            customers,
            newest: Ledger::default(),
            product: text(&product["id"]).into(),
            ordered: Ledger::default(),
            is_over: AtomicBool::new(false),
            calm_since: Mutex::new(Some(Instant::now())),
            excused_until: Mutex::new(None),
            report: Mutex::default(),
            names: AtomicU64::new(0),
        }
    }

    /// Whether this server can read from the database and write to it.
    async fn is_back(&self, node: usize) -> bool {
        let limit = Duration::from_secs(10);
        let url = |path: &str| format!("http://{}{path}", self.nodes[node]);
        let read = self
            .client
            .get(url(&self.rows[0].path))
            .header("cache-control", "no-cache");
        let write = self
            .client
            .patch(url(&format!("/v1/categories/{}", self.category)))
            .header("content-type", "application/json")
            .body(json!({"description": format!("{:?}", Instant::now())}).to_string());
        for request in [read, write] {
            let answer = request.timeout(limit).send().await;
            if !answer.is_ok_and(|answer| answer.status() == 200) {
                return false;
            }
        }
        true
    }

    /// Whether a fault excuses this status.
    fn is_excused(&self, status: u16, was_excused: bool) -> bool {
        matches!(status, 503 | 504) && (was_excused || self.may_refuse())
    }

    fn may_refuse(&self) -> bool {
        let until = *lock(&self.excused_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    async fn read_on(&self, mut random: ChaCha8Rng) {
        while !self.is_over.load(Relaxed) {
            let read = random.random_range(0..10);
            match read {
                0..=4 => self.read_row(&mut random).await,
                5..=6 => self.read_products(&mut random).await,
                7 => self.read_newest(&mut random).await,
                _ => self.read_orders_of(&mut random).await,
            }
        }
    }

    async fn read_row(&self, random: &mut ChaCha8Rng) {
        let row = self.rows.choose(random).unwrap();
        let (known, since) = (row.versions.known(), Instant::now());
        if let Some(body) = self.get(random, &row.path).await {
            self.check(&row.path, known, since, version(&body));
        }
    }

    async fn read_products(&self, random: &mut ChaCha8Rng) {
        let known: Vec<Known> = self.rows.iter().map(|row| row.versions.known()).collect();
        let (ordered, since) = (self.ordered.known(), Instant::now());
        let path = format!("/v1/products?category_id={}&sort=sku", self.category);
        let Some(page) = self.get(random, &path).await else {
            return;
        };
        for product in page["items"].as_array().unwrap() {
            let row_path = format!("/v1/products/{}", text(&product["id"]));
            if text(&product["id"]) == self.product {
                // The two orders that the shop started with are not in the ledger.
                let taken = STOCK - product["stock"].as_i64().unwrap() - 2;
                self.check("pieces taken, in the list", ordered, since, taken);
            }
            if let Some(index) = self.rows.iter().position(|row| row.path == row_path) {
                self.check(
                    &format!("{row_path} in a list"),
                    known[index],
                    since,
                    version(product),
                );
            }
        }
    }

    async fn read_newest(&self, random: &mut ChaCha8Rng) {
        let (known, since) = (self.newest.known(), Instant::now());
        if let Some(page) = self.get(random, "/v1/orders?limit=1").await {
            let placed_at = micros(&page["items"][0]["placed_at"]);
            self.check("the newest order", known, since, placed_at);
        }
    }

    async fn read_orders_of(&self, random: &mut ChaCha8Rng) {
        let (customer, newest) = self.customers.choose(random).unwrap();
        let (known, since) = (newest.known(), Instant::now());
        let path = format!("/v1/orders?customer_id={customer}&limit=1");
        if let Some(page) = self.get(random, &path).await {
            let placed_at = micros(&page["items"][0]["placed_at"]);
            self.check("the newest order of a customer", known, since, placed_at);
        }
    }

    async fn get(&self, random: &mut ChaCha8Rng, path: &str) -> Option<Value> {
        let was_excused = self.may_refuse();
        let answered = match self.client.get(self.url(random, path)).send().await {
            Ok(response) => {
                let (status, header) = (response.status(), response.headers().get("cache-status"));
                let is_hit =
                    header.is_some_and(|status| status.as_bytes().starts_with(b"stockroom; hit"));
                body_of(response).await.map(|body| (status, is_hit, body))
            }
            Err(_) => None,
        };
        let mut report = self.report();
        let Some((status, is_hit, body)) = answered else {
            report.unanswered += 1;
            return None;
        };
        if self.is_excused(status.as_u16(), was_excused) {
            report.refused += 1;
            return None;
        }
        if status != 200 {
            report
                .violations
                .push(format!("{path} was answered {status}: {body}"));
            return None;
        }
        report.reads += 1;
        report.hits += u64::from(is_hit);
        Some(body)
    }

    fn url(&self, random: &mut ChaCha8Rng, path: &str) -> String {
        format!("http://{}{path}", self.nodes.choose(random).unwrap())
    }
}

async fn body_of(response: Response) -> Option<Value> {
    serde_json::from_slice(&response.bytes().await.ok()?).ok()
}

fn version(row: &Value) -> i64 {
    row["version"].as_i64().unwrap()
}

fn micros(time: &Value) -> i64 {
    text(time)
        .parse::<DateTime<Utc>>()
        .unwrap()
        .timestamp_micros()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
