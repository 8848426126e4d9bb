//! Cached pages of orders and figures, by month.

use super::answers::{how, status};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stockroom_server::{Clock, Options};
use stockroom_tests::{Shop, path};

/// Orders of one customer, twelve in each of the months.
async fn months_of_orders(shop: &Shop, months: &[&str]) -> (Value, Value) {
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("TEA", 1_000).await,
    );
    for month in months {
        for day in 1..=12 {
            place(
                shop,
                &customer,
                &product,
                &format!("{month}-{day:02}T12:00:00Z"),
            )
            .await;
        }
    }
    (customer, product)
}

async fn place(shop: &Shop, customer: &Value, product: &Value, at: &str) {
    let order = json!({
        "customer_id": customer["id"], "placed_at": at,
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &order).await.ok(201);
}

fn in_november() -> Options {
    let now: DateTime<Utc> = "2026-11-24T09:30:00Z".parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

#[tokio::test]
async fn order_invalidates_its_stock_its_customer_and_its_month() {
    let shop = Shop::open().await;
    let (ada, bob) = (
        shop.customer("ada@example.org").await,
        shop.customer("bob@example.org").await,
    );
    let (tea, coffee) = (
        shop.product("TEA", 10).await,
        shop.product("COFFEE", 10).await,
    );
    let order = shop.order(&bob, &coffee, 1).await;
    let of = |customer: &Value| {
        format!(
            "/v1/orders?customer_id={}",
            customer["id"].as_str().unwrap()
        )
    };
    let shown = [
        path("products", &tea),
        "/v1/products".into(),
        of(&ada),
        "/v1/orders".into(),
    ];
    let others = [
        path("products", &coffee),
        path("customers", &ada),
        of(&bob),
        path("orders", &order),
    ];
    for path in shown.iter().chain(&others) {
        assert_eq!(how(&shop, path).await, "miss", "{path}");
    }
    shop.order(&ada, &tea, 2).await;
    for path in &shown {
        assert_eq!(how(&shop, path).await, "stale", "{path}");
    }
    for path in &others {
        assert_eq!(how(&shop, path).await, "hit", "{path}");
    }
    assert_eq!(shop.get(&shown[0]).await.body["stock"], 8);
}

#[tokio::test]
async fn write_today_leaves_the_pages_of_older_months_cached() {
    let shop = Shop::open_with(in_november()).await;
    let (customer, product) =
        months_of_orders(&shop, &["2026-08", "2026-09", "2026-10", "2026-11"]).await;
    // Pages of ten orders, newest first; the entry of each page depends on the months that the page was read from.
    let mut paths = vec!["/v1/orders?limit=10".to_owned()];
    while let Some(next) = shop.get(paths.last().unwrap()).await.link("next") {
        paths.push(next);
    }
    assert_eq!(paths.len(), 5);
    let of_september = "/v1/orders?placed_from=2026-09-01&placed_before=2026-10-01&limit=20";
    assert_eq!(how(&shop, of_september).await, "miss");
    place(&shop, &customer, &product, "2026-11-23T12:00:00Z").await;
    let mut found = Vec::new();
    for path in &paths {
        found.push(how(&shop, path).await);
    }
    // The first two pages read rows of November. The last page reached the end of the list, which any order may move.
    // The pages in between only read older months.
    assert_eq!(found, ["stale", "stale", "hit", "hit", "stale"]);
    assert_eq!(how(&shop, of_september).await, "hit");
    place(&shop, &customer, &product, "2026-09-15T12:00:00Z").await;
    let page = shop.get(of_september).await;
    assert!(status(&page).contains("stale"));
    assert_eq!(page.body["items"].as_array().unwrap().len(), 13);
    let year = "/v1/stats?months=4";
    let first = shop.get(year).await.ok(200);
    assert_eq!(first["months"][0]["orders"], 13);
    assert_eq!(first["months"][2]["statuses"], json!({"pending": 13}));
    let loads = |stats: &Value| stats["cache"]["loads"].as_i64().unwrap();
    let before = loads(&shop.get(year).await.ok(200));
    place(&shop, &customer, &product, "2026-11-23T13:00:00Z").await;
    let after = shop.get(year).await.ok(200);
    assert_eq!(after["months"][0]["orders"], 14);
    // Only November and the totals were loaded again.
    assert_eq!(loads(&after) - before, 2);
}

#[tokio::test]
async fn stats_count_orders_and_revenue_by_month() {
    let shop = Shop::open_with(in_november()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("TEA", 100).await,
    );
    shop.order(&customer, &product, 2).await;
    let lost = shop.order(&customer, &product, 1).await;
    shop.patch(&path("orders", &lost), &json!({"status": "cancelled"}))
        .await
        .ok(200);
    let stats = shop.get("/v1/stats?months=2").await.ok(200);
    assert_eq!(
        stats["counts"]["orders"],
        json!({"value": 2, "exact": true})
    );
    let top = json!([{"product_id": product["id"], "pieces": 2, "revenue_minor": 2_500}]);
    let expected = json!([
        {"month": "2026-11", "orders": 2, "revenue_minor": 2_500, "archived": false,
            "statuses": {"pending": 1, "cancelled": 1}, "top_products": top},
        {"month": "2026-10", "orders": 0, "revenue_minor": 0, "archived": false,
            "statuses": {}, "top_products": []},
    ]);
    assert_eq!(stats["months"], expected);
    assert_eq!(stats["cache"]["store"], "redis");
    shop.get("/v1/stats?months=0")
        .await
        .refused_at(400, "?months", "out_of_range");
    shop.get("/v1/stats?weeks=2")
        .await
        .refused_at(400, "?weeks", "unknown_parameter");
}
