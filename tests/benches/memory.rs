//! Memory of the server: after ten minutes of reads and writes with the default 64 MiB of cached responses, and after
//! 24 concurrent bulk bodies of 6 MB.

use std::{
    fmt::Write,
    fs,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Client;
use serde_json::{Value, json};
use stockroom_tests::{
    Node, RedisProcess, database_url,
    figures::{peak_memory, write_section},
    fresh_database, http_client, say,
};
use tokio::task::JoinSet;

const CALLERS: u64 = 32;
const BODIES: usize = 24;
/// Rows per bulk body; each row has about 600 bytes.
const ROWS: usize = 10_000;

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let seconds = std::env::var("STOCKROOM_BENCH_SECONDS").ok();
    let seconds = seconds.map_or(600, |seconds| seconds.parse().unwrap());
    let redis = RedisProcess::start();
    let environment = vec![
        ("DATABASE_URL", database_url(&fresh_database().await)),
        ("REDIS_URL", redis.url()),
        ("STOCKROOM_LOG", "warn".into()),
    ];
    let node = Node::start("stockroom-server", environment);
    let client = http_client();
    seed(&client, &node).await;
    let idle = resident(node.pid());
    let requests = mixed(&client, &node, seconds).await;
    let (mixed, mixed_peak) = (resident(node.pid()), peak_memory(node.pid()));
    let statuses = bodies(&node).await;
    let (after, after_peak) = (resident(node.pid()), peak_memory(node.pid()));
    let mut section = String::new();
    writeln!(
        section,
        "Resident memory of the server, in MiB; `make bench`'s `memory`, a release build with the default 64 MiB of \
        cached answers, Redis and 24 connections to PostgreSQL.\n\n\
        | after | goal | now | at the most so far |\n|---|---|---|---|\n\
        | seeding 50,000 orders | | {idle:.0} | |\n\
        | {seconds} s of mixed load ({requests} requests of {CALLERS} callers, 5 % of them writes) | 120 | {mixed:.0} | {mixed_peak:.0} |\n\
        | {BODIES} bulk bodies of 6 MB at once ({statuses}) | 200 | {after:.0} | {after_peak:.0} |"
    )
    .unwrap();
    say(&section);
    write_section("memory", &section);
}

/// Current resident memory, in MiB.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024.0
}

async fn body(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn get(client: &Client, node: &Node, path: &str) -> Value {
    body(client.get(node.url(path)).send().await.unwrap()).await
}

async fn seed(client: &Client, node: &Node) {
    let job = json!({"seed": 1, "categories": 20, "products": 10_000, "customers": 10_000, "orders": 50_000, "months": 24});
    let request = client
        .post(node.url("/v1/seed-jobs"))
        .header("content-type", "application/json")
        .body(job.to_string());
    let job = body(request.send().await.unwrap()).await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    while get(client, node, &path).await["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads rows and pages of all kinds and occasionally changes a product; returns the number of requests.
async fn mixed(client: &Client, node: &Node, seconds: u64) -> u64 {
    let mut products = Vec::new();
    let mut path = "/v1/products?sort=sku&limit=200".to_owned();
    loop {
        let page = get(client, node, &path).await;
        let items = page["items"].as_array().unwrap().iter();
        products.extend(items.map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/products?sort=sku&limit=200&cursor={next}");
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, base, products) = (client.clone(), node.url(""), products.clone());
        callers.spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(caller);
            let mut requests = 0;
            while Instant::now() < deadline {
                let product = &products[random.random_range(0..products.len())];
                let request = match random.random_range(0..20) {
                    0 => client
                        .patch(format!("{base}/v1/products/{product}"))
                        .header("content-type", "application/json")
                        .body(json!({"description": format!("{requests}")}).to_string()),
                    1..=4 => {
                        let (limit, month) =
                            (random.random_range(1..=200), random.random_range(1..=12));
                        client.get(format!(
                            "{base}/v1/orders?limit={limit}&placed_from=2026-{month:02}-01"
                        ))
                    }
                    _ => client.get(format!("{base}/v1/products/{product}")),
                };
                let response = request.send().await.unwrap();
                assert!(response.status().is_success(), "{}", response.status());
                response.bytes().await.unwrap();
                requests += 1;
            }
            requests
        });
    }
    callers.join_all().await.into_iter().sum()
}

/// Sends all bodies at once and returns the number of responses by status.
async fn bodies(node: &Node) -> String {
    let mut callers = JoinSet::new();
    for caller in 0..BODIES {
        let url = node.url("/v1/customers/bulk");
        callers.spawn(async move {
            let row = |row| {
                json!({
                    "name": "x".repeat(200),
                    "email": format!("{caller}-{row}@example.org"),
                    "address": {"line1": "y".repeat(150), "line2": "z".repeat(120), "city": "Leeds"},
                })
            };
            let rows: Vec<Value> = (0..ROWS).map(row).collect();
            let client = Client::new();
            let request = client.post(url).header("content-type", "application/json");
            let response = request.body(json!(rows).to_string()).send().await.unwrap();
            response.status().as_u16()
        });
    }
    let mut statuses = callers.join_all().await;
    statuses.sort_unstable();
    let chunks = statuses.chunk_by(|a, b| a == b);
    let counts: Vec<String> = chunks
        .map(|of| format!("{} × {}", of.len(), of[0]))
        .collect();
    counts.join(", ")
}
