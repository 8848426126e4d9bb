//! The database: links that die without a word, rows that somebody holds, a standby, an outage.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use stockroom_server::{Options, Pooling, migrate};
use stockroom_tests::{
    Answer, SharedShop, Shop, close_database, connect, fresh_database, open_database, path,
    proxy::{Flow, Proxy},
    throw_out,
};
use tokio::task::JoinSet;

/// A read that goes to the database.
async fn read(shop: &Shop, path: &str) -> Answer {
    let request = shop.request(Method::GET, path);
    shop.send(request.header("cache-control", "no-cache")).await
}

/// Reads until twelve answers in a row are good.
async fn recovered(shop: &Shop) {
    let (mut good, began) = (0, std::time::Instant::now());
    while good < 12 {
        match read(shop, "/v1/categories").await.status.as_u16() {
            200 => good += 1,
            503 => good = 0,
            status => panic!("{status}"),
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not recover"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_die_silently_are_found_dead_and_replaced() {
    let database = fresh_database().await;
    let (proxy, through) = Proxy::start_to_postgres(&database).await;
    let pool = connect(through, 8).await.unwrap();
    let shop: SharedShop = Arc::new(Shop::serve(pool, Options::default()).await);
    let tea = path("categories", &shop.category("Tea").await);
    for round in 0..2 {
        let mut callers = JoinSet::new();
        for _ in 0..12 {
            let (shop, tea) = (shop.clone(), tea.clone());
            callers.spawn(async move {
                read(&shop, "/v1/categories?sort=-name").await;
                shop.patch(&tea, &json!({"description": "x"})).await;
            });
        }
        proxy.set(|faults| {
            faults.requests = Flow::Swallowed;
            faults.replies = Flow::Swallowed;
        });
        // Long enough for every connection to have lost something.
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxy.heal();
        recovered(&shop).await;
        shop.patch(&tea, &json!({"name": format!("Tea {round}")}))
            .await
            .ok(200);
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
    }
    assert_eq!(shop.get("/readyz").await.ok(200)["status"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_its_time_is_not_taken_for_dead() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    let holder = shop.shut("categories").await;
    let slow = tokio::spawn({
        let request = shop
            .request(Method::GET, "/v1/categories")
            .header("cache-control", "no-cache");
        async move { request.send().await.unwrap().status() }
    });
    // Longer than one is doubted, and asked twice.
    tokio::time::sleep(Duration::from_millis(3_800)).await;
    holder.rollback().await.unwrap();
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_who_wait_for_rows_leave_readers_and_probes_alone() {
    let shop: SharedShop = Arc::new(Shop::open().await);
    let product = shop.product("A-1", 100).await;
    let customer = shop.customer("ada@example.org").await;
    let holder = shop.hold("products").await;
    let order = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    let mut writers = JoinSet::new();
    for _ in 0..40 {
        let (shop, order) = (shop.clone(), order.clone());
        writers.spawn(async move { shop.post("/v1/orders", &order).await });
    }
    shop.sees_a_wait().await;
    for _ in 0..20 {
        read(&shop, "/v1/products").await.ok(200);
        shop.get("/readyz").await.ok(200);
    }
    assert!(writers.try_join_next().is_none(), "the writers still wait");
    // Nobody waits for a lock longer than two seconds, and what is refused then was not done.
    while let Some(writer) = writers.join_next().await {
        let answer = writer.unwrap();
        assert_eq!(answer.header("retry-after"), "1");
        answer.refused(503);
    }
    holder.rollback().await.unwrap();
    assert_eq!(shop.stock(&product).await, 100);
    shop.post("/v1/orders", &order).await.ok(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_products_and_orders_of_them_do_not_end_each_other() {
    let shop: SharedShop = Arc::new(Shop::open().await);
    let category = shop.category("Tea").await;
    let customer = shop.customer("ada@example.org").await;
    let product = |index: usize| {
        json!({
            "category_id": category["id"], "sku": format!("P-{index:04}"), "name": "Tea",
            "price_minor": 100, "stock": 1_000_000,
        })
    };
    let products: Vec<Value> = (0..1_200).map(product).collect();
    shop.post("/v1/products/bulk", &json!(products))
        .await
        .ok(200);
    let page = shop.get("/v1/products?sort=sku&limit=2").await.ok(200);
    let first = page["items"][0].clone();
    let last = shop.get("/v1/products?sort=-sku&limit=1").await.ok(200)["items"][0].clone();
    // The file names the last first, orders lock the first first: batch by batch they would meet.
    let mut file = String::from("sku,price_minor\n");
    for index in (0..1_200).rev() {
        file += &format!("P-{index:04},{}\n", 200 + index);
    }
    let order = json!({
        "customer_id": customer["id"],
        "items": [{"product_id": first["id"], "quantity": 1}, {"product_id": last["id"], "quantity": 1}],
    });
    let mut holder = shop.pool.begin().await.unwrap();
    let held: String =
        sqlx::query_scalar("select sku from products order by id limit 1 for update")
            .fetch_one(&mut *holder)
            .await
            .unwrap();
    let import = tokio::spawn({
        let request = shop
            .request(Method::POST, "/v1/products/import?format=csv")
            .body(file);
        let shop = shop.clone();
        async move { shop.send(request).await }
    });
    shop.sees_a_wait().await;
    // It waits for the first of its rows, so it holds none of the others yet.
    let free = "select from products where sku <> $1 for update nowait";
    let mut other = shop.pool.begin().await.unwrap();
    let free = sqlx::query(free)
        .bind(held)
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(free.rows_affected(), 1_199);
    other.rollback().await.unwrap();
    holder.rollback().await.unwrap();
    let mut orders = JoinSet::new();
    for _ in 0..4 {
        let (shop, order) = (shop.clone(), order.clone());
        orders.spawn(async move { shop.post("/v1/orders", &order).await });
    }
    let report = import.await.unwrap().ok(200);
    assert_eq!(report["updated"], 1_200, "{report}");
    while let Some(order) = orders.join_next().await {
        order.unwrap().ok(201);
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks)
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(deadlocks, 0);
}

#[tokio::test]
async fn a_commit_that_breaks_off_is_not_said_to_be_undone() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 8).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    // A commit that takes so long that its connection ends meanwhile.
    let slow = "create function linger() returns trigger language plpgsql as
            $$ begin perform pg_sleep(60); return null; end $$;
        create constraint trigger linger after insert on categories
            deferrable initially deferred for each row execute function linger()";
    sqlx::raw_sql(slow).execute(&shop.pool).await.unwrap();
    let write = tokio::spawn({
        let request = shop
            .request(Method::POST, "/v1/categories")
            .header("content-type", "application/json")
            .body(r#"{"name": "Tea"}"#);
        async move { Answer::read(request.send().await.unwrap()).await }
    });
    let committing = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'";
    while sqlx::query(committing)
        .execute(&shop.pool)
        .await
        .unwrap()
        .rows_affected()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let detail = write.await.unwrap().refused(504);
    assert!(
        detail.contains("Read what it would have changed"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_database_that_becomes_read_only_is_told_and_left_for_the_next() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 8).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    let tea = path("categories", &shop.category("Tea").await);
    let name = database.get_database().unwrap().to_owned();
    let set = async |value: &str| {
        let sql = format!("alter database {name} set default_transaction_read_only = {value}");
        let mut admin = database
            .clone()
            .database("postgres")
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut admin)
            .await
            .unwrap();
    };
    set("on").await;
    throw_out(&database).await;
    // The first call on each connection finds it ended.
    let refused = async || {
        let answer = shop.patch(&tea, &json!({"name": "Teas"})).await;
        assert_eq!(answer.header("retry-after"), "1");
        answer.refused(503)
    };
    for _ in 0..6 {
        refused().await;
    }
    let detail = shop.get("/readyz").await.refused(503);
    assert!(detail.contains("read-only"), "{detail}");
    read(&shop, "/v1/categories").await.ok(200);
    // Connections that were made meanwhile would stay read-only for as long as they live.
    set("off").await;
    shop.patch(&tea, &json!({"name": "Teas"})).await.ok(200);
}

#[tokio::test]
async fn a_database_that_is_away_is_told_at_once_and_found_when_it_is_back() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 8).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    shop.category("Tea").await;
    close_database(&database).await;
    for _ in 0..20 {
        read(&shop, "/v1/categories").await.refused(503);
        shop.post("/v1/categories", &json!({"name": "Milk"}))
            .await
            .refused(503);
    }
    let detail = shop.get("/readyz").await.refused(503);
    assert!(detail.contains("try again"), "{detail}");
    open_database(&database).await;
    recovered(&shop).await;
    shop.category("Milk").await;
}

#[tokio::test]
async fn a_migration_has_limits_of_its_own() {
    let database = fresh_database().await;
    let name = database.get_database().unwrap();
    let pool = connect(database.clone(), 2).await.unwrap();
    // What the role of a shop may have set for its everyday statements.
    let short = format!(
        "alter database {name} set statement_timeout = '200ms'; alter database {name} set lock_timeout = '100ms'"
    );
    sqlx::raw_sql(AssertSqlSafe(short))
        .execute(&pool)
        .await
        .unwrap();
    let mut holder = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table _sqlx_migrations in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    let hold = async {
        let waits = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Longer than the limits of everyday statements.
        tokio::time::sleep(Duration::from_millis(500)).await;
        holder.rollback().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(migrate(&database, Pooling::Session), hold);
    migrated.unwrap();
}
