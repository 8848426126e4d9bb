//! Detaching and restoring partitions, and what happens to the rows in them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stockroom_server::{Age, Clock, Interval, Options, Retention};
use stockroom_tests::{Deadline, Shop, connect, fresh_database, path};

pub(crate) const NOW: &str = "2026-11-24T09:30:00Z";

pub(crate) fn options() -> Options {
    let now: DateTime<Utc> = NOW.parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

/// Places an order for one piece at the given time.
pub(crate) async fn order_at(shop: &Shop, customer: &Value, product: &Value, at: &str) -> Value {
    let order = json!({
        "customer_id": customer["id"],
        "placed_at": at,
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &order).await.ok(201)
}

pub(crate) async fn partition(shop: &Shop, name: &str) -> Value {
    shop.get(&format!("/v1/partitions/{name}")).await.ok(200)
}

pub(crate) async fn archive(shop: &Shop, name: &str) -> Value {
    let path = format!("/v1/partitions/{name}/archive");
    shop.post(&path, &Value::Null).await.ok(200)
}

pub(crate) async fn restore(shop: &Shop, name: &str) -> Value {
    let path = format!("/v1/partitions/{name}/restore");
    shop.post(&path, &Value::Null).await.ok(200)
}

#[tokio::test]
async fn partitions_list_shows_ranges_and_sizes() {
    let shop = Shop::open_with(options()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    order_at(&shop, &customer, &product, "2026-11-03T12:00:00Z").await;
    sqlx::raw_sql("analyze orders, order_items")
        .execute(&shop.pool)
        .await
        .unwrap();
    let partitions = shop.get("/v1/partitions").await.ok(200);
    let names: Vec<&str> = partitions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| partition["name"].as_str().unwrap())
        .collect();
    let months = ["2027_03", "2027_02", "2027_01", "2026_12", "2026_11"];
    let expected =
        ["orders", "changes"].map(|parent| months.map(|month| format!("{parent}_{month}")));
    assert_eq!(names, expected.concat());
    let mut november = partition(&shop, "orders_2026_11").await;
    for size in ["bytes", "index_bytes"] {
        assert!(november[size].take().as_i64().unwrap() > 0);
    }
    assert_eq!(
        november,
        json!({
            "name": "orders_2026_11", "family": "orders", "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z", "state": "attached", "rows": 1, "lines": 1,
            "bytes": null, "index_bytes": null,
        })
    );
    shop.get("/v1/partitions/orders_1999_01").await.refused(404);
}

#[tokio::test]
async fn archived_month_is_hidden_until_it_is_restored_unchanged() {
    let shop = Shop::open_with(options()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let order = order_at(&shop, &customer, &product, "2024-01-05T12:00:00Z").await;
    let newer = order_at(&shop, &customer, &product, "2026-11-03T12:00:00Z").await;
    let path = path("orders", &order);
    // The order is cached now; once archived, it must not be served from the cache.
    let list = shop.get("/v1/orders").await.ok(200);
    assert_eq!(list["items"], json!([newer, order]));
    assert_eq!(list.get("archived_before"), None);
    assert_eq!(shop.get(&path).await.ok(200), order);

    let archived = archive(&shop, "orders_2024_01").await;
    assert_eq!(
        (&archived["state"], &archived["archived_at"]),
        (&json!("archived"), &json!(NOW))
    );
    assert_eq!(
        archive(&shop, "orders_2024_01").await,
        archived,
        "once more is nothing more"
    );
    let list = shop.get("/v1/orders").await.ok(200);
    assert_eq!(list["items"], json!([newer]));
    assert_eq!(list["archived_before"], "2024-02-01T00:00:00Z");
    // The stats of the archived month must not claim that nothing was sold.
    let stats = shop.get("/v1/stats?months=36").await.ok(200);
    let months = stats["months"].as_array().unwrap().iter();
    let archived_months: Vec<&Value> = months
        .filter(|month| month["archived"] == true)
        .map(|month| &month["month"])
        .collect();
    assert_eq!(archived_months, ["2024-01"]);
    let reported = "All orders from 2024-01-01 to before 2024-02-01 are archived as orders_2024_01; \
        POST /v1/partitions/orders_2024_01/restore restores them.";
    assert_eq!(shop.get(&path).await.refused(410), reported);
    assert_eq!(
        shop.patch(&path, &json!({"note": "x"})).await.refused(410),
        reported
    );
    assert_eq!(shop.delete(&path).await.refused(410), reported);
    let another = json!({
        "customer_id": customer["id"], "placed_at": "2024-01-31T23:59:59Z",
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &another)
        .await
        .refused_at(409, "/placed_at", "archived");
    let customer_path = stockroom_tests::path("customers", &customer);
    shop.delete(&stockroom_tests::path("orders", &newer))
        .await
        .ok(204);
    let reported = shop.delete(&customer_path).await.refused(409);
    assert!(reported.contains("archived partition"), "{reported}");

    assert_eq!(restore(&shop, "orders_2024_01").await["state"], "attached");
    assert_eq!(restore(&shop, "orders_2024_01").await["state"], "attached");
    assert_eq!(shop.get(&path).await.ok(200), order);
    assert_eq!(
        shop.get("/v1/orders").await.ok(200)["items"],
        json!([order])
    );
    shop.post("/v1/orders", &another).await.ok(201);
    let reported = shop.delete(&customer_path).await.refused(409);
    assert!(reported.contains("orders"), "{reported}");
}

#[tokio::test]
async fn other_servers_report_an_archived_month_too() {
    let database = fresh_database().await;
    let mut shops = Vec::new();
    for _ in 0..2 {
        let pool = connect(database.clone(), 4).await.unwrap();
        shops.push(Shop::serve(pool, options()).await);
    }
    let (customer, product) = (
        shops[0].customer("ada@example.org").await,
        shops[0].product("A-1", 9).await,
    );
    let order = order_at(&shops[1], &customer, &product, "2024-01-05T12:00:00Z").await;
    archive(&shops[0], "orders_2024_01").await;
    let another = json!({
        "customer_id": customer["id"], "placed_at": "2024-01-06T12:00:00Z",
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    // This server still knows the partition by name, then discovers that it is gone.
    let reported = shops[1].get(&path("orders", &order)).await.refused(410);
    assert!(reported.contains("orders_2024_01"), "{reported}");
    shops[1].get(&path("orders", &order)).await.refused(410);
    shops[1]
        .post("/v1/orders", &another)
        .await
        .refused_at(409, "/placed_at", "archived");
    assert_eq!(
        shops[1].stock(&product).await,
        8,
        "what the refused order took was given back"
    );
    restore(&shops[0], "orders_2024_01").await;
    assert_eq!(shops[1].get(&path("orders", &order)).await.ok(200), order);
    shops[1].post("/v1/orders", &another).await.ok(201);
}

#[tokio::test]
async fn partition_that_cannot_be_archived_is_refused_with_a_reason() {
    let shop = Shop::open_with(options()).await;
    let post = |what: &'static str| {
        let path = format!("/v1/partitions/{what}");
        let shop = &shop;
        async move { shop.post(&path, &Value::Null).await }
    };
    let reported = post("orders_2026_11/archive").await.refused(409);
    assert_eq!(
        reported,
        "orders_2026_11 still receives rows; it can be archived from 2026-12-01 on."
    );
    post("orders_1999_01/archive").await.refused(404);
    post("orders_1999_01/restore").await.refused(404);
    let reported = shop
        .delete("/v1/partitions/orders_2026_11")
        .await
        .refused(409);
    assert_eq!(reported, "orders_2026_11 is in use; archive it first.");
}

#[tokio::test]
async fn deleted_month_stays_listed_and_is_not_created_again() {
    let shop = Shop::open_with(options()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let order = order_at(&shop, &customer, &product, "2024-01-05T12:00:00Z").await;
    archive(&shop, "orders_2024_01").await;
    shop.delete("/v1/partitions/orders_2024_01").await.ok(204);
    assert_eq!(partition(&shop, "orders_2024_01").await["state"], "dropped");
    let reported = shop.get(&path("orders", &order)).await.refused(410);
    assert!(
        reported.contains("were deleted. POST /v1/partitions/orders_2024_01/import restores them"),
        "{reported}"
    );
    let another = json!({
        "customer_id": customer["id"], "placed_at": "2024-01-06T12:00:00Z",
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &another)
        .await
        .refused_at(409, "/placed_at", "archived");
    let reported = shop
        .post("/v1/partitions/orders_2024_01/restore", &Value::Null)
        .await
        .refused(409);
    assert_eq!(reported, "orders_2024_01 was deleted permanently.");
    // Nothing refers to the customer any more.
    shop.delete(&path("customers", &customer)).await.ok(204);
}

#[tokio::test]
async fn partition_interval_may_change_and_old_partitions_stay() {
    let database = fresh_database().await;
    let serve = async |interval| {
        let pool = connect(database.clone(), 4).await.unwrap();
        let options = Options {
            partition_interval: interval,
            ..options()
        };
        Shop::serve(pool, options).await
    };
    let shop = serve(Interval::Month).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 99).await,
    );
    let order = async |shop: &Shop, at: &str| {
        let order = order_at(shop, &customer, &product, at).await;
        let found = sqlx::query_scalar(
            "select tableoid::regclass::text from orders where placed_at = $1::timestamptz",
        );
        let name: String = found.bind(at).fetch_one(&shop.pool).await.unwrap();
        assert_eq!(shop.get(&path("orders", &order)).await.ok(200), order);
        name
    };
    assert_eq!(order(&shop, "2024-03-31T12:00:00Z").await, "orders_2024_03");
    shop.close().await;
    let shop = serve(Interval::Week).await;
    assert_eq!(order(&shop, "2024-03-30T12:00:00Z").await, "orders_2024_03");
    // 31 March is a Sunday, so the next partition is a whole week from Monday, 1 April.
    assert_eq!(
        order(&shop, "2024-04-03T12:00:00Z").await,
        "orders_2024_w14"
    );
    assert_eq!(
        order(&shop, "2024-02-28T12:00:00Z").await,
        "orders_2024_02_26"
    );
    shop.close().await;
    let shop = serve(Interval::Day).await;
    assert_eq!(
        order(&shop, "2024-04-20T12:00:00Z").await,
        "orders_2024_04_20"
    );
    shop.close().await;
    let shop = serve(Interval::Month).await;
    assert_eq!(
        order(&shop, "2024-04-10T12:00:00Z").await,
        "orders_2024_04_08"
    );
    assert_eq!(
        order(&shop, "2024-04-30T12:00:00Z").await,
        "orders_2024_04_21"
    );
    let list = shop.get("/v1/orders").await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn partitions_past_their_retention_are_archived_or_dropped() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 4).await.unwrap();
    let shop = Shop::serve(pool, options()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    for at in [
        "2024-01-05T12:00:00Z",
        "2025-11-23T12:00:00Z",
        "2025-12-05T12:00:00Z",
    ] {
        order_at(&shop, &customer, &product, at).await;
    }
    // Two old months of the change log: in the first every entry is relayed, in the second one entry is not.
    for (month, relayed) in [("2026-05", "now()"), ("2026-06", "null")] {
        let make = format!(
            "create table changes_{0} (like changes including all);
            alter table changes attach partition changes_{0}
                for values from ('{month}-01T00:00:00Z') to ('{month}-01T00:00:00Z'::timestamptz + '1 month');
            insert into changes (at, seq, actor, entity, op, tags, relayed_at)
                values ('{month}-02', gen_random_uuid(), 'ada', 'product', 'update', '{{}}', {relayed})",
            month.replace('-', "_")
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(make))
            .execute(&shop.pool)
            .await
            .unwrap();
    }
    shop.close().await;
    let pool = connect(database, 4).await.unwrap();
    let options = Options {
        orders_retention: Retention::Archive(Age::Months(12)),
        changes_retention: Retention::Drop(Age::Days(90)),
        sweep_every: Duration::from_millis(50),
        // Without a cache the relay deletes no tags; it only marks changes older than 15 minutes.
        cache: stockroom_server::cache::CacheOptions {
            store: stockroom_server::cache::StoreKind::Off,
            ..Default::default()
        },
        ..options()
    };
    let shop = Shop::serve_with_exactly(pool, options).await;
    let state = async |name: &str| {
        partition(&shop, name).await["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // This is the last partition that the sweep reaches.
    let deadline = Deadline::new("a dropped partition", 120);
    while state("changes_2026_05").await != "dropped" {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state("orders_2024_01").await, "archived");
    assert_eq!(
        state("orders_2025_11").await,
        "attached",
        "it ended less than 12 months ago"
    );
    assert_eq!(state("orders_2025_12").await, "attached");
}
