//! Seed jobs.

use serde_json::{Value, json};
use stockroom_tests::Shop;

fn sizes(seed: u32, orders: i64) -> Value {
    json!({
        "seed": seed, "categories": 5, "products": 40, "customers": 100, "orders": orders,
        "months": 6, "until": "2026-11-24T00:00:00Z",
    })
}

/// Waits until the job is not running any more.
async fn ended(shop: &Shop, job: &Value) -> Value {
    let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
    loop {
        let job = shop.get(&path).await.ok(200);
        if job["state"] != "running" {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

/// A hash of all rows, whatever their order.
async fn content(shop: &Shop) -> String {
    sqlx::query_scalar(
        "select md5(string_agg(row, '' order by row)) from (
            select t::text from categories t union all
            select t::text from products t union all
            select t::text from customers t union all
            select t::text from orders t union all
            select t::text from order_items t) rows (row)",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_job_loads_what_was_asked_for() {
    let shop = Shop::open().await;
    let answer = shop.post("/v1/seed-jobs", &sizes(7, 2_000)).await;
    let location = answer.header("location").to_owned();
    let job = answer.ok(202);
    assert_eq!(
        location,
        format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap())
    );
    let job = ended(&shop, &job).await;
    assert_eq!(job["state"], "done", "{job:#}");
    for (index, entity, rows) in [
        (0, "categories", 5),
        (1, "products", 40),
        (2, "customers", 100),
        (3, "orders", 2_000),
    ] {
        let progress = &job["progress"][index];
        assert_eq!(
            (&progress["entity"], &progress["done"]),
            (&json!(entity), &json!(rows))
        );
        let total = shop
            .get(&format!("/v1/{entity}?limit=1&count=exact"))
            .await
            .ok(200);
        assert_eq!(total["total"]["value"], rows);
    }
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from orders o where total_minor <>
            (select sum(quantity * unit_price_minor) from order_items i
            where i.placed_at = o.placed_at and i.order_id = o.id)",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
    let logged: i64 = sqlx::query_scalar(
        "select sum((after->>'rows')::bigint)::bigint from changes where op = 'seed'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert_eq!(logged, 2_145);
    assert_eq!(
        shop.get("/v1/seed-jobs").await.ok(200)["items"],
        json!([job])
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_shop_and_another_goes_beside_it() {
    let (one, two) = (Shop::open().await, Shop::open().await);
    for shop in [&one, &two] {
        let job = shop.post("/v1/seed-jobs", &sizes(7, 500)).await.ok(202);
        assert_eq!(ended(shop, &job).await["state"], "done");
    }
    assert_eq!(content(&one).await, content(&two).await);
    one.post("/v1/seed-jobs", &sizes(7, 500))
        .await
        .refused_at(409, "/seed", "duplicate");
    let job = one.post("/v1/seed-jobs", &sizes(8, 500)).await.ok(202);
    assert_eq!(ended(&one, &job).await["state"], "done");
    assert_ne!(content(&one).await, content(&two).await);
}

#[tokio::test]
async fn a_cancelled_job_leaves_whole_batches() {
    let shop = Shop::open().await;
    let job = shop
        .post("/v1/seed-jobs", &sizes(7, 1_000_000))
        .await
        .ok(202);
    let second = shop.post("/v1/seed-jobs", &sizes(8, 10)).await;
    assert!(second.refused(409).contains("is running"));
    let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
    while shop.get(&path).await.ok(200)["progress"][3]["done"] == 0 {
        tokio::task::yield_now().await;
    }
    shop.delete(&path).await.ok(202);
    let job = ended(&shop, &job).await;
    assert_eq!(job["state"], "cancelled");
    let orders = shop.get("/v1/orders?limit=1&count=exact").await.ok(200);
    assert_eq!(orders["total"]["value"], job["progress"][3]["done"]);
    assert_ne!(job["progress"][3]["done"], 1_000_000);
}
