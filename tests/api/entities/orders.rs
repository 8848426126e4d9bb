//! Orders: totals, status, stock, and partitions by id.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{Deadline, Shop, path};

pub(crate) async fn open() -> (Shop, Value, Value) {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 10).await;
    let customer = shop.customer("ada@example.org").await;
    (shop, product, customer)
}

#[tokio::test]
async fn new_order_sets_price_stock_and_number() {
    let (shop, product, customer) = open().await;
    let order = json!({
        "customer_id": customer["id"],
        "items": [
            {"product_id": product["id"], "quantity": 2},
            {"product_id": product["id"], "quantity": 1, "unit_price_minor": 900},
        ],
        "note": "Ring twice",
    });
    let order = shop.post("/v1/orders", &order).await.ok(201);
    assert_eq!(order["status"], "pending");
    assert_eq!(order["total_minor"], 2 * 1_250 + 900);
    let expected = json!([
        {"line_no": 1, "product_id": product["id"], "quantity": 2, "unit_price_minor": 1_250},
        {"line_no": 2, "product_id": product["id"], "quantity": 1, "unit_price_minor": 900},
    ]);
    assert_eq!(order["items"], expected);
    assert_eq!(shop.stock(&product).await, 7);
    assert_eq!(shop.get(&path("orders", &order)).await.ok(200), order);

    let number = order["number"].as_str().unwrap();
    let found = shop
        .get(&format!("/v1/orders?q={}", number.to_lowercase()))
        .await
        .ok(200);
    assert_eq!(found["items"], json!([order]));
    let other = shop.get("/v1/orders?q=250101-0000-0000").await.ok(200);
    assert_eq!(other["items"], json!([]));
}

#[tokio::test]
async fn order_status_only_moves_forward() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    let become_ = async |status: &str| shop.patch(&path, &json!({"status": status})).await;
    for early in ["shipped", "delivered", "returned"] {
        become_(early)
            .await
            .refused_at(422, "/status", "illegal_transition");
    }
    for status in ["paid", "shipped", "delivered"] {
        assert_eq!(become_(status).await.ok(200)["status"], status);
    }
    for back in ["pending", "paid", "shipped", "cancelled"] {
        become_(back)
            .await
            .refused_at(422, "/status", "illegal_transition");
    }
    assert_eq!(shop.stock(&product).await, 9);
    assert_eq!(become_("returned").await.ok(200)["version"], 5);
    assert_eq!(shop.stock(&product).await, 10);
}

#[tokio::test]
async fn lines_and_customer_of_an_order_change_only_while_it_is_pending() {
    let (shop, product, customer) = open().await;
    let other = shop.customer("grace@example.org").await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    let lines = json!({"items": [{"product_id": product["id"], "quantity": 2}]});
    let whose = json!({"customer_id": other["id"]});
    shop.patch(&path, &lines).await.ok(200);
    shop.patch(&path, &whose).await.ok(200);
    shop.patch(&path, &json!({"status": "paid"})).await.ok(200);
    let lines = json!({"items": [{"product_id": product["id"], "quantity": 3}]});
    shop.patch(&path, &lines)
        .await
        .refused_at(422, "/items", "immutable");
    let whose = json!({"customer_id": customer["id"]});
    shop.patch(&path, &whose)
        .await
        .refused_at(422, "/customer_id", "immutable");
    shop.patch(&path, &json!({"note": "Ring twice"}))
        .await
        .ok(200);
    let later = json!({"placed_at": "2026-01-01T00:00:00Z"});
    shop.patch(&path, &later)
        .await
        .refused_at(422, "/placed_at", "immutable");
    assert_eq!(shop.stock(&product).await, 8);
}

