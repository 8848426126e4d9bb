//! What cannot be read at all: bodies, queries, paths.

use super::bad_input::UNKNOWN_ID;
use reqwest::Method;
use serde_json::json;
use stockroom_tests::Shop;

#[tokio::test]
async fn unreadable_bodies_are_refused() {
    let shop = Shop::open().await;
    let before = shop.fingerprint().await;
    for body in [
        "",
        "{",
        "[1]",
        "nonsense",
        "{\"name\": \"a\"} x",
        "{\"name\": \"\\ud800\"}",
    ] {
        shop.post_raw("/v1/categories", body).await.refused(400);
    }
    shop.post_raw("/v1/categories", vec![b'"', 0xff, 0xfe, b'"'])
        .await
        .refused(400);
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20));
    shop.post_raw("/v1/categories", large).await.refused(413);
    let line = format!("{{\"product_id\": \"{UNKNOWN_ID}\", \"quantity\": 1}},");
    let million = format!(
        "{{\"customer_id\": \"{UNKNOWN_ID}\", \"items\": [{}",
        line.repeat(1_000_000)
    );
    // The server may stop reading once it refuses, so the connection may close before everything is sent.
    let request = shop
        .request(Method::POST, "/v1/orders")
        .header("content-type", "application/json");
    if let Ok(response) = request.body(million).send().await {
        assert_eq!(response.status(), 413);
    }
    let text = shop
        .request(Method::POST, "/v1/categories")
        .header("content-type", "text/plain");
    shop.send(text.body("{\"name\": \"x\"}")).await.refused(415);
    shop.send(shop.request(Method::POST, "/v1/categories").body("{}"))
        .await
        .refused(415);
    let deep = format!("{{\"name\": {}", "[".repeat(100_000));
    shop.post_raw("/v1/categories", deep).await.refused(400);
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn unreadable_queries_and_paths_are_refused() {
    let shop = Shop::open().await;
    for (query, parameter, code) in [
        ("limit=0", "?limit", "out_of_range"),
        ("limit=201", "?limit", "out_of_range"),
        ("limit=x", "?limit", "out_of_range"),
        ("limit=5&limit=6", "?limit", "repeated"),
        ("colour=red", "?colour", "unknown_parameter"),
        ("offset=5", "?offset", "unknown_parameter"),
        ("sort=colour", "?sort", "unknown_value"),
        ("sort=note", "?sort", "unknown_value"),
        ("count=all", "?count", "unknown_value"),
        ("q=a%00b", "?q", "invalid_text"),
        ("q=hello", "?q", "invalid_format"),
        ("cursor=x", "?cursor", "invalid_cursor"),
        ("cursor=", "?cursor", "invalid_cursor"),
        ("customer_id=x", "?customer_id", "wrong_type"),
        ("status=lost", "?status", "wrong_type"),
        ("placed_from=yesterday", "?placed_from", "wrong_type"),
    ] {
        shop.get(&format!("/v1/orders?{query}"))
            .await
            .refused_at(400, parameter, code);
    }
    for id in [
        "x",
        "1",
        "%00",
        "%ff",
        "0192d3f0-0000-7000-8000-00000000000",
    ] {
        shop.get(&format!("/v1/orders/{id}")).await.refused(400);
        shop.delete(&format!("/v1/products/{id}"))
            .await
            .refused(400);
    }
    // No order can have this id, because it contains no time.
    shop.get("/v1/orders/00000000-0000-4000-8000-000000000000")
        .await
        .refused(404);
    for path in ["/", "/v1", "/v1/colours", "/v1/orders/a/b"] {
        shop.get(path).await.refused(404);
    }
    shop.delete("/v1/orders").await.refused(405);
    shop.post("/livez", &json!({})).await.refused(405);
    let actor = shop.request(Method::DELETE, &format!("/v1/orders/{UNKNOWN_ID}"));
    shop.send(actor.header("stockroom-actor", "x".repeat(300)))
        .await
        .refused(400);
}
