//! Partitions: which exist, and who creates them.

use chrono::{DateTime, Utc};
use serde_json::json;
use stockroom_server::{Clock, Options};
use stockroom_tests::{Shop, connect, fresh_database};

fn options(now: &str) -> Options {
    let now: DateTime<Utc> = now.parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

async fn partitions(shop: &Shop, parent: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select inhrelid::regclass::text from pg_inherits where inhparent = $1::regclass order by 1",
    )
    .bind(parent)
    .fetch_all(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn partitions_are_created_ahead_with_their_foreign_keys() {
    let shop = Shop::open_with(options("2026-11-30T23:59:59Z")).await;
    for parent in ["orders", "order_items", "changes"] {
        let months = ["2026_11", "2026_12", "2027_01", "2027_02", "2027_03"];
        let expected = months.map(|month| format!("{parent}_{month}"));
        assert_eq!(partitions(&shop, parent).await, expected);
    }
    let keys: Vec<String> = sqlx::query_scalar(
        "select conname::text from pg_constraint
        where contype = 'f' and conrelid = 'order_items_2026_11'::regclass order by 1",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap();
    assert_eq!(
        keys,
        [
            "order_items_2026_11_order_fkey",
            "order_items_product_id_fkey"
        ]
    );
}

#[tokio::test]
async fn partition_is_created_once_by_racing_servers() {
    let options = options("2026-11-24T00:00:00Z");
    let database = fresh_database().await;
    let mut shops = Vec::new();
    for _ in 0..4 {
        let pool = connect(database.clone(), 4).await.unwrap();
        shops.push(Shop::serve(pool, options.clone()).await);
    }
    let product = shops[0].product("A-1", 100).await;
    let customer = shops[0].customer("ada@example.org").await;
    let order = json!({
        "customer_id": customer["id"],
        "placed_at": "2021-05-05T05:05:05Z",
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    let order = &order;
    let orders = shops
        .iter()
        .cycle()
        .take(16)
        .map(|shop| async move { shop.post("/v1/orders", order).await.ok(201) });
    futures_util::future::join_all(orders).await;
    let made = partitions(&shops[0], "orders").await;
    assert_eq!(
        made.iter().filter(|name| *name == "orders_2021_05").count(),
        1
    );
}
