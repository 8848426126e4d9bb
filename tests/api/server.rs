//! The server itself: probes, request ids, limits, sessions, stopping.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Shop, close_database, connect, fresh_database, path};

#[tokio::test]
async fn probes_tell_alive_from_ready() {
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
async fn every_answer_bears_its_request_id() {
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
async fn a_request_that_takes_too_long_is_told_so() {
    let options = Options {
        request_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let row = shop.category("Tea").await;
    let holder = shop.hold("categories").await;
    let late = shop
        .patch(&path("categories", &row), &json!({"name": "Teas"}))
        .await;
    // It may still be done, so the answer must not invite a second try.
    let detail = late.refused(504);
    assert!(
        detail.contains("it is not known whether it was done"),
        "{detail}"
    );
    assert!(detail.contains("`If-None-Match: *`"), "{detail}");
    holder.rollback().await.unwrap();
    // A read that takes as long has done nothing.
    let holder = shop.shut("categories").await;
    let late = shop.get("/v1/categories?sort=-name").await;
    assert_eq!(late.header("retry-after"), "1");
    late.refused(503);
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn a_stopping_server_ends_its_sessions_and_answers_what_it_began() {
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

    let holder = shop.hold("categories").await;
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
