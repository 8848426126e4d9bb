//! Database faults: connections that die silently, locked rows, a read-only standby, an outage.

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

/// A read that bypasses the cache.
async fn read(shop: &Shop, path: &str) -> Answer {
    let request = shop.request(Method::GET, path);
    shop.send(request.header("cache-control", "no-cache")).await
}

/// Reads until twelve responses in a row succeed.
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
async fn connections_that_die_silently_are_detected_and_replaced() {
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
        // Long enough for every connection to lose some bytes.
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
async fn slow_statement_is_not_mistaken_for_a_dead_connection() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    let holder = shop.lock_table("categories").await;
    let slow = tokio::spawn({
        let request = shop
            .request(Method::GET, "/v1/categories")
            .header("cache-control", "no-cache");
        async move { request.send().await.unwrap().status() }
    });
    // Longer than the two seconds after which the server checks the backend of a call, and than two checks.
    tokio::time::sleep(Duration::from_millis(3_800)).await;
    holder.rollback().await.unwrap();
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_waiting_for_locks_do_not_block_readers_and_probes() {
    let shop: SharedShop = Arc::new(Shop::open().await);
    let product = shop.product("A-1", 100).await;
    let customer = shop.customer("ada@example.org").await;
    let holder = shop.lock_rows("products").await;
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
    // A lock wait ends after two seconds, and a refused write has changed nothing.
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
async fn product_import_and_orders_of_the_same_products_do_not_deadlock() {
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
    // The file names the last product first, while orders lock the first one first. Locking batch by batch would
    // deadlock.
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
    // The import waits for the first row that it locks, so it holds no other row yet.
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
async fn interrupted_commit_is_not_reported_as_rolled_back() {
    let database = fresh_database().await;
    let pool = connect(database.clone(), 8).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    // A commit so slow that its connection is terminated before it ends.
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
    assert!(detail.contains("Read the rows before you"), "{detail}");
}

#[tokio::test]
async fn read_only_database_is_reported_and_its_connections_are_replaced() {
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
    // On each connection the first call finds it terminated.
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
    // Connections that were opened while the database was read-only would otherwise stay read-only for life.
    set("off").await;
    shop.patch(&tea, &json!({"name": "Teas"})).await.ok(200);
}

#[tokio::test]
async fn database_outage_is_reported_at_once_and_ends_when_the_database_returns() {
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
    assert!(detail.contains("Try again"), "{detail}");
    open_database(&database).await;
    recovered(&shop).await;
    shop.category("Milk").await;
}

#[tokio::test]
async fn migration_ignores_the_limits_of_everyday_statements() {
    let database = fresh_database().await;
    let name = database.get_database().unwrap();
    let pool = connect(database.clone(), 2).await.unwrap();
    // Short limits that an operator may have set for everyday statements.
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
