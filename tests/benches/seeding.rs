//! Seeding compared with psql loading the same rows with COPY from files; what readers notice of a seed job, at full
//! speed and with a rate limit; and the memory of the server. Rounds are interleaved, so other load on the machine
//! affects both equally. `STOCKROOM_BENCH_ORDERS` sets the size.

use std::{
    fmt::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgConnectOptions};
use stockroom_tests::{
    Node, RedisProcess, connect, database_url,
    figures::{median, peak_memory, percentile, write_section},
    fresh_database, http_client, say,
};

const ROUNDS: u32 = 3;
const READERS: usize = 4;
/// Pause between two requests of a reader, which models a person and not a load test.
const THINKING: Duration = Duration::from_millis(5);
/// How long readers are measured on an otherwise idle server.
const IDLE: Duration = Duration::from_secs(10);
/// The rate of the job that must not disturb readers, in rows per second.
const RATE: u32 = 4_000;
/// In an order that satisfies the foreign keys.
const TABLES: [&str; 5] = [
    "categories",
    "products",
    "customers",
    "orders",
    "order_items",
];

struct Rig {
    server: Node,
    client: Client,
    database: PgConnectOptions,
    pool: PgPool,
    orders: i64,
    _redis: RedisProcess,
}

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rig = Rig::start().await;
    let (mut ours, mut theirs, mut rows) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        rig.empty().await;
        let began = Instant::now();
        rig.seed(round, None).await;
        ours.push(began.elapsed().as_secs_f64());
        rows = rig.rows().await;
        theirs.push(rig.copy().await);
        say(&format!(
            "round {}: ours {:.1} s, psql {:.1} s",
            round + 1,
            ours[round as usize],
            theirs[round as usize]
        ));
    }
    let memory = peak_memory(rig.server.pid());
    let ratio = median(
        theirs
            .iter()
            .zip(&ours)
            .map(|(theirs, ours)| theirs / ours)
            .collect(),
    );
    let (ours, theirs) = (median(ours), median(theirs));
    let rate = |seconds: f64| rows as f64 / seconds;
    let mut text = format!(
        "{rows} rows ({} of them orders) over 24 months, generated, indexed, their keys checked and \
         analysed; medians of {ROUNDS} rounds.\n\n\
         | | time | rows/s |\n|---|---|---|\n\
         | seed job | {ours:.1} s | {:.0} |\n\
         | `psql \\copy … binary` of the same rows into the same tables | {theirs:.1} s | {:.0} |\n\n\
         Ratio of the rates (goal: 0.8 at least): {ratio:.2}. The server took {memory:.0} MiB at the most \
         (goal: 150).\n\n",
        rig.orders,
        rate(ours),
        rate(theirs),
    );
    text += &rig.watch_readers().await;
    say(&text);
    write_section("seeding", &text);
}

