//! Many rows in one call.

use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

async fn bulk(shop: &Shop, path: &str, rows: &[Value]) -> Value {
    shop.post(&format!("/v1/{path}"), &json!(rows))
        .await
        .ok(200)
}

fn outcomes(report: &Value) -> Vec<&str> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["outcome"].as_str().unwrap())
        .collect()
}

/// Number of entries in the change log, by entity and operation.
async fn logged(shop: &Shop, entity: &str, op: &str) -> i64 {
    sqlx::query_scalar("select count(*) from changes where entity = $1 and op = $2")
        .bind(entity)
        .bind(op)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn bulk_creates_or_updates_rows_by_natural_key() {
    let shop = Shop::open().await;
    let tea = shop.category("Tea").await;
    shop.get("/v1/categories").await.ok(200);
    let rows = [
        json!({"name": "TEA", "description": "Green and black"}),
        json!({"name": "Coffee"}),
        json!({"name": "Coffee", "description": "Beans"}),
        json!({"name": "coffee", "description": "Beans"}),
        json!({"name": "coffee", "description": "Beans"}),
    ];
    let report = bulk(&shop, "categories/bulk", &rows).await;
    assert_eq!(
        outcomes(&report),
        ["updated", "created", "updated", "updated", "unchanged"]
    );
    let counts = ["created", "updated", "unchanged", "failed"].map(|name| report[name].clone());
    assert_eq!(counts, [1, 3, 1, 0]);
    let updated = shop.get(&path("categories", &tea)).await.ok(200);
    assert_eq!(
        (&updated["name"], &updated["version"]),
        (&json!("TEA"), &json!(2))
    );
    assert_eq!(
        (&report["rows"][0]["id"], &report["rows"][0]["version"]),
        (&tea["id"], &json!(2))
    );
    // The list had been cached.
    assert_eq!(
        shop.get("/v1/categories").await.ok(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(logged(&shop, "category", "update").await, 3);
    assert_eq!(logged(&shop, "category", "create").await, 2);

    let product = |sku: &str, stock: i64| json!({"category_id": tea["id"], "sku": sku, "name": sku, "price_minor": 100, "stock": stock});
    let report = bulk(
        &shop,
        "products/bulk",
        &[product("A", 1), product("B", 2), product("A", 3)],
    )
    .await;
    assert_eq!(outcomes(&report), ["created", "created", "updated"]);
    let customer = |email: &str, name: &str| json!({"name": name, "email": email});
    let customers = [
        customer("ada@example.org", "Ada"),
        customer("ADA@example.org", "Ada L."),
    ];
    let report = bulk(&shop, "customers/bulk", &customers).await;
    assert_eq!(outcomes(&report), ["created", "updated"]);
}

#[tokio::test]
async fn bulk_with_one_invalid_row_writes_nothing() {
    let shop = Shop::open().await;
    let tea = shop.category("Tea").await;
    let before = shop.fingerprint().await;
    let answer = shop
        .post(
            "/v1/categories/bulk",
            &json!([{"name": "Coffee"}, {"name": ""}, {"name": "x".repeat(1_000)}]),
        )
        .await;
    let faults = answer.body["errors"].clone();
    answer.refused(422);
    let pointers: Vec<&str> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/1/name", "/2/name"], "all of them are reported");
    shop.post(
        "/v1/categories/bulk",
        &json!([{"name": "Coffee"}, {"colour": 1}]),
    )
    .await
    .refused_at(400, "/1/colour", "unknown_field");
    // A fault that only the database can detect.
    let product = |sku: &str, category: &Value| json!({"category_id": category, "sku": sku, "name": sku, "price_minor": 100});
    let rows = json!([
        product("A", &tea["id"]),
        product("B", &json!("01890000-0000-7000-8000-000000000000"))
    ]);
    shop.post("/v1/products/bulk", &rows)
        .await
        .refused_at(422, "/1/category_id", "not_found");
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn bulk_with_reject_failed_writes_the_valid_rows() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 5).await,
    );
    let order = |quantity: i64| json!({"customer_id": customer["id"], "items": [{"product_id": product["id"], "quantity": quantity}]});
    let mut old = order(1);
    old["placed_at"] = json!("2021-05-05T05:05:05Z");
    let mut unknown = order(1);
    unknown["customer_id"] = json!("01890000-0000-7000-8000-000000000000");
    let rows = [
        order(2),
        order(9),
        old,
        unknown,
        order(0),
        json!({"note": 1}),
        json!(7),
    ];
    let report = bulk(&shop, "orders/bulk?on_error=reject_failed", &rows).await;
    assert_eq!(
        outcomes(&report),
        [
            "created", "failed", "created", "failed", "failed", "failed", "failed"
        ]
    );
    let problem = |index: usize| report["rows"][index]["problem"]["errors"][0]["pointer"].clone();
    let pointers = ["/items/0/quantity", "/customer_id", "/items/0/quantity"];
    assert_eq!([problem(1), problem(3), problem(4)], pointers);
    assert_eq!(shop.stock(&product).await, 2, "what failed took nothing");
    let orders = shop.get("/v1/orders").await.ok(200);
    assert_eq!(orders["items"].as_array().unwrap().len(), 2);
    assert_eq!(logged(&shop, "order", "create").await, 2);

    // Orders have no natural key, so they are matched by id only.
    let id = &report["rows"][0]["id"];
    let mut again = order(1);
    again["id"] = id.clone();
    let report = bulk(&shop, "orders/bulk", &[again.clone(), again]).await;
    assert_eq!(outcomes(&report), ["updated", "unchanged"]);
    assert_eq!(shop.stock(&product).await, 3);
}

#[tokio::test]
async fn bulk_refuses_malformed_calls_and_accepts_ten_thousand_rows() {
    let shop = Shop::open().await;
    let rows: Vec<Value> = (0..10_001)
        .map(|i| json!({"name": i.to_string()}))
        .collect();
    let post = async |query: &str, body: Value| {
        shop.post(&format!("/v1/categories/bulk{query}"), &body)
            .await
    };
    post("", json!(rows)).await.refused(413);
    post("", json!({"name": "Tea"})).await.refused(400);
    post("?on_error=ignore", json!([]))
        .await
        .refused_at(400, "?on_error", "unknown_value");
    post("?colour=1", json!([]))
        .await
        .refused_at(400, "?colour", "unknown_parameter");
    assert_eq!(outcomes(&post("", json!([])).await.ok(200)), [""; 0]);
    // Ten thousand rows are allowed in one call; they touch more tags than a write deletes by name.
    let report = post("", json!(rows[1..])).await.ok(200);
    assert_eq!(report["created"], 10_000);
    let total = shop.get("/v1/categories?limit=1&count=exact").await.ok(200);
    assert_eq!(total["total"]["value"], 10_000);
}

#[tokio::test]
async fn bulk_row_in_an_archived_month_fails_alone() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 5).await,
    );
    let now = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    let mut then = now.clone();
    then["placed_at"] = json!("2021-05-05T05:05:05Z");
    let rows = [then, now];
    bulk(&shop, "orders/bulk", &rows[..1]).await;
    let archive = "/v1/partitions/orders_2021_05/archive";
    shop.post(archive, &Value::Null).await.ok(200);
    shop.post("/v1/orders/bulk", &json!(rows))
        .await
        .refused_at(409, "/0/placed_at", "archived");
    assert_eq!(shop.stock(&product).await, 4);
    let report = bulk(&shop, "orders/bulk?on_error=reject_failed", &rows).await;
    assert_eq!(outcomes(&report), ["failed", "created"]);
    assert_eq!(shop.stock(&product).await, 3);
}

