//! The cost of a page by its depth, on a million orders. Rounds of both kinds are interleaved, so other load on the
//! machine affects both equally. Prints medians and their ratio.

use std::{fmt::Write, time::Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{
    Shop,
    figures::{median, write_section},
    say,
};

const ORDERS: i64 = 1_000_000;
const DEPTH: usize = 900_000;
const ROUNDS: usize = 300;
const PAGE: usize = 200;

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let shop = Shop::open().await;
    let began = Instant::now();
    seed(&shop).await;
    let seeded = began.elapsed().as_secs_f64();
    let (orders, items) = touched(&shop).await;
    let (deep, rate) = walk(&shop).await;
    let memory = resident_kib() / 1024;
    let filtered = "/v1/orders?limit=50&status=delivered".to_owned();
    let mut text = format!(
        "{ORDERS} orders over 24 months, read past the cache; server and caller in one process, 50 rows \
         a page, {ROUNDS} rounds of each.\n\n\
         | list | first page | {DEPTH} rows deep | ratio (goal: 1.5 at most) |\n|---|---|---|---|\n"
    );
    for (name, first, deep) in [
        (
            "orders, newest first",
            "/v1/orders?limit=50".to_owned(),
            deep.clone(),
        ),
        (
            "orders of one status",
            filtered.clone(),
            deep_filtered(&shop, &filtered).await,
        ),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (path, times) in [&first, &deep].into_iter().zip(&mut times) {
                let began = Instant::now();
                read(&shop, path).await;
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [first, deep] = times.map(median);
        let ratio = deep / first;
        let _ = writeln!(
            text,
            "| {name} | {first:.2} ms | {deep:.2} ms | {ratio:.2} |"
        );
    }
    let _ = write!(
        text,
        "\nWalking {DEPTH} rows in pages of {PAGE} ran at {rate:.0} rows/s, every page of it \
         kept, and left the process at {memory} MiB, 64 of them for cached answers. The plan for an order by id reads {orders} partition of the orders and {items} of \
         their lines. The orders were seeded in {seeded:.1} s.\n"
    );
    say(&text);
    write_section("paging", &text);
}

/// Reads past the cache, because a cache hit costs the same at every depth.
async fn read(shop: &Shop, path: &str) {
    let request = shop.request(Method::GET, path);
    let request = request.header("cache-control", "no-cache");
    shop.send(request).await.ok(200);
}

async fn seed(shop: &Shop) {
    let job = json!({
        "seed": 1, "categories": 20, "products": 1_000, "customers": 10_000, "orders": ORDERS,
        "months": 24,
    });
    assert_eq!(shop.seed(&job).await["state"], "done");
}

/// Returns how many partitions of `orders` and of `order_items` the plan for a single order reads.
async fn touched(shop: &Shop) -> (usize, usize) {
    let page = shop.get("/v1/orders?limit=1").await.ok(200);
    let (id, at) = (
        text(&page["items"][0]["id"]),
        text(&page["items"][0]["placed_at"]),
    );
    let sql = format!(
        "explain (format json) select *, (select count(*) from order_items i
            where i.placed_at = '{at}' and i.order_id = '{id}')
        from orders where placed_at = '{at}' and id = '{id}'"
    );
    let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    let plan = plan.to_string();
    let count = |parent: &str| {
        plan.matches(&format!("\"Relation Name\":\"{parent}_2"))
            .count()
    };
    (count("orders"), count("order_items"))
}

/// Follows `next` for `DEPTH` rows; returns the path of the page at that depth and the rows per second.
async fn walk(shop: &Shop) -> (String, f64) {
    let mut cursor = String::new();
    let began = Instant::now();
    for _ in 0..DEPTH / PAGE {
        let page = shop
            .get(&format!("/v1/orders?limit={PAGE}{cursor}"))
            .await
            .ok(200);
        cursor = format!("&cursor={}", text(&page["next"]));
    }
    let rate = DEPTH as f64 / began.elapsed().as_secs_f64();
    (format!("/v1/orders?limit=50{cursor}"), rate)
}

/// Returns the path of a page of the filtered list at about the same depth, reached from the end of the list.
async fn deep_filtered(shop: &Shop, path: &str) -> String {
    let mut path = shop.get(path).await.link("last").unwrap();
    for _ in 0..200 {
        path = shop.get(&path).await.link("prev").unwrap();
    }
    path
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Resident memory of this process, which runs both the server and its caller, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
