//! A server that leaves: it says so first, then answers what it has begun.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Answer, Node, Shop, database_url, fresh_database, http_client};

async fn get(node: &Node, path: &str) -> Answer {
    let response = http_client().get(node.url(path)).send().await.unwrap();
    Answer::read(response).await
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_goes_first_and_a_second_signal_ends_the_wait() {
    let environment = vec![
        ("DATABASE_URL", database_url(&fresh_database().await)),
        ("STOCKROOM_LEAVE_DELAY", "600".into()),
    ];
    let mut node = Node::start("stockroom-server", environment);
    get(&node, "/readyz").await.ok(200);
    node.signal(Signal::TERM);
    while get(&node, "/readyz").await.status == 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let detail = get(&node, "/readyz").await.refused(503);
    assert_eq!(detail, "The server is about to stop.");
    get(&node, "/v1/categories").await.ok(200);
    assert_eq!(get(&node, "/livez").await.ok(200)["status"], "alive");
    node.signal(Signal::TERM);
    assert!(node.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_under_way_is_sent_to_its_end() {
    let shop = Shop::open().await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(Method::GET, "/v1/customers/export?format=ndjson");
    let response = request.send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut bytes = body.next().await.unwrap().unwrap().to_vec();
    let base = shop.base.clone();
    let closing = tokio::spawn(shop.close());
    // It takes no new connections any more, and still sends.
    let client = reqwest::Client::new();
    while client.get(format!("{base}/livez")).send().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 60_000);
    closing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_by_itself_is_cut_off_when_the_time_is_over() {
    let options = Options {
        drain_limit: Duration::from_millis(300),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(Method::GET, "/v1/customers/export?format=ndjson");
    // Its caller takes nothing of it.
    let _stalled = request.send().await.unwrap();
    let (pool, database) = (shop.pool.clone(), shop.database.clone());
    shop.close().await;
    database.close().await;
    let left: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
        where datname = current_database() and application_name = 'stockroom'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    // The one that watches ends with the server's last part.
    assert!(left <= 1, "{left} connections are left");
}
