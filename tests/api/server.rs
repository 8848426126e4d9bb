//! The server itself: probes, request ids, limits, sessions and shutdown.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Shop, close_database, connect, fresh_database, path};

#[tokio::test]
async fn probes_distinguish_alive_from_ready() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 8).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    assert_eq!(shop.get("/livez").await.ok(200)["status"], "alive");
    assert_eq!(shop.get("/readyz").await.ok(200)["status"], "ready");
    close_database(&database).await;
    assert_eq!(shop.get("/livez").await.ok(200)["status"], "alive");
    let away = shop.get("/readyz").await;
    assert_eq!(away.header("retry-after"), "1");
    away.refused(503);
    shop.get("/v1/orders").await.refused(503);
}

#[tokio::test]
async fn every_response_has_a_request_id() {
    let shop = Shop::open().await;
    let ours = shop.get("/v1/orders").await;
    assert_eq!(ours.header("x-request-id").len(), 36);
    let request = shop
        .request(reqwest::Method::GET, "/v1/nothing")
        .header("x-request-id", "abc");
    let theirs = shop.send(request).await;
    assert_eq!(theirs.header("x-request-id"), "abc");
    theirs.refused(404);
}

#[tokio::test]
async fn slow_request_is_reported_as_timed_out() {
    let options = Options {
        request_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let row = shop.category("Tea").await;
    let holder = shop.lock_rows("categories").await;
    let late = shop
        .patch(&path("categories", &row), &json!({"name": "Teas"}))
        .await;
    // The write may still be committed, so the response must not suggest a retry.
    let detail = late.refused(504);
    assert!(detail.contains("it may have been done"), "{detail}");
    assert!(detail.contains("`If-None-Match: *`"), "{detail}");
    holder.rollback().await.unwrap();
    // A read has no effect, so it may be retried.
    let holder = shop.lock_table("categories").await;
    let late = shop.get("/v1/categories?sort=-name").await;
    assert_eq!(late.header("retry-after"), "1");
    late.refused(503);
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn stopping_server_ends_sessions_and_finishes_running_requests() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let session = shop
        .request(reqwest::Method::GET, "/v1/session")
        .send()
        .await
        .unwrap();
    let mut events = session.bytes_stream();
    let hello = events.next().await.unwrap().unwrap();
    assert!(hello.starts_with(b"event: attached"), "{hello:?}");

    let holder = shop.lock_rows("categories").await;
    let patch = shop
        .request(reqwest::Method::PATCH, &path("categories", &row))
        .header("content-type", "application/json")
        .body(r#"{"name": "Teas"}"#);
    let begun = tokio::spawn(patch.send());
    shop.sees_a_wait().await;
    let closing = tokio::spawn(shop.close());
    assert!(events.next().await.is_none());
    holder.commit().await.unwrap();
    assert_eq!(begun.await.unwrap().unwrap().status(), 200);
    closing.await.unwrap();
}

#[tokio::test]
async fn routes_refuse_in_a_uniform_way() {
    let shop = Shop::open().await;
    for path in [
        "/v1/products/import",
        "/v1/products/bulk",
        "/v1/partitions/orders_2026_01/archive",
        "/v1/partitions/orders_2026_01/restore",
        "/v1/partitions/orders_2026_01/import",
    ] {
        let answer = shop.get(path).await;
        assert_eq!(answer.header("allow"), "POST", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        answer.refused(405);
    }
    shop.get("/v1/partitions/%FF").await.refused(400);
    let gone = shop.get("/v1/partitions/orders_1999_01").await;
    assert_eq!(gone.header("cache-control"), "no-store");
    gone.refused(404);
    let jobs = shop.get("/v1/jobs").await;
    assert_eq!(jobs.header("cache-control"), "no-store");
    let request = shop
        .request(reqwest::Method::GET, "/v1/orders")
        .header("x-request-id", "x".repeat(4_000));
    assert_eq!(shop.send(request).await.header("x-request-id").len(), 128);
}

#[tokio::test]
async fn gzip_bodies_are_accepted_ignoring_the_case_of_the_coding() {
    use std::io::Write;

    let shop = Shop::open().await;
    let packed = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let post = async |coding: &str, body: Vec<u8>| {
        let request = shop
            .request(reqwest::Method::POST, "/v1/categories")
            .header("content-type", "application/json")
            .header("content-encoding", coding);
        shop.send(request.body(body)).await
    };
    for (coding, name) in [("gzip", "a"), ("GZip", "b"), ("x-gzip", "c")] {
        let row = packed(&json!({"name": name}).to_string());
        post(coding, row).await.ok(201);
    }
    post("identity", br#"{"name": "d"}"#.to_vec()).await.ok(201);
    post("br", packed("{}")).await.refused(415);
    post("gzip, gzip", packed("{}")).await.refused(415);
    post("gzip", b"{}".to_vec()).await.refused(400);
    let bomb = json!({"name": "x".repeat(10 << 20)}).to_string();
    post("gzip", packed(&bomb)).await.refused(413);
}