impl Rig {
    async fn start() -> Self {
        let database = fresh_database().await;
        let redis = RedisProcess::start();
        let environment = vec![
            ("DATABASE_URL", database_url(&database)),
            ("REDIS_URL", redis.url()),
        ];
        let orders = std::env::var("STOCKROOM_BENCH_ORDERS").ok();
        Self {
            server: Node::start("stockroom-server", environment),
            client: http_client(),
            pool: connect(database.clone(), 2).await.unwrap(),
            database,
            orders: orders.map_or(300_000, |orders| orders.parse().unwrap()),
            _redis: redis,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.server.url(path)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Queues a job and returns its path.
    async fn begin(&self, seed: u32, rate: Option<u32>) -> String {
        let job = json!({
            "seed": seed, "categories": 20, "products": 1_000, "customers": 20_000,
            "orders": self.orders, "months": 24, "rate": rate,
        });
        let posted = self.client.post(self.server.url("/v1/seed-jobs"));
        let posted = posted
            .header("content-type", "application/json")
            .body(job.to_string());
        let job = posted.send().await.unwrap().text().await.unwrap();
        let job: Value = serde_json::from_str(&job).unwrap();
        format!(
            "/v1/seed-jobs/{}",
            job["id"].as_str().unwrap_or_else(|| panic!("{job}"))
        )
    }

    async fn seed(&self, seed: u32, rate: Option<u32>) {
        let path = self.begin(seed, rate).await;
        loop {
            let job = self.get(&path).await;
            match job["state"].as_str().unwrap() {
                "queued" | "running" => tokio::time::sleep(Duration::from_millis(20)).await,
                state => return assert_eq!(state, "done", "{job:#}"),
            }
        }
    }

    async fn empty(&self) {
        let truncate = format!("truncate {}, changes; checkpoint", TABLES.join(", "));
        sqlx::raw_sql(sqlx::AssertSqlSafe(truncate))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn rows(&self) -> i64 {
        let counts = TABLES.map(|table| format!("(select count(*) from {table})"));
        let sql = format!("select {}", counts.join(" + "));
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Writes all tables to files, empties them and loads them again; returns the seconds that loading took.
    async fn copy(&self) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        let file = |table: &str| folder.path().join(table).display().to_string();
        for table in TABLES {
            self.psql(&format!(
                r"\copy (select * from {table}) to '{}' with (format binary)",
                file(table)
            ));
        }
        self.empty().await;
        let began = Instant::now();
        for table in TABLES {
            self.psql(&format!(
                r"\copy {table} from '{}' with (format binary)",
                file(table)
            ));
        }
        began.elapsed().as_secs_f64()
    }

    fn psql(&self, command: &str) {
        let socket: &Path = self.database.get_socket().unwrap();
        let port = self.database.get_port().to_string();
        let done = Command::new("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set",
                "ON_ERROR_STOP=1",
                "--port",
                &port,
            ])
            .args(["--username", self.database.get_username()])
            .args([
                "--dbname",
                self.database.get_database().unwrap(),
                "--command",
                command,
            ])
            .arg("--host")
            .arg(socket)
            .status();
        assert!(done.unwrap().success(), "{command}");
    }

    /// What readers notice of a job, at full speed and with a rate limit.
    async fn watch_readers(&self) -> String {
        let mut text = String::from(
            "Readers of single orders, of the newest orders and of products, four at a time, with 5 ms \
             between two requests:\n\n| meanwhile | requests | p50 | p99 |\n|---|---|---|---|\n",
        );
        let mut idle_p99 = 0.0;
        for (name, rate) in [
            ("nothing", None),
            ("a job at full speed", Some(None)),
            ("a job with a rate", Some(Some(RATE))),
        ] {
            let times = match rate {
                None => self.read_until(tokio::time::sleep(IDLE)).await,
                Some(rate) => {
                    let seed = 100 + rate.unwrap_or_default();
                    let path = self.begin(seed, rate).await;
                    let times = self.read_until(tokio::time::sleep(IDLE)).await;
                    let job = self
                        .client
                        .delete(self.server.url(&path))
                        .send()
                        .await
                        .unwrap();
                    assert!(job.status().is_success());
                    while self.get(&path).await["state"] == "running" {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    times
                }
            };
            let (p50, p99) = (percentile(times.clone(), 50), percentile(times.clone(), 99));
            if rate.is_none() {
                idle_p99 = p99;
            }
            let _ = writeln!(
                text,
                "| {name} | {} | {p50:.2} ms | {p99:.2} ms ({:.1} × idle) |",
                times.len(),
                p99 / idle_p99
            );
        }
        let _ = write!(
            text,
            "\nGoals: p99 at most 50 ms at full speed, at most 3 × idle with a rate (here {RATE} rows/s)."
        );
        text
    }

    /// Reads in a loop until `end` completes; returns the milliseconds of each request.
    async fn read_until(&self, end: impl Future<Output = ()>) -> Vec<f64> {
        let orders = self.get("/v1/orders?limit=200").await;
        let paths: Vec<String> = orders["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|order| format!("/v1/orders/{}", order["id"].as_str().unwrap()))
            .collect();
        let reader = async |first: usize, times: &mut Vec<f64>| {
            for round in first.. {
                let path = match round % 4 {
                    0 => "/v1/orders?limit=50",
                    1 => "/v1/products?limit=50",
                    _ => &paths[round * 7 % paths.len()],
                };
                let began = Instant::now();
                let answer = self.client.get(self.server.url(path)).send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(THINKING).await;
            }
        };
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); READERS];
        let readers = times.iter_mut().enumerate();
        let readers = readers.map(|(first, times)| reader(first, times));
        tokio::select! {
            _ = futures_util::future::join_all(readers) => {}
            () = end => {}
        }
        times.concat()
    }
}
