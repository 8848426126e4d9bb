//! Partitions: which there are, and how many a statement touches.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use stockroom_server::{Clock, Options, connect};
use stockroom_tests::{Shop, fresh_database, path};

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
async fn months_are_made_ahead_with_their_keys() {
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
async fn servers_that_race_for_a_partition_make_it_once() {
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

/// Partitions of `parent` that a plan reads, however often.
fn touched(plan: &Value, parent: &str, into: &mut Vec<String>) {
    let was_run = plan["Actual Loops"]
        .as_f64()
        .is_some_and(|loops| loops > 0.0);
    if let Some(relation) = plan["Relation Name"].as_str().filter(|_| was_run)
        && relation.starts_with(&format!("{parent}_2"))
    {
        into.push(relation.into());
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        touched(child, parent, into);
    }
}

/// The statement that the server itself prepared, run with these arguments under EXPLAIN.
async fn explain(shop: &Shop, like: &str, arguments: &str) -> Value {
    let mut conn = shop.pool.acquire().await.unwrap();
    let row = sqlx::query("select name from pg_prepared_statements where statement like $1")
        .bind(like)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let name: String = row.get(0);
    let sql = format!("explain (analyze, format json) execute {name} ({arguments})");
    let plan: Value = sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_one(&mut *conn)
        .await
        .unwrap()
        .get(0);
    plan[0]["Plan"].clone()
}

#[tokio::test]
async fn an_order_by_id_touches_one_partition_with_any_plan() {
    // One connection, so that its prepared statements are all there are.
    let pool = connect(fresh_database().await, 1).await.unwrap();
    let shop = Shop::serve(pool, options("2026-11-24T00:00:00Z")).await;
    let product = shop.product("A-1", 100).await;
    let customer = shop.customer("ada@example.org").await;
    for months_back in 0..24 {
        let (year, month) = (2026 - (months_back + 1) / 12, 12 - (months_back + 1) % 12);
        let order = json!({
            "customer_id": customer["id"],
            "placed_at": format!("{year}-{month:02}-05T05:05:05Z"),
            "items": [{"product_id": product["id"], "quantity": 1}],
        });
        shop.post("/v1/orders", &order).await.ok(201);
    }
    assert!(partitions(&shop, "orders").await.len() >= 28);
    let page = shop.get("/v1/orders?limit=20").await.ok(200);
    let order = page["items"][13].clone();
    assert_eq!(shop.get(&path("orders", &order)).await.ok(200), order);
    let at: DateTime<Utc> = order["placed_at"].as_str().unwrap().parse().unwrap();
    let expected = |parent: &str| [format!("{parent}_{}_{:02}", at.year(), at.month())];
    let arguments = format!("'{}', '{}'", at.to_rfc3339(), order["id"].as_str().unwrap());
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = format!("set plan_cache_mode = {mode}");
        sqlx::raw_sql(AssertSqlSafe(set))
            .execute(&shop.pool)
            .await
            .unwrap();
        for parent in ["orders", "order_items"] {
            let like = "select o.*, (%from order_items i%from orders o where o.placed_at = $1%";
            let mut partitions = Vec::new();
            let plan = explain(&shop, like, &arguments).await;
            touched(&plan, parent, &mut partitions);
            assert_eq!(partitions, expected(parent), "{mode}: {plan:#}");
        }
    }
}
