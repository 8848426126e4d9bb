//! Input that does not mean what it seems to: null, objects in place of words, invisible characters, versions for
//! rows that are named by key, and refusals that must leave nothing behind.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{Answer, SharedShop, Shop, path};
use uuid::Uuid;

async fn import(shop: &Shop, path: &str, file: String) -> Answer {
    let request = shop.request(Method::POST, &format!("/v1/{path}"));
    shop.send(request.body(file)).await
}

#[tokio::test]
async fn null_and_objects_are_refused_for_words_and_numbers() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 10).await;
    let order = shop.order(&customer, &product, 1).await;
    let row = path("orders", &order);
    let document = |field: &str, value: Value| {
        let mut order = json!({
            "customer_id": customer["id"],
            "items": [{"product_id": product["id"], "quantity": 1}],
        });
        *order.pointer_mut(field).unwrap_or(&mut Value::Null) = value.clone();
        if order.pointer(field).is_none() {
            let (parent, name) = field.rsplit_once('/').unwrap();
            order.pointer_mut(parent).unwrap()[name] = value;
        }
        order
    };
    for (field, value) in [
        ("/status", json!({"pending": null})),
        ("/placed_at", Value::Null),
        ("/items/0/unit_price_minor", Value::Null),
    ] {
        let sent = document(field, value);
        shop.post("/v1/orders", &sent)
            .await
            .refused_at(400, field, "wrong_type");
        shop.put(&row, &sent)
            .await
            .refused_at(400, field, "wrong_type");
        let in_bulk = format!("/0{field}");
        shop.post("/v1/orders/bulk", &json!([sent]))
            .await
            .refused_at(400, &in_bulk, "wrong_type");
    }
    for (pointer, patch) in [
        ("/placed_at", json!({"placed_at": null})),
        (
            "/items/0/unit_price_minor",
            json!({"items": [{"product_id": product["id"], "quantity": 1, "unit_price_minor": null}]}),
        ),
    ] {
        shop.patch(&row, &patch)
            .await
            .refused_at(400, pointer, "wrong_type");
    }
    let category = shop.category("Tea").await;
    for member in ["id", "version"] {
        let mut sent = json!({"id": category["id"], "version": 1, "name": "Tea"});
        sent[member] = Value::Null;
        let pointer = format!("/0/{member}");
        shop.post("/v1/categories/bulk", &json!([sent]))
            .await
            .refused_at(400, &pointer, "wrong_type");
        sent.as_object_mut().unwrap().remove("name");
        shop.post("/v1/categories/bulk-delete", &json!([sent]))
            .await
            .refused_at(400, &pointer, "wrong_type");
    }
    assert_eq!(shop.get(&row).await.ok(200)["status"], "pending");
}

#[tokio::test]
async fn version_is_checked_however_the_row_is_named() {
    let shop = Shop::open().await;
    let category = shop.category("Tea").await;
    shop.patch(
        &path("categories", &category),
        &json!({"description": "green"}),
    )
    .await
    .ok(200);
    let row = json!([{"name": "Tea", "version": 1, "description": "mine"}]);
    shop.post("/v1/categories/bulk", &row)
        .await
        .refused_at(412, "/0/version", "changed");
    let file = "name,version,description\nTea,1,mine\n".to_owned();
    import(&shop, "categories/import?format=csv", file)
        .await
        .refused_at(412, "/version", "changed");
    let row = json!([{"name": "Tea", "version": 2, "description": "mine"}]);
    shop.post("/v1/categories/bulk", &row).await.ok(200);
}

