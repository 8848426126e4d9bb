//! Bad input: each case gets a clear response from the table of status codes, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

pub(crate) const UNKNOWN_ID: &str = "0192d3f0-0000-7000-8000-000000000000";

/// A shop with one row of each kind.
pub(crate) struct Stocked {
    pub(crate) shop: Shop,
    pub(crate) product: Value,
    pub(crate) customer: Value,
    pub(crate) order: Value,
}

pub(crate) async fn stocked() -> Stocked {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 10).await;
    let customer = shop.customer("ada@example.org").await;
    let order = shop.order(&customer, &product, 1).await;
    Stocked {
        shop,
        product,
        customer,
        order,
    }
}

/// A field's pointer, its value, and the expected refusal: status, pointer and code.
type Case = (&'static str, Value, u16, &'static str, &'static str);

/// Posts one document per case, each with one field changed.
async fn refuse_all(shop: &Shop, path: &str, document: &Value, cases: Vec<Case>) {
    let before = shop.fingerprint().await;
    for (field, value, status, pointer, code) in cases {
        let mut document = document.clone();
        document[field] = value;
        let answer = shop.post(path, &document).await;
        answer.refused_at(status, pointer, code);
    }
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn products_that_break_a_rule_are_refused_at_the_field() {
    let Stocked { shop, product, .. } = stocked().await;
    let document = json!({
        "category_id": product["category_id"], "sku": "B-1", "name": "Pan", "price_minor": 1,
    });
    let cases = vec![
        ("colour", json!("red"), 400, "/colour", "unknown_field"),
        ("version", json!(7), 400, "/version", "read_only"),
        ("price_minor", json!("1"), 400, "/price_minor", "wrong_type"),
        ("price_minor", json!(1.5), 400, "/price_minor", "wrong_type"),
        (
            "price_minor",
            json!(-1),
            422,
            "/price_minor",
            "out_of_range",
        ),
        ("stock", json!(-1), 422, "/stock", "out_of_range"),
        ("stock", json!(i64::MAX), 422, "/stock", "out_of_range"),
        ("category_id", json!("x"), 400, "/category_id", "wrong_type"),
        (
            "category_id",
            json!(UNKNOWN_ID),
            422,
            "/category_id",
            "not_found",
        ),
        ("sku", json!("A-1"), 409, "/sku", "duplicate"),
        ("name", json!(""), 422, "/name", "required"),
        ("name", json!(" \t"), 422, "/name", "required"),
        ("name", json!("a\0b"), 422, "/name", "invalid_text"),
        ("name", json!("x".repeat(201)), 422, "/name", "too_long"),
    ];
    refuse_all(&shop, "/v1/products", &document, cases).await;
    let incomplete = shop.post("/v1/products", &json!({"name": "x"})).await;
    incomplete.refused_at(400, "/category_id", "required");
}

#[tokio::test]
async fn customers_that_break_a_rule_are_refused_at_the_field() {
    let Stocked { shop, .. } = stocked().await;
    let document = json!({"name": "Grace", "email": "grace@example.org"});
    let in_words = json!({"country": "Germany"});
    let elsewhere = json!({"planet": "Mars"});
    let cases = vec![
        (
            "email",
            json!("ADA@example.org"),
            409,
            "/email",
            "duplicate",
        ),
        ("email", json!("ada"), 422, "/email", "invalid_format"),
        ("phone", Value::Null, 400, "/phone", "wrong_type"),
        (
            "address",
            in_words,
            422,
            "/address/country",
            "invalid_format",
        ),
        (
            "address",
            elsewhere,
            400,
            "/address/planet",
            "unknown_field",
        ),
    ];
    refuse_all(&shop, "/v1/customers", &document, cases).await;
}

#[tokio::test]
async fn orders_that_break_a_rule_are_refused_at_the_field() {
    let Stocked {
        shop,
        product,
        customer,
        ..
    } = stocked().await;
    let line = |quantity: i64, price: i64| json!([{"product_id": product["id"], "quantity": quantity, "unit_price_minor": price}]);
    let one = json!({"product_id": product["id"], "quantity": 1});
    let document = json!({"customer_id": customer["id"], "items": [one]});
    let many = Value::Array(vec![one; 1_001]);
    let missing = json!([{"product_id": UNKNOWN_ID, "quantity": 1}]);
    let (long_ago, far) = (
        "1900-01-01T00:00:00Z",
        chrono::Utc::now() + chrono::Duration::days(2),
    );
    let cases = vec![
        ("items", json!([]), 422, "/items", "required"),
        (
            "items",
            line(0, 1),
            422,
            "/items/0/quantity",
            "out_of_range",
        ),
        (
            "items",
            line(-1, 1),
            422,
            "/items/0/quantity",
            "out_of_range",
        ),
        (
            "items",
            line(i64::MAX, 1),
            400,
            "/items/0/quantity",
            "wrong_type",
        ),
        (
            "items",
            line(1, -1),
            422,
            "/items/0/unit_price_minor",
            "out_of_range",
        ),
        ("items", many, 422, "/items", "too_long"),
        ("items", missing, 422, "/items/0/product_id", "not_found"),
        (
            "customer_id",
            json!(UNKNOWN_ID),
            422,
            "/customer_id",
            "not_found",
        ),
        (
            "status",
            json!("paid"),
            422,
            "/status",
            "illegal_transition",
        ),
        ("status", json!("lost"), 400, "/status", "unknown_value"),
        (
            "placed_at",
            json!(long_ago),
            422,
            "/placed_at",
            "out_of_range",
        ),
        ("placed_at", json!(far), 422, "/placed_at", "out_of_range"),
        (
            "placed_at",
            json!("yesterday"),
            400,
            "/placed_at",
            "wrong_type",
        ),
        ("total_minor", json!(0), 400, "/total_minor", "read_only"),
    ];
    refuse_all(&shop, "/v1/orders", &document, cases).await;
}

#[tokio::test]
async fn patches_that_break_a_rule_are_refused() {
    let Stocked {
        shop,
        product,
        customer,
        order,
    } = stocked().await;
    let before = shop.fingerprint().await;
    let back = json!({"status": "returned"});
    let patched = shop.patch(&path("orders", &order), &back).await;
    patched.refused_at(422, "/status", "illegal_transition");
    let null = json!({"name": null});
    let patched = shop.patch(&path("products", &product), &null).await;
    patched.refused_at(400, "/name", "required");
    shop.patch(&path("products", &product), &json!([]))
        .await
        .refused(400);
    let category = format!(
        "/v1/categories/{}",
        product["category_id"].as_str().unwrap()
    );
    shop.delete(&category).await.refused(409);
    let stale = shop.request(Method::DELETE, &path("customers", &customer));
    shop.send(stale.header("if-match", "\"9\""))
        .await
        .refused(412);
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn order_total_that_overflows_is_refused() {
    let Stocked {
        shop,
        customer,
        product,
        ..
    } = stocked().await;
    shop.patch(
        &path("products", &product),
        &json!({"stock": 1_000_000_000}),
    )
    .await
    .ok(200);
    let line = json!({
        "product_id": product["id"], "quantity": 1_000_000, "unit_price_minor": 100_000_000_000_i64,
    });
    let order = json!({"customer_id": customer["id"], "items": vec![line; 200]});
    let before = shop.fingerprint().await;
    shop.post("/v1/orders", &order)
        .await
        .refused_at(422, "/items", "out_of_range");
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn hostile_text_is_stored_unchanged() {
    let shop = Shop::open().await;
    let name = "[2J Robert'); drop table orders; -- \u{feff}x";
    let hostile = "\u{1b}[2J\u{202e}\u{7} Robert'); drop table orders; -- \u{feff}";
    let row = json!({"name": name, "description": hostile});
    let row = shop.post("/v1/categories", &row).await.ok(201);
    let stored = shop.get(&path("categories", &row)).await.ok(200);
    assert_eq!(
        (&stored["name"], &stored["description"]),
        (&json!(name), &json!(hostile))
    );
    let found = shop.get("/v1/categories?q=%5b2J").await.ok(200);
    assert_eq!(found["items"], json!([row]));
    // A single-line field rejects these characters, because they would be invisible.
    let answer = shop.post("/v1/categories", &json!({"name": hostile})).await;
    answer.refused_at(422, "/name", "unprintable");
}

#[tokio::test]
async fn seed_job_sizes_and_times_are_checked() {
    let shop = Shop::open().await;
    let before = shop.fingerprint().await;
    let sizes = json!({"seed": 1, "categories": 1, "products": 1, "customers": 1, "orders": 1});
    let with = |field: &str, value: Value| {
        let mut request = sizes.clone();
        request[field] = value;
        request
    };
    for (request, status, pointer, code) in [
        (with("orders", json!(-1)), 422, "/orders", "out_of_range"),
        (with("months", json!(0)), 422, "/months", "out_of_range"),
        (with("customers", json!(0)), 422, "/customers", "required"),
        (
            with("until", json!("2999-01-01T00:00:00Z")),
            422,
            "/until",
            "out_of_range",
        ),
        (
            with("until", json!("2000-02-01T00:00:00Z")),
            422,
            "/months",
            "out_of_range",
        ),
        (
            with("until", json!("-262143-01-01T00:00:00Z")),
            422,
            "/months",
            "out_of_range",
        ),
        (
            with("products", json!(1_000_000_000)),
            422,
            "/products",
            "out_of_range",
        ),
        (
            with("products", json!(i64::MAX)),
            422,
            "/products",
            "out_of_range",
        ),
        (with("colour", json!(1)), 400, "/colour", "unknown_field"),
        (with("seed", json!(-1)), 400, "/seed", "wrong_type"),
        (json!({"seed": 1}), 422, "", "required"),
    ] {
        shop.post("/v1/seed-jobs", &request)
            .await
            .refused_at(status, pointer, code);
    }
    shop.get(&format!("/v1/seed-jobs/{UNKNOWN_ID}"))
        .await
        .refused(404);
    assert_eq!(shop.fingerprint().await, before);
}
