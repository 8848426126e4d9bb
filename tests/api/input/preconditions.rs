//! Versions that callers send, on every method and in bulk calls.

use super::bad_input::UNKNOWN_ID;
use reqwest::Method;
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Answer, Shop, path};

#[tokio::test]
async fn preconditions_are_checked_on_every_method() {
    let shop = Shop::open().await;
    let category = shop.category("Tea").await;
    let row = path("categories", &category);
    let with = async |method: Method, name: &str, value: &str, body: &'static str| {
        let request = shop
            .request(method, &row)
            .header("content-type", "application/json")
            .header(name, value)
            .body(body);
        shop.send(request).await
    };
    for known in ["*", "\"1\"", "W/\"1\""] {
        for (method, body) in [
            (Method::PATCH, r#"{"description": "x"}"#),
            (Method::DELETE, ""),
        ] {
            with(method, "if-none-match", known, body)
                .await
                .refused(412);
        }
    }
    with(Method::PUT, "if-none-match", "\"1\"", r#"{"name": "Tea"}"#)
        .await
        .refused(412);
    with(Method::GET, "if-match", "\"2\"", "")
        .await
        .refused(412);
    with(Method::GET, "if-match", "W/\"1\"", "").await.ok(200);
    with(Method::PATCH, "if-match", "", r#"{"description": "x"}"#)
        .await
        .refused(412);
    let weak = with(
        Method::PATCH,
        "if-match",
        "W/\"1\"",
        r#"{"description": "x"}"#,
    )
    .await;
    assert_eq!(weak.ok(200)["version"], 2);
    let absent = &format!("/v1/categories/{UNKNOWN_ID}");
    let both = shop
        .request(Method::PUT, absent)
        .header("content-type", "application/json")
        .header("if-match", "\"1\"")
        .header("if-none-match", "*")
        .body(r#"{"name": "Milk"}"#);
    shop.send(both).await.refused(412);
    shop.get(absent).await.refused(404);
}

#[tokio::test]
async fn strict_server_requires_versions_in_bulk_calls() {
    let options = Options {
        require_if_match: true,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let category = shop.category("Tea").await;
    let id = &category["id"];
    let required = |answer: Answer| answer.refused_at(428, "/0/version", "required");
    let row = json!([{"id": id, "description": "x"}]);
    required(shop.post("/v1/categories/bulk", &row).await);
    required(
        shop.post("/v1/categories/bulk-delete", &json!([{"id": id}]))
            .await,
    );
    let named = json!([{"id": id, "version": 1, "description": "x"}]);
    assert_eq!(
        shop.post("/v1/categories/bulk", &named).await.ok(200)["updated"],
        1
    );
    let deleted = json!([{"id": id, "version": 2}]);
    assert_eq!(
        shop.post("/v1/categories/bulk-delete", &deleted)
            .await
            .ok(200)["deleted"],
        1
    );
}

#[tokio::test]
async fn outdated_bulk_row_does_not_recreate_a_deleted_row() {
    let shop = Shop::open().await;
    let category = shop.category("Tea").await;
    shop.delete(&path("categories", &category)).await.ok(204);
    let old = json!([{"id": category["id"], "version": 1, "name": "Tea"}]);
    shop.post("/v1/categories/bulk", &old)
        .await
        .refused_at(412, "/0/version", "gone");
    let meant = json!([{"id": category["id"], "name": "Tea"}]);
    assert_eq!(
        shop.post("/v1/categories/bulk", &meant).await.ok(200)["created"],
        1
    );
}
