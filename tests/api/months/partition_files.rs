//! Partitions of orders as files: exported, deleted and imported again.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::{Clock, Options};
use stockroom_tests::{Answer, Shop, path};

const MAY: &str = "/v1/partitions/orders_2026_05";

/// A shop with orders in several months, with May archived, and one order of May.
async fn archived() -> (Shop, Value) {
    let now: DateTime<Utc> = "2026-11-24T09:30:00Z".parse().unwrap();
    let options = Options {
        clock: Clock::new(move || now),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let job = json!({
        "seed": 3, "categories": 2, "products": 20, "customers": 300, "orders": 9_000,
        "months": 7, "until": "2026-11-01T00:00:00Z",
    });
    assert_eq!(shop.seed(&job).await["state"], "done");
    let may = "/v1/orders?placed_from=2026-05-01&placed_before=2026-06-01&limit=1";
    let order = shop.get(may).await.ok(200)["items"][0].clone();
    shop.post(&format!("{MAY}/archive"), &Value::Null)
        .await
        .ok(200);
    (shop, order)
}

async fn exported(shop: &Shop, format: &str) -> String {
    let path = format!("{MAY}/export?format={format}");
    let response = shop.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn import(shop: &Shop, query: &str, file: &str) -> Answer {
    let request = shop.request(Method::POST, &format!("{MAY}/import?{query}"));
    shop.send(request.body(file.to_owned())).await
}

async fn state(shop: &Shop) -> String {
    let partition = shop.get(MAY).await.ok(200);
    partition["state"].as_str().unwrap().into()
}

#[tokio::test]
async fn exported_month_is_imported_again_unchanged() {
    let (shop, mut order) = archived().await;
    let count = "/v1/orders?count=exact&limit=1";
    for format in ["ndjson", "csv"] {
        let file = exported(&shop, format).await;
        assert!(file.lines().count() > 1_000, "more than one batch");
        let rest = shop.get(count).await.ok(200)["total"].clone();
        shop.delete(MAY).await.ok(204);
        let gone = shop.get(&path("orders", &order)).await.refused(410);
        assert!(gone.contains("orders_2026_05/import"), "{gone}");
        let query = format!("format={format}");
        let dry = import(&shop, &format!("{query}&dry_run=true"), &file).await;
        assert_eq!(state(&shop).await, "dropped");
        let report = import(&shop, &query, &file).await.ok(200);
        assert_eq!(dry.ok(200), report);
        assert_eq!(state(&shop).await, "archived");
        assert_eq!(exported(&shop, format).await, file);
        let partition = shop.get(MAY).await.ok(200);
        assert_eq!(partition["rows"], report["created"]);
        // The customer is referred to again, so it cannot be deleted.
        let customer = json!({"id": order["customer_id"]});
        shop.delete(&path("customers", &customer))
            .await
            .refused(409);
        shop.post(&format!("{MAY}/restore"), &Value::Null)
            .await
            .ok(200);
        assert_eq!(shop.get(&path("orders", &order)).await.ok(200), order);
        assert_eq!(
            exported(&shop, format).await,
            file,
            "attached it is the same"
        );
        let whole = shop.get(count).await.ok(200)["total"]["value"].clone();
        let added = report["created"].as_i64().unwrap();
        assert_eq!(
            whole.as_i64().unwrap(),
            rest["value"].as_i64().unwrap() + added
        );
        // The order continues with its next version.
        let noted = json!({"note": format!("back from {format}")});
        let version = order["version"].as_i64().unwrap();
        order = shop.patch(&path("orders", &order), &noted).await.ok(200);
        assert_eq!(order["version"], version + 1);
        shop.post(&format!("{MAY}/archive"), &Value::Null)
            .await
            .ok(200);
    }
}

#[tokio::test]
async fn month_import_refuses_foreign_rows_and_writes_nothing() {
    let (shop, order) = archived().await;
    let file = exported(&shop, "ndjson").await;
    let format = "format=ndjson";
    import(&shop, format, &file).await.refused(409);
    shop.delete(MAY).await.ok(204);
    let response = shop.get(&format!("{MAY}/export")).await;
    response.refused(410);
    let june = "/v1/orders?placed_from=2026-06-01&placed_before=2026-07-01&limit=1";
    let june = shop.get(june).await.ok(200)["items"][0].to_string();
    let answer = import(&shop, format, &format!("{file}{june}\n")).await;
    let last = file.lines().count() as u64 + 1;
    assert_eq!(answer.body["errors"][0]["line"], last);
    answer.refused_at(422, "/placed_at", "out_of_range");
    let customer = order["customer_id"].as_str().unwrap();
    let nobody = "01890000-0000-7000-8000-000000000000";
    let answer = import(&shop, format, &file.replace(customer, nobody)).await;
    answer.refused_at(422, "/customer_id", "not_found");
    import(&shop, "format=ndjson&mode=restore", &file)
        .await
        .refused_at(400, "?mode", "unknown_parameter");
    assert_eq!(state(&shop).await, "dropped");
    let left: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'archive'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
    shop.get("/v1/partitions/changes_2026_11/export")
        .await
        .refused(409);
    shop.get("/v1/partitions/orders_1999_01/export")
        .await
        .refused(404);
    import(&shop, format, &file).await.ok(200);
    assert_eq!(exported(&shop, "ndjson").await, file);
}
