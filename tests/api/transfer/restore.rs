//! An export restored into an empty shop.

use super::import::{RESOURCES, counts, exported, gzip, import, lived_in, logged, ndjson};
use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

#[tokio::test]
async fn restored_export_is_identical_byte_by_byte() {
    let shop = lived_in().await;
    for (format, media_type) in [
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
    ] {
        let twin = Shop::open().await;
        // The empty list is cached and must be invalidated by the import.
        twin.get("/v1/orders").await.ok(200);
        for resource in RESOURCES {
            let file = exported(&shop, resource, format).await;
            let body = if format == "csv" {
                file.clone().into_bytes()
            } else {
                gzip(&file)
            };
            let path = format!("{resource}/import?mode=restore");
            let dry = import(
                &twin,
                &format!("{path}&dry_run=true"),
                media_type,
                body.clone(),
            )
            .await;
            let report = import(&twin, &path, media_type, body).await.ok(200);
            assert_eq!(dry.ok(200), report);
            assert_eq!(counts(&report)[1..], [0, 0, 0]);
            assert_eq!(exported(&twin, resource, format).await, file);
        }
        assert_eq!(
            twin.get("/v1/orders").await.ok(200)["items"]
                .as_array()
                .unwrap()
                .len(),
            50
        );
        let (whole, restored) = (shop.fingerprint().await, twin.fingerprint().await);
        for table in ["categories", "products", "customers", "orders", "items"] {
            assert!(whole[table] == restored[table], "{table}");
        }
        assert_eq!(
            logged(&twin, "import").await,
            4,
            "a file is reported in one entry"
        );
        // The restored shop continues to work: each row keeps its version.
        let product = &twin.get("/v1/products?limit=1").await.ok(200)["items"][0];
        let next = product["version"].as_i64().unwrap() + 1;
        let patched = twin
            .patch(&path("products", product), &json!({"name": "New"}))
            .await;
        assert_eq!(patched.ok(200)["version"], next);
    }
}

#[tokio::test]
async fn restore_requires_consistent_rows_and_an_empty_shop() {
    let shop = lived_in().await;
    let twin = Shop::open().await;
    let restore = async |resource: &str, rows: &[Value]| {
        ndjson(&twin, &format!("{resource}/import?mode=restore"), rows).await
    };
    let rows = async |resource: &str| -> Vec<Value> {
        let text = exported(&shop, resource, "ndjson").await;
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let (categories, products, customers, orders) = (
        rows("categories").await,
        rows("products").await,
        rows("customers").await,
        rows("orders").await,
    );
    let before = twin.fingerprint().await;
    let mut wrong = orders[..4].to_vec();
    wrong[0]["total_minor"] = json!(1);
    wrong[1]["number"] = wrong[0]["number"].clone();
    wrong[2]["items"][0]["line_no"] = json!(7);
    wrong[3]["placed_at"] = json!("2026-01-01T00:00:00Z");
    let answer = restore("orders", &wrong).await;
    let faults: Vec<(u64, &str)> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (
                fault["line"].as_u64().unwrap(),
                fault["pointer"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "/total_minor"),
        (2, "/number"),
        (3, "/items"),
        (4, "/placed_at"),
    ];
    assert_eq!(faults, expected);
    answer.refused(422);
    let mut unknown = categories.clone();
    unknown[1]["colour"] = json!(1);
    let answer = restore("categories", &unknown).await;
    assert_eq!(answer.body["errors"][0]["line"], 2);
    answer.refused_at(400, "/colour", "unknown_field");
    // A fault that only the database can detect is still reported with its line.
    restore("categories", &categories).await.ok(200);
    let mut orphan = products.clone();
    orphan[3]["category_id"] = json!("01890000-0000-7000-8000-000000000000");
    let answer = restore("products", &orphan).await;
    assert_eq!(answer.body["errors"][0]["line"], 4, "{}", answer.body);
    answer.refused_at(422, "/category_id", "not_found");
    let mut twice = customers.clone();
    twice.push(customers[5].clone());
    let answer = restore("customers", &twice).await;
    assert_eq!(answer.body["errors"][0]["line"], customers.len() as u64 + 1);
    answer.refused_at(409, "/id", "duplicate");
    assert_eq!(twin.fingerprint().await["products"], before["products"]);
    restore("categories", &categories).await.refused(409);
    let path = "categories/import?mode=restore&on_error=reject_failed";
    ndjson(&twin, path, &[])
        .await
        .refused_at(400, "?on_error", "unknown_value");
}

#[tokio::test]
async fn restore_refuses_an_order_of_the_future() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let mut order = shop.order(&customer, &product, 1).await;
    shop.delete(&path("orders", &order)).await.ok(204);
    // The order's time is in the first 48 bits of its id, and in its number.
    let at = chrono::DateTime::parse_from_rfc3339("2099-01-01T00:00:00Z").unwrap();
    let id = format!("{:012x}", at.timestamp_millis());
    let tail = order["id"].as_str().unwrap()[14..].to_owned();
    order["id"] = json!(format!("{}-{}-{tail}", &id[..8], &id[8..]));
    order["placed_at"] = json!("2099-01-01T00:00:00Z");
    let number = order["number"].as_str().unwrap();
    order["number"] = json!(format!("990101-0000-{}", &number[number.len() - 4..]));
    let answer = ndjson(&shop, "orders/import?mode=restore", &[order]).await;
    answer.refused_at(422, "/placed_at", "out_of_range");
}
