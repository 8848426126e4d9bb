//! The stock that orders reserve, and concurrent orders of the same products.

use super::orders::open;
use chrono::{Datelike, Utc};
use serde_json::{Value, json};
use std::sync::Arc;
use stockroom_tests::path;

#[tokio::test]
async fn stock_follows_the_order() {
    let (shop, product, customer) = open().await;
    let other = shop.product("B-1", 3).await;
    let order = shop.order(&customer, &product, 4).await;
    assert_eq!(shop.stock(&product).await, 6);
    let items = json!({"items": [
        {"product_id": product["id"], "quantity": 1},
        {"product_id": other["id"], "quantity": 3},
    ]});
    let changed = shop.patch(&path("orders", &order), &items).await.ok(200);
    assert_eq!(changed["total_minor"], 4 * 1_250);
    assert_eq!(
        (shop.stock(&product).await, shop.stock(&other).await),
        (9, 0)
    );
    shop.patch(&path("orders", &order), &json!({"status": "cancelled"}))
        .await
        .ok(200);
    assert_eq!(
        (shop.stock(&product).await, shop.stock(&other).await),
        (10, 3)
    );
    shop.delete(&path("orders", &order)).await.ok(204);
    assert_eq!(
        (shop.stock(&product).await, shop.stock(&other).await),
        (10, 3)
    );

    let pending = shop.order(&customer, &product, 10).await;
    let too_many = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    let refused = shop.post("/v1/orders", &too_many).await;
    refused.refused_at(409, "/items/0/quantity", "out_of_stock");
    shop.delete(&path("orders", &pending)).await.ok(204);
    assert_eq!(shop.stock(&product).await, 10);
}

#[tokio::test]
async fn stock_movement_creates_a_product_version_but_no_history_entry() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let moved = shop.get(&path("products", &product)).await.ok(200);
    assert_eq!(moved["version"], 2);
    let reported: i64 = sqlx::query_scalar("select count(*) from changes where entity = 'product'")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(reported, 1);
    let tags: Vec<String> = sqlx::query_scalar("select tags from changes where entity = 'order'")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    let now = Utc::now();
    let expected = [
        format!("customer:{}:orders", id(&customer)),
        format!("order:{}", id(&order)),
        format!("orders:{}-{:02}", now.year(), now.month()),
        "orders:all".to_owned(),
        format!("product:{}", id(&product)),
        "products".to_owned(),
    ];
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn stock_is_never_oversold() {
    let (shop, product, customer) = open().await;
    let shop = Arc::new(shop);
    let buyers = (0..40).map(|_| {
        let (shop, product, customer) = (shop.clone(), product.clone(), customer.clone());
        tokio::spawn(async move {
            let order = json!({
                "customer_id": customer["id"],
                "items": [{"product_id": product["id"], "quantity": 1}],
            });
            shop.post("/v1/orders", &order).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        statuses.push(buyer.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 30);
    assert_eq!(shop.stock(&product).await, 0);
}

#[tokio::test]
async fn orders_of_the_same_products_in_any_order_never_deadlock() {
    let (shop, product, customer) = open().await;
    let other = shop.product("B-1", 1_000).await;
    shop.patch(&path("products", &product), &json!({"stock": 1_000}))
        .await
        .ok(200);
    let shop = Arc::new(shop);
    let buyers = (0..60).map(|n| {
        let (shop, customer) = (shop.clone(), customer.clone());
        let mut ids = [product["id"].clone(), other["id"].clone()];
        ids.rotate_left(n % 2);
        tokio::spawn(async move {
            let items: Vec<Value> = ids
                .iter()
                .map(|id| json!({"product_id": id, "quantity": 1}))
                .collect();
            let order = json!({"customer_id": customer["id"], "items": items});
            shop.post("/v1/orders", &order).await.ok(201)
        })
    });
    for buyer in buyers.collect::<Vec<_>>() {
        buyer.await.unwrap();
    }
    assert_eq!(
        (shop.stock(&product).await, shop.stock(&other).await),
        (940, 940)
    );
}

#[tokio::test]
async fn inactive_product_is_refused_but_stays_in_old_orders() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    shop.patch(&path("products", &product), &json!({"active": false}))
        .await
        .ok(200);
    let new = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &new)
        .await
        .refused_at(422, "/items/0/product_id", "inactive");
    shop.patch(&path("orders", &order), &json!({"note": "x"}))
        .await
        .ok(200);
    shop.patch(&path("orders", &order), &json!({"status": "cancelled"}))
        .await
        .ok(200);
    assert_eq!(shop.stock(&product).await, 10);
}
