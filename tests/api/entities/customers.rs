//! Customers.

use serde_json::json;
use stockroom_tests::{Shop, path};

#[tokio::test]
async fn address_can_be_patched_partially() {
    let shop = Shop::open().await;
    let customer = json!({
        "name": "Ada",
        "email": "ada@example.org",
        "address": {"city": "London", "country": "GB"},
    });
    let row = shop.post("/v1/customers", &customer).await.ok(201);
    let patch = json!({"address": {"city": null, "line1": "12 St James's Square"}});
    let patched = shop.patch(&path("customers", &row), &patch).await.ok(200);
    let expected = json!({
        "line1": "12 St James's Square", "line2": "", "city": "", "postal_code": "", "country": "GB",
    });
    assert_eq!(patched["address"], expected);
}

#[tokio::test]
async fn email_is_unique_ignoring_case() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    let twin = json!({"name": "Other", "email": "ADA@Example.org"});
    shop.post("/v1/customers", &twin)
        .await
        .refused_at(409, "/email", "duplicate");
}

#[tokio::test]
async fn customer_with_orders_is_not_deleted() {
    let shop = Shop::open().await;
    let (product, customer) = (
        shop.product("A-1", 5).await,
        shop.customer("ada@example.org").await,
    );
    shop.order(&customer, &product, 1).await;
    shop.order(&customer, &product, 1).await;
    let detail = shop
        .delete(&path("customers", &customer))
        .await
        .refused(409);
    assert!(detail.contains("orders of theirs: 2;"), "{detail}");
}

#[tokio::test]
async fn count_of_referring_rows_is_capped() {
    let shop = Shop::open().await;
    let (product, customer) = (
        shop.product("A-1", 5_000).await,
        shop.customer("ada@example.org").await,
    );
    let order = shop.order(&customer, &product, 1).await;
    sqlx::query(
        "insert into orders (placed_at, id, version, created_at, updated_at, customer_id, status,
            total_minor, note)
        select placed_at, overlay(id::text placing lpad(n::text, 4, '0') from 33)::uuid, 1,
            created_at, updated_at, customer_id, status, 0, ''
        from orders, generate_series(1, 1500) n where id = $1::text::uuid on conflict do nothing",
    )
    .bind(order["id"].as_str())
    .execute(&shop.pool)
    .await
    .unwrap();
    let detail = shop
        .delete(&path("customers", &customer))
        .await
        .refused(409);
    assert!(detail.contains("orders of theirs: 1,000+;"), "{detail}");
}

#[tokio::test]
async fn customers_are_found_by_name_and_email() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    shop.post(
        "/v1/customers",
        &json!({"name": "Grace", "email": "grace@navy.example"}),
    )
    .await
    .ok(201);
    for (query, found) in [
        ("LOVE", 1),
        ("navy", 1),
        ("a", 2),
        ("nobody", 0),
        ("example.org", 1),
        // All words must match, in any order and anywhere in the text.
        ("lace+ada+example", 1),
        ("+ada++", 1),
        ("ada+navy", 0),
        ("+", 2),
    ] {
        let page = shop.get(&format!("/v1/customers?q={query}")).await.ok(200);
        assert_eq!(page["items"].as_array().unwrap().len(), found, "{query}");
    }
}