#[tokio::test]
async fn order_may_be_backdated_within_limits() {
    let (shop, product, customer) = open().await;
    let place = async |at: &str| {
        let order = json!({
            "customer_id": customer["id"],
            "placed_at": at,
            "items": [{"product_id": product["id"], "quantity": 1}],
        });
        shop.post("/v1/orders", &order).await
    };
    // A month that has no partition yet.
    let order = place("2019-02-28T23:59:59.9996+01:00").await.ok(201);
    assert_eq!(order["placed_at"], "2019-02-28T22:59:59.999Z");
    assert_eq!(shop.get(&path("orders", &order)).await.ok(200), order);
    place("2000-01-01T00:00:00Z").await.ok(201);
    place("1999-12-31T23:59:59Z")
        .await
        .refused_at(422, "/placed_at", "out_of_range");
    place("1900-01-01T00:00:00Z")
        .await
        .refused_at(422, "/placed_at", "out_of_range");
    let soon = Utc::now() + Duration::hours(23);
    place(&soon.to_rfc3339()).await.ok(201);
    let later = Utc::now() + Duration::hours(25);
    place(&later.to_rfc3339())
        .await
        .refused_at(422, "/placed_at", "out_of_range");
}

#[tokio::test]
async fn shipped_order_is_not_deleted_and_a_delivered_one_returns_no_stock() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    for status in ["paid", "shipped"] {
        shop.patch(&path, &json!({"status": status})).await.ok(200);
    }
    shop.delete(&path).await.refused(409);
    shop.patch(&path, &json!({"status": "delivered"}))
        .await
        .ok(200);
    shop.delete(&path).await.ok(204);
    assert_eq!(shop.stock(&product).await, 9);
    let left: i64 = sqlx::query_scalar("select count(*) from order_items")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn deleted_order_can_be_created_again_only_in_its_old_status() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 4).await;
    let path = path("orders", &order);
    shop.patch(&path, &json!({"status": "paid"})).await.ok(200);
    shop.delete(&path).await.ok(204);
    assert_eq!(shop.stock(&product).await, 10);
    let create = |path: &str, status: &str| {
        let document = json!({
            "customer_id": customer["id"],
            "status": status,
            "items": [{"product_id": product["id"], "quantity": 4, "unit_price_minor": 1_250}],
        });
        let request = shop.request(Method::PUT, path).header("if-none-match", "*");
        let request = request.header("content-type", "application/json");
        shop.send(request.body(document.to_string()))
    };
    create(&path, "delivered")
        .await
        .refused_at(422, "/status", "illegal_transition");
    let back = create(&path, "paid").await.ok(201);
    assert_eq!(
        (&back["placed_at"], &back["version"]),
        (&order["placed_at"], &json!(3))
    );
    assert_eq!(shop.stock(&product).await, 6);

    let document = json!({"customer_id": customer["id"], "status": "paid", "items": back["items"]});
    let refused = shop.post("/v1/orders", &document).await;
    refused.refused_at(400, "/items/0/line_no", "read_only");
    create("/v1/orders/00000000-0000-4000-8000-000000000000", "pending")
        .await
        .refused(422);
}

#[tokio::test]
async fn orders_are_filtered_by_customer_status_product_and_time() {
    let (shop, product, customer) = open().await;
    let (other_product, other_customer) = (
        shop.product("B-1", 10).await,
        shop.customer("grace@example.org").await,
    );
    let first = shop.order(&customer, &product, 1).await;
    let second = shop.order(&other_customer, &other_product, 1).await;
    shop.patch(&path("orders", &second), &json!({"status": "paid"}))
        .await
        .ok(200);
    let found = async |query: String| -> Vec<Value> {
        let page = shop.get(&format!("/v1/orders?{query}")).await.ok(200);
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].clone())
            .collect()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(
        found(String::new()).await,
        [second["id"].clone(), first["id"].clone()]
    );
    assert_eq!(
        found("sort=placed_at&status=pending".into()).await,
        [first["id"].clone()]
    );
    assert_eq!(
        found(format!("customer_id={}", text(&other_customer["id"]))).await,
        [second["id"].clone()]
    );
    assert_eq!(
        found(format!("product_id={}", text(&product["id"]))).await,
        [first["id"].clone()]
    );
    assert_eq!(
        found("placed_from=2020-01-01&placed_before=2020-02-01".into()).await,
        [Value::Null; 0]
    );
    let at: DateTime<Utc> = text(&second["placed_at"]).parse().unwrap();
    let from = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    assert_eq!(
        found(format!("placed_from={from}")).await,
        [second["id"].clone()]
    );
    assert_eq!(
        found(format!("placed_before={from}")).await,
        [first["id"].clone()]
    );
    let ids = format!("id={},{}", text(&first["id"]), text(&second["id"]));
    assert_eq!(found(ids).await.len(), 2);
    let twice = shop
        .get(&format!("/v1/orders?id={0},{0}", text(&first["id"])))
        .await
        .ok(200);
    assert_eq!(twice["items"], json!([first]));
}

