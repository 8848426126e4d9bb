//! Export jobs: their files, and requests that are refused before a job is created.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

use crate::background::jobs::{job, text};

#[tokio::test]
async fn export_job_writes_the_same_file_as_a_streamed_export() {
    let shop = Shop::open().await;
    let seed = json!({
        "seed": 5, "categories": 4, "products": 30, "customers": 700, "orders": 2_600, "months": 5,
    });
    shop.seed(&seed).await;
    for (query, format) in [
        ("status=paid&sort=placed_at", "csv"),
        ("", "ndjson"),
        ("q=zzzzzz", "csv"),
    ] {
        let path_of = |resource: &str| format!("/v1/{resource}/export?format={format}&{query}");
        let resource = if query.starts_with('q') {
            "customers"
        } else {
            "orders"
        };
        let url = format!("{}&name=x.{format}", path_of(resource));
        let export = shop.send(shop.request(Method::POST, &url)).await.ok(202);
        shop.ended(&export).await;
        let done = job(&shop, &export).await;
        let file = text(&shop, &format!("{}/file", path("jobs", &export))).await;
        assert_eq!(file, text(&shop, &path_of(resource)).await);
        assert_eq!(done["file_bytes"], json!(file.len()));
        let rows = file.lines().count() - usize::from(format == "csv");
        let step = &done["progress"][0];
        assert_eq!(
            (&step["step"], &step["done"], &step["total"]),
            (&json!(resource), &json!(rows), &json!(rows))
        );
    }
    // More ids than fit into a URL.
    let all = text(&shop, "/v1/customers/export?format=ndjson").await;
    let mut customers: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    customers.truncate(650);
    let ids: Vec<&Value> = customers.iter().map(|row| &row["id"]).collect();
    let export = shop
        .post("/v1/customers/export", &json!({"ids": ids}))
        .await
        .ok(202);
    let done = shop.ended(&export).await;
    assert_eq!(done["progress"][0]["done"], 650);
    let listed = shop.get("/v1/jobs").await.ok(200);
    assert_eq!(listed["items"][0]["request"]["ids"], Value::Null);
    let file = text(&shop, &format!("{}/file", path("jobs", &export))).await;
    let named: Vec<Value> = file
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    customers.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    let wanted: Vec<Value> = customers.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(named, wanted);
}

#[tokio::test]
async fn export_job_with_invalid_parameters_is_refused_before_it_is_created() {
    let shop = Shop::open().await;
    let post = async |query: &str| {
        let path = format!("/v1/orders/export?{query}");
        shop.send(shop.request(Method::POST, &path)).await
    };
    post("format=xml")
        .await
        .refused_at(400, "?format", "unknown_value");
    post("status=lost")
        .await
        .refused_at(400, "?status", "wrong_type");
    post("sort=note")
        .await
        .refused_at(400, "?sort", "unknown_value");
    let untyped = shop
        .request(Method::POST, "/v1/orders/export")
        .body("{\"ids\": []}");
    shop.send(untyped).await.refused(415);
    shop.post("/v1/orders/export", &json!([["x"]]))
        .await
        .refused_at(400, "", "wrong_type");
    post("id=1")
        .await
        .refused_at(400, "?id", "unknown_parameter");
    shop.post("/v1/orders/export", &json!({"ids": []}))
        .await
        .refused_at(422, "/ids", "out_of_range");
    shop.post("/v1/orders/export?status=paid", &json!({"ids": []}))
        .await
        .refused_at(400, "?status", "unknown_parameter");
    shop.post("/v1/orders/export", &json!({"rows": []}))
        .await
        .refused(400);
    assert_eq!(shop.get("/v1/jobs").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn export_file_name_must_not_be_a_path() {
    let shop = Shop::open().await;
    for name in ["..%2Fx.csv", "%00", "%1B%5D0;x"] {
        let path = format!("/v1/orders/export?format=csv&name={name}");
        let answer = shop.send(shop.request(Method::POST, &path)).await;
        answer.refused_at(400, "?name", "invalid_text");
    }
    let long = "x".repeat(256);
    let path = format!("/v1/orders/export?format=csv&name={long}");
    let answer = shop.send(shop.request(Method::POST, &path)).await;
    answer.refused_at(400, "?name", "too_long");
}
