//! Exports from one shop and imports into others: the speed of each way, and proof that memory does not grow with the
//! number of rows. `STOCKROOM_BENCH_ORDERS` sets the larger size; the smaller is a tenth of it.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::{Body, Client};
use serde_json::{Value, json};
use stockroom_tests::{
    Node, RedisProcess, database_url,
    figures::{peak_memory, write_section},
    fresh_database, http_client, say, temp_dir,
};

const RESOURCES: [&str; 4] = ["categories", "products", "customers", "orders"];
/// A timeout that no request reaches.
const LONG: Duration = Duration::from_secs(3_600);
/// Percentage of the exported orders that are written to the file of new orders.
const PLACED: i64 = 5;

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let size = std::env::var("STOCKROOM_BENCH_ORDERS").ok();
    let size: i64 = size.map_or(400_000, |size| size.parse().unwrap());
    let small = measure(size / 10).await;
    let large = measure(size).await;
    let mut text = format!(
        "{} and {size} orders with a quarter as many customers, NDJSON over loopback, one run each.\n\n\
         | | rows | rows/s | rows | rows/s |\n|---|---|---|---|---|\n",
        size / 10
    );
    for (small, large) in small.ways.iter().zip(&large.ways) {
        let rate = |way: &Way| format!("{} | {:.0}", way.rows, way.rows as f64 / way.seconds);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            small.what,
            rate(small),
            rate(large)
        );
    }
    let _ = writeln!(
        text,
        "\nThe most memory that a server took: exporting {:.0} and {:.0} MiB (after seeding), restoring {:.0} \
         and {:.0} MiB, applying {:.0} and {:.0} MiB.",
        small.memory[0],
        large.memory[0],
        small.memory[1],
        large.memory[1],
        small.memory[2],
        large.memory[2]
    );
    say(&text);
    write_section("importing", &text);
}

struct Figures {
    ways: Vec<Way>,
    /// Peak memory of the servers that exported, restored and applied, in MiB.
    memory: [f64; 3],
}

struct Way {
    what: &'static str,
    rows: u64,
    seconds: f64,
}

async fn measure(orders: i64) -> Figures {
    let folder = temp_dir("importing");
    let mut ways = Vec::new();
    let source = Shop::start().await;
    source.seed(orders).await;
    let began = Instant::now();
    let mut rows = 0;
    for resource in RESOURCES {
        rows += source
            .export(resource, &file(folder.path(), resource))
            .await;
    }
    ways.push(Way {
        what: "export of the whole shop",
        rows,
        seconds: began.elapsed().as_secs_f64(),
    });

    let copy = Shop::start().await;
    let began = Instant::now();
    for resource in RESOURCES {
        let path = format!("{resource}/import?mode=restore");
        copy.import(&path, &file(folder.path(), resource)).await;
    }
    ways.push(Way {
        what: "`mode=restore` of it",
        rows,
        seconds: began.elapsed().as_secs_f64(),
    });

    let other = Shop::start().await;
    for resource in ["categories", "products"] {
        let path = format!("{resource}/import?mode=restore");
        other.import(&path, &file(folder.path(), resource)).await;
    }
    for (what, path) in [
        (
            "customers by all the rules, all or nothing",
            "customers/import",
        ),
        ("the same once more: nothing changes", "customers/import"),
    ] {
        let began = Instant::now();
        let rows = other.import(path, &file(folder.path(), "customers")).await;
        ways.push(Way {
            what,
            rows,
            seconds: began.elapsed().as_secs_f64(),
        });
    }
    let placed = folder.path().join("placed.ndjson");
    place_anew(&file(folder.path(), "orders"), &placed);
    let began = Instant::now();
    let rows = other
        .import("orders/import?on_error=reject_failed", &placed)
        .await;
    ways.push(Way {
        what: "new orders by all the rules, in batches",
        rows,
        seconds: began.elapsed().as_secs_f64(),
    });
    let memory = [&source, &copy, &other].map(|shop| peak_memory(shop.server.pid()));
    Figures { ways, memory }
}

fn file(folder: &Path, resource: &str) -> PathBuf {
    folder.join(format!("{resource}.ndjson"))
}

/// Writes some of the exported orders as new, pending ones, without the fields that the server sets.
fn place_anew(exported: &Path, placed: &Path) {
    let lines = BufReader::new(std::fs::File::open(exported).unwrap()).lines();
    let mut out = std::io::BufWriter::new(std::fs::File::create(placed).unwrap());
    for (_, line) in (0_i64..).zip(lines).filter(|(n, _)| n % 100 < PLACED) {
        let order: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let new = json!({"customer_id": order["customer_id"], "placed_at": order["placed_at"],
            "items": order["items"]});
        writeln!(out, "{new}").unwrap();
    }
}

struct Shop {
    server: Node,
    client: Client,
    _redis: RedisProcess,
}

impl Shop {
    async fn start() -> Self {
        let redis = RedisProcess::start();
        let environment = vec![
            ("DATABASE_URL", database_url(&fresh_database().await)),
            ("REDIS_URL", redis.url()),
        ];
        Self {
            server: Node::start("stockroom-server", environment),
            client: http_client(),
            _redis: redis,
        }
    }

    async fn seed(&self, orders: i64) {
        let job = json!({
            "seed": 1, "categories": 20, "products": 2_000, "customers": orders / 4,
            "orders": orders, "months": 24,
        });
        let request = self.client.post(self.server.url("/v1/seed-jobs"));
        let request = request.header("content-type", "application/json");
        let job = request.body(job.to_string()).send().await.unwrap();
        let job: Value = serde_json::from_str(&job.text().await.unwrap()).unwrap();
        let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
        loop {
            let job = self
                .client
                .get(self.server.url(&path))
                .send()
                .await
                .unwrap();
            if job.text().await.unwrap().contains("\"state\":\"done\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Writes the list to a file and returns the number of rows.
    async fn export(&self, resource: &str, to: &Path) -> u64 {
        let url = self.server.url(&format!("/v1/{resource}/export"));
        let request = self.client.get(url).timeout(LONG);
        let mut response = request.send().await.unwrap();
        let mut out = std::fs::File::create(to).unwrap();
        let mut rows = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
            out.write_all(&chunk).unwrap();
        }
        rows
    }

    /// Sends the file and returns the number of rows in the report.
    async fn import(&self, path: &str, from: &Path) -> u64 {
        let file = tokio::fs::read(from).await.unwrap();
        let request = self.client.post(self.server.url(&format!("/v1/{path}")));
        let request = request
            .header("content-type", "application/x-ndjson")
            .timeout(LONG);
        let response = request.body(Body::from(file)).send().await.unwrap();
        let body = response.text().await.unwrap();
        let report: Value = serde_json::from_str(&body).unwrap();
        let counts = ["created", "updated", "unchanged", "failed"];
        let counts = counts.map(|name| {
            report[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{path}: {body}"))
        });
        counts.iter().sum()
    }
}
