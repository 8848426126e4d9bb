//! PostgreSQL behind a pooler, which rejects settings in the startup packet and in transaction mode assigns each
//! transaction to any free backend.

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use reqwest::Method;
use serde_json::json;
use stockroom_server::{Database, Options, Pooling, migrate};
use stockroom_tests::{
    Answer, Node, Pooler, SharedShop, Shop, binary, connect, empty_database, fresh_database,
    http_client, path,
};
use tokio::task::JoinSet;

/// Fewer backends than the server has connections, so that its connections share backends.
const BACKENDS: u32 = 6;

/// A shop whose server connects through a pooler in transaction mode; the test's own pool does not.
async fn behind_a_pooler() -> (Pooler, SharedShop) {
    let database = empty_database().await;
    let pooler = Pooler::start(&database, "transaction", BACKENDS);
    let address = pooler.url(&database).parse().unwrap();
    let (first, second) = tokio::join!(
        migrate(&address, Pooling::Transaction),
        migrate(&address, Pooling::Transaction)
    );
    first.and(second).unwrap();
    let pool = connect(database, 4).await.unwrap();
    let over = Database::new(address, Pooling::Transaction, 24);
    let shop = Shop::serve_over(over, pool, Options::default()).await;
    (pooler, Arc::new(shop))
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_pooling_serves_many_callers() {
    let (_pooler, shop) = behind_a_pooler().await;
    let seed =
        json!({"seed": 7, "customers": 200, "categories": 5, "products": 50, "orders": 2_000});
    assert_eq!(shop.seed(&seed).await["state"], "done");
    let product = shop.product("A-1", 1_000).await;
    let customer = shop.customer("ada@example.org").await;
    let order = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    let mut callers = JoinSet::new();
    for index in 0..200 {
        let (shop, order) = (shop.clone(), order.clone());
        callers.spawn(async move {
            let made = shop.post("/v1/orders", &order).await.ok(201);
            shop.get(&path("orders", &made)).await.ok(200);
            let page = format!("/v1/customers?limit=7&q={index}");
            shop.get(&page).await.ok(200);
        });
    }
    callers.join_all().await;
    assert_eq!(shop.stock(&product).await, 800);
    let stats = shop.get("/v1/stats").await.ok(200);
    let months = stats["months"].as_array().unwrap().iter();
    let counted: i64 = months.map(|month| month["orders"].as_i64().unwrap()).sum();
    assert!(counted >= 200, "{stats}");
    let file = shop.request(Method::GET, "/v1/orders/export?format=ndjson");
    let file = file.send().await.unwrap().text().await.unwrap();
    assert_eq!(file.lines().count(), 2_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_pooling_keeps_the_limits_of_each_kind_of_work() {
    let (_pooler, shop) = behind_a_pooler().await;
    let product = shop.product("A-1", 100).await;
    let rows = json!([{"sku": "A-1", "category_id": product["category_id"], "name": "Tea",
        "price_minor": 1_250, "stock": 7}]);
    let product = path("products", &product);
    let holder = shop.lock_rows("products").await;
    let bulk = {
        let shop = shop.clone();
        tokio::spawn(async move { shop.post("/v1/products/bulk", &rows).await })
    };
    shop.sees_a_wait().await;
    // Two refusals take longer than the two seconds after which the server checks the backend of the bulk call.
    for _ in 0..2 {
        shop.patch(&product, &json!({"stock": 5}))
            .await
            .refused(503);
    }
    assert!(!bulk.is_finished());
    holder.rollback().await.unwrap();
    bulk.await.unwrap().ok(200);
    assert_eq!(shop.get(&product).await.ok(200)["stock"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_pooling_is_detected_and_must_be_declared() {
    let database = fresh_database().await;
    let pooler = Pooler::start(&database, "transaction", BACKENDS);
    let url = pooler.url(&database);
    let output = Command::new(binary("stockroom-server"))
        .env("DATABASE_URL", &url)
        .env("STOCKROOM_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("--transaction-pooling"), "{words}");
    let named = vec![
        ("DATABASE_URL", url),
        ("STOCKROOM_TRANSACTION_POOLING", "yes".to_owned()),
    ];
    is_ready(&Node::start("stockroom-server", named)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_needs_no_setting() {
    let database = fresh_database().await;
    let pooler = Pooler::start(&database, "session", 40);
    let node = Node::start(
        "stockroom-server",
        vec![("DATABASE_URL", pooler.url(&database))],
    );
    is_ready(&node).await;
    let category = http_client()
        .post(node.url("/v1/categories"))
        .header("content-type", "application/json");
    let category = category.body(r#"{"name": "Tea"}"#);
    Answer::read(category.send().await.unwrap()).await.ok(201);
}

async fn is_ready(node: &Node) {
    let ready = http_client().get(node.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}
