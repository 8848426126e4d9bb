//! Graceful shutdown: the server first reports that it is not ready, then finishes the requests in progress.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use sqlx::PgPool;
use stockroom_server::Options;
use stockroom_tests::{Answer, Deadline, Node, Shop, database_url, fresh_database, http_client};

async fn get(node: &Node, path: &str) -> Answer {
    let response = http_client().get(node.url(path)).send().await.unwrap();
    Answer::read(response).await
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_fails_first_on_shutdown_and_a_second_signal_skips_the_delay() {
    let environment = vec![
        ("DATABASE_URL", database_url(&fresh_database().await)),
        ("STOCKROOM_LEAVE_DELAY", "600".into()),
    ];
    let mut node = Node::start("stockroom-server", environment);
    get(&node, "/readyz").await.ok(200);
    node.signal(Signal::TERM);
    let deadline = Deadline::new("/readyz that fails", 120);
    while get(&node, "/readyz").await.status == 200 {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let detail = get(&node, "/readyz").await.refused(503);
    assert_eq!(detail, "The server is stopping.");
    get(&node, "/v1/categories").await.ok(200);
    assert_eq!(get(&node, "/livez").await.ok(200)["status"], "alive");
    node.signal(Signal::TERM);
    assert!(node.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_export_is_sent_completely_during_shutdown() {
    let shop = Shop::open().await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(Method::GET, "/v1/customers/export?format=ndjson");
    let response = request.send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut bytes = body.next().await.unwrap().unwrap().to_vec();
    let base = shop.base.clone();
    let closing = tokio::spawn(shop.close());
    // The server refuses new connections but still sends the export.
    let client = reqwest::Client::new();
    let deadline = Deadline::new("a server that refuses connections", 120);
    while client.get(format!("{base}/livez")).send().await.is_ok() {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 60_000);
    closing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_request_is_cut_off_when_the_drain_limit_is_over() {
    let options = Options {
        drain_limit: Duration::from_millis(300),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(Method::GET, "/v1/customers/export?format=ndjson");
    // The caller reads nothing of the body.
    let _stalled = request.send().await.unwrap();
    let (pool, database) = (shop.pool.clone(), shop.database.clone());
    shop.close().await;
    database.close().await;
    // PostgreSQL notices a closed connection a moment later. One may be left: the watcher's, which ends with the last
    // part of the server.
    let deadline = Deadline::new("at most one connection that is left", 120);
    while connections(&pool).await > 1 {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connections(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity
        where datname = current_database() and application_name = 'stockroom'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}
