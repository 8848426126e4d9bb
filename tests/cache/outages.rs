//! Redis away, slow, empty or older than it was; servers that die at the wrong moment. Reads and writes
//! go on, and what could not be said at once is repaired.

use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{
    Answer, Node, OtherCluster, RedisProcess, Shop, caching_in, connect, database_url,
    fresh_database, http_client, path,
    proxy::{Flow, Proxy},
};

fn status(answer: &Answer) -> &str {
    answer.header("cache-status")
}

/// Reads until the answer is as wanted; tells how long that took.
async fn until(shop: &Shop, path: &str, wanted: impl Fn(&Answer) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        if wanted(&answer) {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}: {}",
            status(&answer),
            answer.body
        );
        tokio::task::yield_now().await;
    }
}

/// A shop in that Redis, and the path of a category `Tea` that it has cached.
async fn with_tea(redis: &RedisProcess) -> (Shop, String) {
    let shop = Shop::open_with(caching_in(&redis.url())).await;
    shop.cache_is_up().await;
    let path = path("categories", &shop.category("Tea").await);
    until(&shop, &path, is_hit).await;
    (shop, path)
}

fn is_hit(answer: &Answer) -> bool {
    status(answer).starts_with("stockroom; hit")
}

#[tokio::test]
async fn a_server_starts_without_redis_and_uses_it_once_it_is_there() {
    let mut redis = RedisProcess::start();
    redis.kill();
    let shop = Shop::open_with(caching_in(&redis.url())).await;
    let written = shop.post("/v1/categories", &json!({"name": "Tea"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "deferred");
    let path = path("categories", &written.ok(201));
    let answer = shop.get(&path).await;
    assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=store-down");
    let stats = shop.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["is_up"], false);
    redis.restart();
    until(&shop, &path, is_hit).await;
    assert_eq!(shop.get("/v1/stats").await.ok(200)["cache"]["is_up"], true);
}

#[tokio::test]
async fn a_redis_that_hides_its_run_id_is_used_and_begins_anew_with_each_connection() {
    let mut redis = RedisProcess::start();
    let hide = async |redis: &RedisProcess| {
        redis
            .command(&["ACL", "SETUSER", "default", "-info"])
            .await
            .unwrap();
    };
    hide(&redis).await;
    let (shop, path) = with_tea(&redis).await;
    shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    assert_eq!(shop.get(&path).await.body["name"], "Teas");
    until(&shop, &path, is_hit).await;
    // What it had is not trusted once the connection was lost, for it may have gone back to a dump.
    redis.command(&["SAVE"]).await.unwrap();
    redis.kill();
    shop.patch(&path, &json!({"name": "Coffee"})).await.ok(200);
    redis.restart();
    hide(&redis).await;
    until(&shop, &path, is_hit).await;
    assert_eq!(shop.get(&path).await.body["name"], "Coffee");
}

#[tokio::test]
async fn a_redis_that_is_lost_costs_readers_and_writers_nothing_but_the_cache() {
    let mut redis = RedisProcess::start();
    let (shop, path) = with_tea(&redis).await;
    redis.kill();
    for round in 0..20 {
        let name = format!("Tea {round}");
        shop.patch(&path, &json!({"name": name})).await.ok(200);
        let answer = shop.get(&path).await;
        assert_eq!(answer.body["name"], name.as_str());
        assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=store-down");
    }
    redis.restart();
    // What changed meanwhile is not served from before, neither at first nor later.
    let newest = |answer: &Answer| {
        assert_eq!(answer.body["name"], "Tea 19");
        status(answer).starts_with("stockroom; hit")
    };
    until(&shop, &path, newest).await;
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_reader_its_budget_once() {
    let redis = RedisProcess::start();
    let (shop, path) = with_tea(&redis).await;
    redis.signal(Signal::STOP);
    let answer = shop.get(&path).await;
    assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=store-down");
    // The breaker is open: nobody waits any more, for nothing is sent.
    let stats = shop.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["is_up"], false);
    let trips = &stats["cache"]["round_trips"];
    for _ in 0..50 {
        assert_eq!(
            status(&shop.get(&path).await),
            "stockroom; fwd=bypass; detail=store-down"
        );
    }
    let written = shop.patch(&path, &json!({"name": "Teas"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "deferred");
    written.ok(200);
    let after = shop.get("/v1/stats").await.ok(200);
    // One ask of each of those reads at the most, answered at once without a word to Redis.
    assert!(
        after["cache"]["bypasses"].as_u64().unwrap() >= 50,
        "{trips}: {after}"
    );
    redis.signal(Signal::CONT);
    until(&shop, &path, |answer| {
        answer.body["name"] == "Teas" && status(answer).starts_with("stockroom; hit")
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_an_old_dump_is_not_believed() {
    let mut redis = RedisProcess::start();
    let (shop, path) = with_tea(&redis).await;
    redis.command(&["SAVE"]).await.unwrap();
    let written = shop.patch(&path, &json!({"name": "Teas"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "");
    redis.kill();
    redis.restart();
    // The dump has the old row and the nonces that fit it; their epoch is that of another process.
    let newest = |answer: &Answer| {
        assert_eq!(answer.body["name"], "Teas");
        status(answer).starts_with("stockroom; hit")
    };
    until(&shop, &path, newest).await;
    redis.command(&["FLUSHALL"]).await.unwrap();
    until(&shop, &path, newest).await;
}

#[tokio::test]
async fn a_write_whose_tags_cannot_be_deleted_says_so_and_the_relay_repairs() {
    let redis = RedisProcess::start();
    let link = Proxy::start(redis.address).await;
    let pool = connect(fresh_database().await, 8).await.unwrap();
    let writer = Shop::serve(
        pool.clone(),
        caching_in(&format!("redis://{}", link.address)),
    )
    .await;
    let reader = Shop::serve(pool, caching_in(&redis.url())).await;
    writer.cache_is_up().await;
    reader.cache_is_up().await;
    let path = path("categories", &writer.category("Tea").await);
    until(&reader, &path, is_hit).await;
    link.set(|faults| {
        faults.generation += 1;
        faults.refuses = true;
    });
    let written = writer.patch(&path, &json!({"name": "Teas"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "deferred");
    written.ok(200);
    // Its own reads go to the database; those of the other end when a relay has been there.
    assert_eq!(writer.get(&path).await.body["name"], "Teas");
    let took = until(&reader, &path, |answer| answer.body["name"] == "Teas").await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    let repairs = async || {
        let stats = reader.get("/v1/stats").await.ok(200);
        stats["cache"]["relay_repairs"].as_u64().unwrap()
    };
    while repairs().await == 0 {
        tokio::task::yield_now().await;
    }
    unrelayed(&reader, 0).await;
}

/// Waits until so many changes are left to the relays.
async fn unrelayed(shop: &Shop, wanted: i64) {
    let left = "select count(*) from changes where relayed_at is null";
    while sqlx::query_scalar::<_, i64>(left)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
        != wanted
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_writers_have_done_themselves_is_marked_and_not_done_again() {
    let shop = Shop::open().await;
    let path = path("categories", &shop.category("Tea").await);
    for round in 0..10 {
        shop.patch(&path, &json!({"name": format!("Tea {round}")}))
            .await
            .ok(200);
    }
    unrelayed(&shop, 0).await;
    let stats = shop.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["relay_repairs"], 0);
    assert_eq!(stats["cache"]["invalidations"], 11);
}

#[tokio::test]
async fn a_backlog_from_before_there_was_a_cache_is_marked_and_deletes_nothing() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let off = Shop::serve_as_told(pool.clone(), Options::default()).await;
    for name in ["Tea", "Coffee"] {
        off.category(name).await;
    }
    sqlx::query("update changes set at = at - interval '20 minutes'")
        .execute(&pool)
        .await
        .unwrap();
    off.category("Cocoa").await;
    // Even a server without a cache does so, but leaves what may matter to others.
    unrelayed(&off, 1).await;
    let on = Shop::serve(pool, Options::default()).await;
    unrelayed(&on, 0).await;
    let stats = on.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["relay_repairs"], 1);
}

#[tokio::test]
async fn a_server_killed_between_commit_and_answer_leaves_nothing_old_behind() {
    let redis = RedisProcess::start();
    let link = Proxy::start(redis.address).await;
    let database = fresh_database().await;
    let mut writer = Node::start(
        "stockroom-server",
        vec![
            ("DATABASE_URL", database_url(&database)),
            ("REDIS_URL", format!("redis://{}", link.address)),
        ],
    );
    let reader = Shop::serve(
        connect(database, 8).await.unwrap(),
        caching_in(&redis.url()),
    )
    .await;
    reader.cache_is_up().await;
    let path = path("categories", &reader.category("Tea").await);
    until(&reader, &path, is_hit).await;
    // The writer's own link is up when it answers from the cache too.
    let client = http_client();
    loop {
        let answer = client.get(writer.url(&path)).send().await.unwrap();
        if answer.headers()["cache-status"]
            .as_bytes()
            .starts_with(b"stockroom; hit")
        {
            break;
        }
    }
    link.set(|faults| faults.requests = Flow::Held);
    let write = client
        .request(Method::PATCH, writer.url(&path))
        .header("content-type", "application/json")
        .body(r#"{"name": "Teas"}"#);
    let write = tokio::spawn(write.send());
    let version = "select version from categories where name = 'Teas'";
    while sqlx::query_scalar::<_, i64>(version)
        .fetch_optional(&reader.pool)
        .await
        .unwrap()
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    writer.kill();
    link.cut();
    // Nobody was promised anything, and yet it does not stay so.
    let answer: Result<Value, _> = match write.await.unwrap() {
        Ok(answer) => answer.text().await.map(Value::String),
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "it was answered: {answer:?}");
    until(&reader, &path, |answer| answer.body["name"] == "Teas").await;
}

/// Two servers of one shop; the first has lost its link to Redis, the second has not.
async fn one_cut_off() -> (Shop, Shop, RedisProcess, Proxy) {
    let redis = RedisProcess::start();
    let link = Proxy::start(redis.address).await;
    let pool = connect(fresh_database().await, 8).await.unwrap();
    let cut_off = caching_in(&format!("redis://{}", link.address));
    let cut_off = Shop::serve(pool.clone(), cut_off).await;
    let well = Shop::serve(pool, caching_in(&redis.url())).await;
    cut_off.cache_is_up().await;
    well.cache_is_up().await;
    link.set(|faults| {
        faults.generation += 1;
        faults.refuses = true;
    });
    (cut_off, well, redis, link)
}

#[tokio::test]
async fn a_write_that_changes_nothing_ends_what_the_one_before_it_has_left() {
    let (cut_off, well, _redis, _link) = one_cut_off().await;
    let path = path("categories", &well.category("Tea").await);
    until(&well, &path, is_hit).await;
    let teas = json!({"name": "Teas"});
    let written = cut_off.patch(&path, &teas).await;
    assert_eq!(written.header("stockroom-invalidation"), "deferred");
    // Somebody who does not know says the same again, and is told that it is so.
    let again = well.patch(&path, &teas).await;
    assert_eq!(again.header("stockroom-invalidation"), "");
    assert_eq!(again.header("etag"), "\"2\"");
    assert_eq!(well.get(&path).await.body["name"], "Teas");
}

#[tokio::test]
async fn a_write_to_an_order_ends_the_list_of_the_customer_that_it_had_before() {
    let (cut_off, well, _redis, _link) = one_cut_off().await;
    let (ada, bob) = (
        well.customer("ada@example.org").await,
        well.customer("bob@example.org").await,
    );
    let order = path(
        "orders",
        &well.order(&ada, &well.product("TEA", 5).await, 1).await,
    );
    let of_ada = format!("/v1/orders?customer_id={}", ada["id"].as_str().unwrap());
    until(&well, &of_ada, is_hit).await;
    let moved = cut_off
        .patch(&order, &json!({"customer_id": bob["id"]}))
        .await;
    assert_eq!(moved.header("stockroom-invalidation"), "deferred");
    let noted = well.patch(&order, &json!({"note": "Ring twice"})).await;
    assert_eq!(noted.header("stockroom-invalidation"), "");
    assert_eq!(well.get(&of_ada).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_copy_of_the_database_in_another_cluster_has_answers_of_its_own() {
    let redis = RedisProcess::start();
    let database = fresh_database().await;
    let original = Shop::serve(
        connect(database.clone(), 8).await.unwrap(),
        caching_in(&redis.url()),
    )
    .await;
    let cluster = OtherCluster::start().await;
    let copied = cluster.database(database.get_database().unwrap()).await;
    let pool = connect(copied, 8).await.unwrap();
    // All that tells a shop from others is copied along.
    let secrets: Vec<(String, Vec<u8>)> = sqlx::query_as("select name, value from server_secrets")
        .fetch_all(&original.pool)
        .await
        .unwrap();
    for (name, value) in secrets {
        sqlx::query("insert into server_secrets (name, value) values ($1, $2)")
            .bind(name)
            .bind(value)
            .execute(&pool)
            .await
            .unwrap();
    }
    let copy = Shop::serve(pool, caching_in(&redis.url())).await;
    for shop in [&original, &copy] {
        shop.cache_is_up().await;
    }
    let tea = path("categories", &original.category("Tea").await);
    let create = copy
        .request(Method::PUT, &tea)
        .header("content-type", "application/json")
        .header("if-none-match", "*")
        .body(r#"{"name": "Staging"}"#);
    copy.send(create).await.ok(201);
    for _ in 0..3 {
        assert_eq!(original.get(&tea).await.ok(200)["name"], "Tea");
        assert_eq!(copy.get(&tea).await.ok(200)["name"], "Staging");
    }
    until(&copy, &tea, is_hit).await;
    copy.close().await;
    cluster.stop().await;
}
