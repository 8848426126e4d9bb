//! Wrong clocks. Partitions are deleted for good by their age, so the wrong clock of one server must never make
//! anything old.

use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use stockroom_server::{
    Age, Clock, Options, Retention,
    cache::{CacheOptions, StoreKind},
};
use stockroom_tests::{Deadline, Node, Shop, connect, database_url, fresh_database};

/// A server whose clock is this many days ahead and that sweeps every 20 ms.
fn ahead(days: u64) -> Options {
    Options {
        clock: Clock::new(move || Utc::now() + Days::new(days)),
        orders_retention: Retention::Drop(Age::Months(36)),
        changes_retention: Retention::Drop(Age::Days(90)),
        sweep_every: Duration::from_millis(20),
        ..Options::default()
    }
}

async fn states(shop: &Shop) -> Vec<(String, String)> {
    let partitions = shop.get("/v1/partitions").await.ok(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let partitions = partitions["items"].as_array().unwrap().iter();
    partitions
        .map(|partition| (text(&partition["name"]), text(&partition["state"])))
        .collect()
}

/// Adds an empty partition of the change log for a month long ago.
async fn add_old_month(pool: &PgPool, month: &str) {
    let name = month.replace('-', "_");
    let make = format!(
        "create table changes_{name} (like changes including all);
        alter table changes attach partition changes_{name}
            for values from ('{month}-01T00:00:00Z') to ('{month}-01T00:00:00Z'::timestamptz + '1 month')"
    );
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn server_with_a_clock_ahead_drops_no_recent_partition_and_still_writes() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    shop.order(&customer, &product, 1).await;
    let before = states(&shop).await;
    for (days, old) in [(365, "2020-01"), (1_500, "2020-02")] {
        add_old_month(&shop.pool, old).await;
        let wrong = Shop::serve(shop.pool.clone(), ahead(days)).await;
        // A partition that is old by the database's clock is dropped in the second sweep, so by then two sweeps have
        // run.
        let old = (
            format!("changes_{}", old.replace('-', "_")),
            "dropped".to_owned(),
        );
        let deadline = Deadline::new("the partition in its former state", 120);
        while !states(&shop).await.contains(&old) {
            deadline.check();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        wrong.customer(&format!("{days}@example.org")).await;
        let after = states(&wrong).await;
        for partition in &before {
            assert!(
                after.contains(partition),
                "{days} days ahead: {partition:?} of {after:?}"
            );
        }
        wrong.close().await;
    }
    shop.order(&customer, &product, 1).await;
}

#[tokio::test]
async fn partition_is_not_deleted_by_the_sweep_that_announces_it() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    for month in ["2020-01", "2020-02", "2020-03", "2020-04", "2020-05"] {
        add_old_month(&shop.pool, month).await;
    }
    let gone = async || {
        let states = states(&shop).await;
        states
            .iter()
            .filter(|(_, state)| state == "dropped")
            .count()
    };
    // A server sweeps immediately after its start, and this first sweep only announces.
    let once = Options {
        sweep_every: Duration::from_secs(3_600),
        ..ahead(0)
    };
    for _ in 0..2 {
        let restarted = Shop::serve(shop.pool.clone(), once.clone()).await;
        restarted
            .category(&format!("{:?}", std::time::Instant::now()))
            .await;
        restarted.close().await;
        assert_eq!(gone().await, 0);
    }
    let sweeping = Shop::serve(shop.pool.clone(), ahead(0)).await;
    let deadline = Deadline::new("five partitions that are gone", 120);
    while gone().await < 5 {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sweeping.close().await;
}

/// Does what servers did before these rules existed: deletes the log, including months ahead, and archives the
/// orders.
async fn take_all_off(pool: &PgPool) {
    let mut undone = Vec::new();
    let partitions: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, inhparent::regclass::text from pg_inherits join pg_class on oid = inhrelid
        where inhparent in ('changes'::regclass, 'orders'::regclass, 'order_items'::regclass)",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for (name, parent) in &partitions {
        let family = if parent == "changes" {
            "changes"
        } else {
            "orders"
        };
        let state = if parent == "changes" {
            "dropped"
        } else {
            "archived"
        };
        let column = if parent == "changes" {
            "at"
        } else {
            "placed_at"
        };
        let suffix = name.strip_prefix(&format!("{parent}_")).unwrap();
        let from = format!("{}-01T00:00:00Z", suffix.replace('_', "-"));
        let from: DateTime<Utc> = from.parse().unwrap();
        let to = from.checked_add_months(chrono::Months::new(1)).unwrap();
        undone.push(format!("alter table {parent} detach partition {name}"));
        undone.push(match state {
            "dropped" => format!("drop table {name}"),
            _ => format!(
                "alter table {name} add constraint {name}_range_check
                    check ({column} >= '{from}' and {column} < '{to}');
                alter table {name} set schema archive"
            ),
        });
        if parent != "order_items" {
            undone.push(format!(
                "insert into archived_partitions (name, family, lower, upper, state, at)
                values ('{name}', '{family}', '{from}', '{to}', '{state}', now())"
            ));
        }
    }
    let undone = undone.join("; ");
    sqlx::raw_sql(AssertSqlSafe(undone))
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn partitions_detached_by_a_wrong_clock_return_with_the_next_start() {
    let database = fresh_database().await;
    let pool = connect(database, 8).await.unwrap();
    let shop = Shop::serve(pool.clone(), Options::default()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let order = shop.order(&customer, &product, 1).await;
    shop.close().await;
    take_all_off(&pool).await;
    let shop = Shop::serve_with_exactly(
        pool,
        Options {
            cache: CacheOptions {
                store: StoreKind::Off,
                ..CacheOptions::default()
            },
            ..Options::default()
        },
    )
    .await;
    while states(&shop)
        .await
        .iter()
        .any(|(_, state)| state != "attached")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let path = stockroom_tests::path("orders", &order);
    let patched = shop
        .patch(&path, &json!({"note": "here again"}))
        .await
        .ok(200);
    assert_eq!(patched["version"], 2);
    shop.order(&customer, &product, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_with_a_wrong_clock_refuses_to_start_and_reports_it() {
    let environment = vec![("DATABASE_URL", database_url(&fresh_database().await))];
    let mut node = Node::start("stockroom-server", environment);
    node.kill();
    for (days, direction) in [(400, "ahead of"), (-400, "behind")] {
        let Some(words) = node.start_with_clock_off(days) else {
            stockroom_tests::say("no libfaketime here; see deploy/install-tools");
            return;
        };
        assert!(
            words.contains("the clock of this machine is 345"),
            "{words}"
        );
        assert!(
            words.contains(&format!(" s {direction} that of the database")),
            "{words}"
        );
    }
    node.restart();
}
