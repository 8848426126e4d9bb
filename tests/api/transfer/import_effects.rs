//! What an import does besides its rows: locks, log entries, single refusals.

use super::import::{counts, csv, exported, import, ndjson};
use serde_json::{Value, json};
use stockroom_server::{Clock, Options};
use stockroom_tests::Shop;

#[tokio::test]
async fn imports_and_writers_of_the_same_rows_do_not_deadlock() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let customer = shop.customer("ada@example.org").await;
    let mut products = Vec::new();
    for index in 0..12 {
        products.push(shop.product(&format!("P-{index}"), 100_000).await);
    }
    let order = |from: usize, step: usize| {
        let items: Vec<Value> = (0..12)
            .map(|index| &products[(from + index * step) % 12]["id"])
            .map(|id| json!({"product_id": id, "quantity": 1}))
            .collect();
        json!({"customer_id": customer["id"], "items": items})
    };
    let imports = (0..6).map(|n| {
        let (shop, rows): (_, Vec<Value>) =
            (shop.clone(), (0..40).map(|i| order(i * n, 5)).collect());
        tokio::spawn(async move {
            ndjson(&shop, "orders/import", &rows).await.ok(200);
        })
    });
    let orders = (0..60).map(|n| {
        let (shop, order) = (shop.clone(), order(n, 7));
        tokio::spawn(async move {
            shop.post("/v1/orders", &order).await.ok(201);
        })
    });
    let tables = (0..6).map(|n| {
        let mut table = String::from("sku,name\n");
        (0..12).for_each(|i| table += &format!("P-{},N {n}\n", (i * 7 + n) % 12));
        let shop = shop.clone();
        tokio::spawn(async move {
            csv(&shop, "products/import", &table).await.ok(200);
        })
    });
    for task in imports.chain(orders).chain(tables).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for product in &products {
        assert_eq!(shop.stock(product).await, 100_000 - 6 * 40 - 60);
    }
}

#[tokio::test]
async fn import_row_that_the_database_rejects_fails_alone() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let category = &product["category_id"];
    let rows = [
        json!({"sku": "a\u{0}", "stock": 1}),
        json!({"category_id": category, "sku": "B", "name": "B", "price_minor": 1}),
        json!({"category_id": category, "sku": "C", "name": "C\u{0}", "price_minor": 1}),
        json!({"sku": "A-1", "stock": -1}),
    ];
    let path = "products/import?on_error=reject_failed";
    let report = ndjson(&shop, path, &rows).await.ok(200);
    assert_eq!(counts(&report), [1, 0, 0, 3]);
    // Many consecutive failures do not affect the valid row after them.
    let mut rows = vec![json!({"sku": "nowhere"}); 450];
    rows.push(json!({"sku": "B", "stock": 7}));
    let report = ndjson(&shop, path, &rows).await.ok(200);
    assert_eq!(counts(&report), [0, 1, 0, 450]);
    // A time format that serde accepts finds its partition, even after earlier rows have moved stock.
    let order = |placed_at: &str| {
        json!({
            "customer_id": customer["id"], "placed_at": placed_at,
            "items": [{"product_id": product["id"], "quantity": 1}],
        })
    };
    let rows = [
        order("2020-03-05T10:00:00Z"),
        order("2020-01-05 10:00:00+00:00"),
    ];
    let report = ndjson(&shop, "orders/import", &rows).await.ok(200);
    assert_eq!(counts(&report), [2, 0, 0, 0]);
}

#[tokio::test]
async fn import_of_unchanged_rows_logs_few_tags() {
    let shop = Shop::open().await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 1_200});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let mut file = exported(&shop, "customers", "ndjson").await;
    file.push_str("{\"name\": \"Ada\", \"email\": \"ada@example.org\"}\n");
    let report = import(&shop, "customers/import", "application/x-ndjson", file).await;
    assert_eq!(counts(&report.ok(200)), [1, 0, 1_200, 0]);
    // The write touched more tags than a write deletes by name, so only the `epoch` tag is recorded.
    let most: i32 = sqlx::query_scalar("select max(cardinality(tags)) from changes")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert!(most < 1_000, "{most}");
}

#[tokio::test]
async fn long_import_is_logged_with_its_end_time() {
    // Each read of this clock advances it by 61 seconds.
    let looks = std::sync::atomic::AtomicI64::new(0);
    let began = chrono::Utc::now();
    let clock = Clock::new(move || {
        let looks = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        began + chrono::TimeDelta::seconds(61 * looks)
    });
    let shop = Shop::open_with(Options {
        clock,
        ..Options::default()
    })
    .await;
    csv(&shop, "categories/import", "name\nTea\n").await.ok(200);
    let (is_last, tags): (bool, Vec<String>) = sqlx::query_as(
        "select at > (select at from changes where op = 'create'), tags from changes
        where op = 'import'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert!(is_last);
    assert_eq!(tags, ["epoch"]);
}