#[tokio::test]
async fn refused_rows_create_no_partition() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 10).await;
    let order = |year: u32| {
        json!({
            "customer_id": customer["id"], "placed_at": format!("{year}-05-05T10:00:00Z"),
            "items": [{"product_id": product["id"], "quantity": 1}],
        })
    };
    let names = async || {
        let page = shop.get("/v1/partitions").await.ok(200);
        let names = page["items"].as_array().unwrap().iter();
        names
            .map(|partition| partition["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = names().await;
    let mut paid = order(2007);
    paid["status"] = json!("paid");
    shop.post("/v1/orders", &paid)
        .await
        .refused_at(422, "/status", "illegal_transition");
    let mut dear = order(2008);
    dear["items"][0] = json!({
        "product_id": product["id"], "quantity": 1_000_000, "unit_price_minor": 100_000_000_000_i64,
    });
    let stocked = json!({"stock": 1_000_000});
    shop.patch(&path("products", &product), &stocked)
        .await
        .ok(200);
    shop.post("/v1/orders", &dear).await.refused(422);
    let mut nobodys = order(2014);
    nobodys["customer_id"] = product["id"].clone();
    for on_error in ["bulk", "import?format=ndjson"] {
        let rows = [order(2015), nobodys.clone()];
        let call = format!("/v1/orders/{on_error}");
        let answer = match on_error {
            "bulk" => shop.post(&call, &json!(rows)).await,
            _ => {
                let lines = rows.iter().map(|row| format!("{row}\n"));
                import(&shop, call.trim_start_matches("/v1/"), lines.collect()).await
            }
        };
        assert_eq!(answer.status, 422, "{on_error}: {}", answer.body);
    }
    let mut gone = order(2022);
    gone["id"] = json!("01808f6f-8f80-7000-8000-000000000001");
    gone["version"] = json!(1);
    gone.as_object_mut().unwrap().remove("placed_at");
    let answer = import(&shop, "orders/import?format=ndjson", format!("{gone}\n")).await;
    answer.refused_at(412, "/version", "gone");
    let mut unfit = order(2023);
    unfit["id"] = json!("9f3c2a34-7d4e-4a52-9a43-5c1c5f1f0e11");
    let answer = shop.post("/v1/orders/bulk", &json!([unfit])).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(names().await, before);
    shop.post("/v1/orders/bulk", &json!([order(2015)]))
        .await
        .ok(200);
    assert_eq!(names().await.len(), before.len() + 1);
}

#[tokio::test]
async fn restored_values_are_within_limits_and_normalised() {
    let shop = Shop::open().await;
    let row = |at: &str| {
        json!({
            "id": "01a1ab74-dd5b-4020-b18d-e4369aca444e", "version": 1, "created_at": at,
            "updated_at": "2026-11-01T10:00:00Z", "name": "a", "description": "",
        })
    };
    let path = "categories/import?format=ndjson&mode=restore";
    for at in ["9999-12-31T23:59:60Z", "2016-12-31T23:59:60Z"] {
        import(&shop, path, row(at).to_string()).await.refused_at(
            422,
            "/created_at",
            "out_of_range",
        );
    }
    for (field, value) in [
        ("version", json!(i64::MAX)),
        ("version", json!(0)),
        ("updated_at", json!("+262142-01-01T00:00:00Z")),
    ] {
        let mut row = row("2026-11-01T10:00:00Z");
        row[field] = value;
        let answer = import(&shop, path, row.to_string()).await;
        answer.refused_at(422, &format!("/{field}"), "out_of_range");
    }
    let mut decomposed = row("9999-12-31T23:59:59Z");
    decomposed["name"] = json!("Cafe\u{301}");
    import(&shop, path, decomposed.to_string()).await.ok(200);
    let found = shop.get("/v1/categories?q=Caf\u{e9}").await.ok(200);
    assert_eq!(found["items"][0]["name"], "Caf\u{e9}");
    let total = 9_000_000_000_000_000_000_i64;
    let items: Vec<Value> = (1..=90)
        .map(|line_no| {
            json!({
                "line_no": line_no, "product_id": "01808f6f-8f80-7000-8000-000000000003",
                "quantity": 1_000_000, "unit_price_minor": 100_000_000_000_i64,
            })
        })
        .collect();
    let order = json!({
        "id": "01808f6f-8f80-7000-8000-000000000001", "version": 1, "number": "220504-0000-0001",
        "created_at": "2022-05-04T10:00:00Z", "updated_at": "2022-05-04T10:00:00Z",
        "placed_at": "2022-05-04T10:00:00Z", "customer_id": "01808f6f-8f80-7000-8000-000000000002",
        "status": "pending", "items": items, "total_minor": total, "note": "",
    });
    let path = "orders/import?format=ndjson&mode=restore";
    let answer = import(&shop, path, order.to_string()).await;
    let errors = answer.body["errors"].to_string();
    assert_eq!(answer.status, 422);
    assert!(
        errors.contains("the total of an order is at most"),
        "{errors}"
    );
}

#[tokio::test]
async fn invisible_characters_do_not_make_keys_distinct() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 1).await;
    let sku = |sku: &str| json!({"category_id": product["category_id"], "sku": sku, "name": "x", "price_minor": 1});
    for same in ["A-1\u{200b}", "\u{feff}A-1", "A-1\u{ad}"] {
        shop.post("/v1/products", &sku(same))
            .await
            .refused_at(409, "/sku", "duplicate");
    }
    shop.post("/v1/products", &sku("A\u{ad}-1"))
        .await
        .refused_at(422, "/sku", "unprintable");
    let customer = json!({"name": "Ada", "email": "a\u{200d}@b.c"});
    shop.post("/v1/customers", &customer)
        .await
        .refused_at(422, "/email", "unprintable");
    let customer = path("customers", &shop.customer("a@b.c").await);
    for (field, patch) in [
        ("/phone", json!({"phone": "\u{200b}"})),
        ("/address/city", json!({"address": {"city": "\u{200b}"}})),
    ] {
        shop.patch(&customer, &patch)
            .await
            .refused_at(422, field, "unprintable");
    }
    for name in ["\u{1d173}", "\u{fffe}", "\u{fdd0}"] {
        shop.post("/v1/categories", &json!({"name": name}))
            .await
            .refused_at(422, "/name", "unprintable");
    }
    shop.post(
        "/v1/categories/export?format=csv&name=a%E2%80%AEb.csv",
        &Value::Null,
    )
    .await
    .refused_at(400, "?name", "invalid_text");
    for actor in ["a\u{202e}b", "a\tb", "\u{200b}"] {
        let request = shop
            .request(Method::POST, "/v1/categories")
            .header("stockroom-actor", actor)
            .header("content-type", "application/json")
            .body(r#"{"name": "Tea"}"#);
        shop.send(request).await.refused(400);
    }
}

#[tokio::test]
async fn csv_rows_of_separators_before_the_header_are_skipped() {
    let shop = Shop::open().await;
    let file = ",,\r\n\n , \nname,description\nTea,green\n,\nTea,twice,more\n".to_owned();
    let answer = import(&shop, "categories/import?format=csv", file).await;
    assert_eq!(answer.body["errors"][0]["line"], 7, "{}", answer.body);
    let file = ";;\nname;description\nTea;green\n".to_owned();
    let report = import(&shop, "categories/import?format=csv", file)
        .await
        .ok(200);
    assert_eq!(report["created"], 1);
}

#[tokio::test]
async fn concurrent_imports_of_the_same_new_rows_all_succeed() {
    let shop: SharedShop = Arc::new(Shop::open().await);
    let rows = |round: u32| (0..2_000).map(move |n| format!("{round} {n}\n"));
    for round in 0..3 {
        let forth: String = rows(round).collect();
        let back: String = rows(round).rev().collect();
        let calls = [
            (&forth, "reject_all"),
            (&back, "reject_all"),
            (&back, "reject_failed"),
        ];
        let calls = calls.map(|(rows, on_error)| {
            let (shop, file) = (shop.clone(), format!("name\n{rows}"));
            tokio::spawn(async move {
                let path = format!("categories/import?format=csv&on_error={on_error}");
                import(&shop, &path, file).await.ok(200)
            })
        });
        let mut created = 0;
        for call in calls {
            let report = call.await.unwrap();
            assert_eq!(report["failed"], 0, "{report}");
            created += report["created"].as_i64().unwrap();
        }
        assert_eq!(created, 2_000);
    }
}

#[tokio::test]
async fn concurrent_imports_of_the_same_new_rows_with_ids_all_succeed() {
    let shop: SharedShop = Arc::new(Shop::open().await);
    // Rows as another shop exports them.
    let rows: Vec<String> = (0..1_500)
        .map(|n| {
            json!({"id": Uuid::from_u128(0x0190 << 112 | n), "name": format!("C{n}")}).to_string()
        })
        .collect();
    let mut shuffled = rows.clone();
    shuffled.sort_by_key(|row| row.bytes().rev().collect::<Vec<u8>>());
    let calls = [rows, shuffled].map(|rows| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let path = "categories/import?format=ndjson&on_error=reject_failed";
            import(&shop, path, rows.join("\n")).await.ok(200)
        })
    });
    let mut created = 0;
    for call in calls {
        let report = call.await.unwrap();
        assert_eq!(report["failed"], 0, "{report}");
        created += report["created"].as_i64().unwrap();
    }
    assert_eq!(created, 1_500);
}

#[tokio::test]
async fn body_that_never_arrives_times_out() {
    let options = Options {
        request_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let never = futures_util::stream::pending::<std::io::Result<Vec<u8>>>();
    let request = shop
        .request(Method::POST, "/v1/categories")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(never));
    shop.send(request).await.refused(408);
}