#[tokio::test]
async fn paid_order_keeps_its_prices_when_the_product_price_changes() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 3).await;
    let path = path("orders", &order);
    shop.patch(&path, &json!({"status": "paid"})).await.ok(200);
    let dearer = json!({"price_minor": 9_999});
    shop.patch(&stockroom_tests::path("products", &product), &dearer)
        .await
        .ok(200);
    let without_price = json!({
        "customer_id": customer["id"],
        "status": "shipped",
        "items": [{"product_id": product["id"], "quantity": 3}],
    });
    let shipped = shop.put(&path, &without_price).await.ok(200);
    assert_eq!(shipped["total_minor"], 3 * 1_250);
    assert_eq!(shipped["items"], order["items"]);
}

#[tokio::test]
async fn deleted_order_cannot_be_created_again_with_other_lines() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    for status in ["paid", "shipped", "delivered"] {
        shop.patch(&path, &json!({"status": status})).await.ok(200);
    }
    shop.delete(&path).await.ok(204);
    let create = |quantity: i32, product: &Value| {
        let document = json!({
            "customer_id": customer["id"], "status": "delivered",
            "items": [{"product_id": product, "quantity": quantity, "unit_price_minor": 1_250}],
        });
        let request = shop
            .request(Method::PUT, &path)
            .header("if-none-match", "*");
        let request = request.header("content-type", "application/json");
        shop.send(request.body(document.to_string()))
    };
    // Returning such an order would create stock from nothing.
    create(1_000_000, &product["id"])
        .await
        .refused_at(422, "/items", "immutable");
    shop.delete(&stockroom_tests::path("products", &product))
        .await
        .ok(204);
    create(1, &product["id"])
        .await
        .refused_at(422, "/items", "not_found");
}

#[tokio::test]
async fn deleted_order_is_created_again_only_once_by_concurrent_calls() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    shop.delete(&path).await.ok(204);
    let document = json!({"customer_id": customer["id"], "items": [
        {"product_id": product["id"], "quantity": 1},
    ]});
    let create = || async {
        let request = shop
            .request(Method::PUT, &path)
            .header("if-none-match", "*");
        let request = request.header("content-type", "application/json");
        shop.send(request.body(document.to_string()))
            .await
            .status
            .as_u16()
    };
    for _ in 0..20 {
        let mut statuses = futures_util::future::join_all((0..4).map(|_| create())).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 412, 412, 412]);
        shop.delete(&path).await.ok(204);
    }
    assert_eq!(shop.stock(&product).await, 10);
}

#[tokio::test]
async fn order_is_read_consistently_while_it_changes() {
    let (shop, product, customer) = open().await;
    let order = shop.order(&customer, &product, 1).await;
    let path = path("orders", &order);
    let lists = format!(
        "/v1/orders?id={},{}",
        order["id"].as_str().unwrap(),
        uuid::Uuid::nil()
    );
    let shop = Arc::new(shop);
    let writer = tokio::spawn({
        let (shop, path, product) = (shop.clone(), path.clone(), product["id"].clone());
        async move {
            for n in 0..100 {
                let lines = json!({"items": [{"product_id": product, "quantity": 1 + n % 9}]});
                shop.patch(&path, &lines).await.ok(200);
            }
        }
    });
    let deadline = Deadline::new("the end of the writer", 120);
    while !writer.is_finished() {
        deadline.check();
        let one = shop.get(&path).await.ok(200);
        let page = shop.get("/v1/orders").await.ok(200);
        let some = shop.get(&lists).await.ok(200);
        for order in [&one, &page["items"][0], &some["items"][0]] {
            let quantity = order["items"][0]["quantity"].as_i64().unwrap();
            assert_eq!(order["total_minor"], quantity * 1_250, "{order:#}");
        }
    }
    writer.await.unwrap();
}