#[tokio::test]
async fn bulk_delete_reports_each_row() {
    let shop = Shop::open().await;
    let (kept, product) = (shop.category("Tea").await, shop.product("A-1", 9).await);
    let (customer, gone) = (
        shop.customer("ada@example.org").await,
        shop.category("Coffee").await,
    );
    let order = shop.order(&customer, &product, 2).await;
    shop.get("/v1/categories").await.ok(200);
    let nobody = "0192d3f0-0000-7000-8000-000000000000";
    let rows = [
        json!({"id": gone["id"], "version": 1}),
        json!({"id": kept["id"], "version": 7}),
        json!({"id": product["category_id"]}),
        json!({"id": nobody}),
        json!({"id": gone["id"]}),
    ];
    let before = shop.fingerprint().await;
    let refused = shop
        .post("/v1/categories/bulk-delete", &json!(rows))
        .await
        .refused(412);
    assert!(refused.starts_with("Row 1: "), "{refused}");
    assert_eq!(shop.fingerprint().await, before);
    let path = "categories/bulk-delete?on_error=reject_failed";
    let report = bulk(&shop, path, &rows).await;
    assert_eq!(
        outcomes(&report),
        ["deleted", "failed", "failed", "failed", "failed"]
    );
    assert_eq!(
        (&report["deleted"], &report["failed"]),
        (&json!(1), &json!(4))
    );
    let statuses = [1, 2, 3, 4].map(|index| report["rows"][index]["problem"]["status"].clone());
    assert_eq!(statuses, [412, 409, 404, 422]);
    assert!(
        report["rows"][2]["problem"]["detail"]
            .as_str()
            .unwrap()
            .contains("products in it: 1")
    );
    // The list had been cached.
    let left = shop.get("/v1/categories").await.ok(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 2);
    assert_eq!(logged(&shop, "category", "delete").await, 1);
    // Deleting orders returns their pieces to stock.
    let report = bulk(&shop, "orders/bulk-delete", &[json!({"id": order["id"]})]).await;
    assert_eq!(outcomes(&report), ["deleted"]);
    assert_eq!(shop.stock(&product).await, 9);
    shop.post("/v1/orders/bulk-delete", &json!([{"name": "x"}]))
        .await
        .refused_at(400, "/0/name", "unknown_field");
}

#[tokio::test]
async fn bulk_sets_the_status_of_many_orders() {
    let shop = Shop::open().await;
    let (product, customer) = (
        shop.product("A-1", 9).await,
        shop.customer("ada@example.org").await,
    );
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(shop.order(&customer, &product, 1).await);
    }
    shop.patch(&path("orders", &orders[2]), &json!({"status": "cancelled"}))
        .await
        .ok(200);
    let rows: Vec<Value> = orders
        .iter()
        .map(|order| json!({"id": order["id"], "status": "paid"}))
        .collect();
    let report = bulk(&shop, "orders/bulk?on_error=reject_failed", &rows).await;
    assert_eq!(outcomes(&report), ["updated", "updated", "failed"]);
    let paid = shop.get("/v1/orders?status=paid").await.ok(200);
    assert_eq!(paid["items"].as_array().unwrap().len(), 2);
}
