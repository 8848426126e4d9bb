//! Bulk calls side by side, and what a refused one leaves behind: nothing.

use crate::input::bad_input::UNKNOWN_ID;
use serde_json::{Value, json};
use std::sync::Arc;
use stockroom_tests::{Shop, path};

#[tokio::test]
async fn refused_order_creates_no_partition() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 5).await;
    let partitions = async || -> i64 {
        sqlx::query_scalar(
            "select count(*) from pg_class where relname like 'orders_%' and relkind = 'r'",
        )
        .fetch_one(&shop.pool)
        .await
        .unwrap()
    };
    let before = partitions().await;
    let order = |customer: &Value, product: &Value, quantity: i32| {
        json!({"customer_id": customer, "placed_at": "2004-05-06T07:08:09Z",
            "items": [{"product_id": product, "quantity": quantity}]})
    };
    let nobody = json!(UNKNOWN_ID);
    for (order, status, pointer) in [
        (order(&nobody, &product["id"], 1), 422, "/customer_id"),
        (
            order(&customer["id"], &nobody, 1),
            422,
            "/items/0/product_id",
        ),
        (
            order(&customer["id"], &product["id"], 6),
            409,
            "/items/0/quantity",
        ),
    ] {
        let answer = shop.post("/v1/orders", &order).await;
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
        answer.refused(status);
        shop.post("/v1/orders/bulk", &json!([order]))
            .await
            .refused(status);
    }
    assert_eq!(partitions().await, before);
    shop.post("/v1/orders", &order(&customer["id"], &product["id"], 5))
        .await
        .ok(201);
    assert_eq!(partitions().await, before + 1);
}

#[tokio::test]
async fn concurrent_bulk_calls_for_the_same_new_rows_all_succeed() {
    let shop = Arc::new(Shop::open().await);
    let category = shop.category("Tea").await;
    for round in 0..3 {
        let rows = |is_reversed: bool| {
            let mut rows: Vec<Value> = (0..100)
                .map(|n| json!({"category_id": category["id"], "sku": format!("{round}-{n}"), "name": "x", "price_minor": 1}))
                .collect();
            if is_reversed {
                rows.reverse();
            }
            Value::Array(rows)
        };
        let calls = [
            (false, "reject_failed"),
            (true, "reject_failed"),
            (false, "reject_all"),
            (true, "reject_all"),
        ];
        let calls = calls.map(|(is_reversed, on_error)| {
            let (shop, rows) = (shop.clone(), rows(is_reversed));
            tokio::spawn(async move {
                let path = format!("/v1/products/bulk?on_error={on_error}");
                shop.post(&path, &rows).await.ok(200)
            })
        });
        let mut created = 0;
        for call in calls {
            let report = call.await.unwrap();
            assert_eq!(report["failed"], 0, "{report}");
            created += report["created"].as_i64().unwrap();
        }
        assert_eq!(created, 100);
    }
}

#[tokio::test]
async fn bulk_orders_move_the_stock_of_each_product_once() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 10).await;
    let order = |quantity: i32| json!({"customer_id": customer["id"], "items": [{"product_id": product["id"], "quantity": quantity}]});
    let row = path("products", &product);
    // One order wants more than the others leave, and one names an unknown customer.
    let stranger = json!({"customer_id": UNKNOWN_ID, "items": order(5)["items"]});
    let orders = json!([order(4), order(7), stranger, order(6), order(1)]);
    let report = shop
        .post("/v1/orders/bulk?on_error=reject_failed", &orders)
        .await
        .ok(200);
    let outcomes: Vec<&Value> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        ["created", "failed", "failed", "created", "failed"]
    );
    let now = shop.get(&row).await.ok(200);
    assert_eq!(
        (&now["stock"], &now["version"]),
        (&json!(0), &json!(2)),
        "one version, not one for each"
    );
    let ids: Vec<Value> = [0, 3]
        .map(|index: usize| json!({"id": report["rows"][index]["id"]}))
        .to_vec();
    shop.post("/v1/orders/bulk-delete", &Value::Array(ids))
        .await
        .ok(200);
    let now = shop.get(&row).await.ok(200);
    assert_eq!((&now["stock"], &now["version"]), (&json!(10), &json!(3)));
}
