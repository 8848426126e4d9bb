//! What followers of the change stream cost writers: orders placed per second by eight writers, with a growing number
//! of followers, in interleaved rounds.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{
    Shop, connect,
    figures::{median, write_section},
    fresh_database, say,
};
use tokio::task::JoinSet;

const WRITERS: usize = 8;
const FOLLOWERS: [usize; 4] = [0, 1, 16, 64];
const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let pool = connect(fresh_database().await, 16).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    let customer = shop.customer("ada@example.org").await;
    let mut orders = Vec::new();
    for product in 0..50 {
        let product = shop.product(&format!("P-{product}"), 1_000_000_000).await;
        orders.push(json!({
            "customer_id": customer["id"], "items": [{"product_id": product["id"], "quantity": 1}],
        }));
    }
    let (orders, url) = (Arc::new(orders), format!("{}/v1", shop.base));
    // The first slice only warms up.
    slice(&url, &orders, 0).await;
    let mut rates = FOLLOWERS.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for (rates, followers) in rates.iter_mut().zip(FOLLOWERS) {
            let (placed, reported) = slice(&url, &orders, followers).await;
            rates.0.push(placed);
            rates.1.push(reported);
        }
    }
    let mut text = format!(
        "{WRITERS} writers place orders of one line as fast as they can, {} s for each number of followers, \
         {ROUNDS} rounds in turns; medians. Writers, followers, server and PostgreSQL on the same 2 cores.\n\n\
         | followers | orders/s | of those without | changes reported/s |\n|---|---|---|---|\n",
        SLICE.as_secs()
    );
    let alone = median(rates[0].0.clone());
    for ((placed, reported), followers) in rates.into_iter().zip(FOLLOWERS) {
        let (placed, reported) = (median(placed), median(reported));
        let share = placed / alone;
        let _ = writeln!(
            text,
            "| {followers} | {placed:.0} | {share:.2} | {reported:.0} |"
        );
    }
    say(&text);
    write_section("feed", text.trim_end());
}

/// Returns the orders placed per second and the change events received per second, with `followers` open streams.
async fn slice(url: &str, orders: &Arc<Vec<Value>>, followers: usize) -> (f64, f64) {
    let (is_over, reported) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut following = JoinSet::new();
    for _ in 0..followers {
        let response = Client::new().get(format!("{url}/changes")).send().await;
        let (mut response, reported) = (response.unwrap(), reported.clone());
        following.spawn(async move {
            while let Ok(Some(chunk)) = response.chunk().await {
                let text = chunk.windows(6).filter(|window| window == b"\ndata:");
                reported.fetch_add(text.count() as u64, Relaxed);
            }
        });
    }
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (url, orders, is_over) = (format!("{url}/orders"), orders.clone(), is_over.clone());
        writers.spawn(async move {
            let client = Client::new();
            let mut placed = 0;
            while !is_over.load(Relaxed) {
                let order = &orders[(writer * 7 + placed) % orders.len()];
                let request = client.request(Method::POST, &url);
                let request = request.header("content-type", "application/json");
                let answer = request.body(order.to_string()).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 201);
                placed += 1;
            }
            placed
        });
    }
    tokio::time::sleep(SLICE).await;
    is_over.store(true, Relaxed);
    let placed: usize = writers.join_all().await.into_iter().sum();
    let seconds = begun.elapsed().as_secs_f64();
    following.shutdown().await;
    (
        placed as f64 / seconds,
        reported.load(Relaxed) as f64 / seconds,
    )
}
