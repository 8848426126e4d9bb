//! Redis is down, slow, empty or restored from an old dump; servers die at the worst moment. Reads and writes
//! continue, and invalidations that could not be sent at once are repaired.

use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use stockroom_tests::{
    Answer, Deadline, Node, OtherCluster, RedisProcess, Shop, caching_in, connect, database_url,
    fresh_database, http_client, path,
    proxy::{Flow, Proxy},
};

pub(crate) fn status(answer: &Answer) -> &str {
    answer.header("cache-status")
}

/// Reads until the response satisfies `wanted`; returns how long that took.
pub(crate) async fn until(shop: &Shop, path: &str, wanted: impl Fn(&Answer) -> bool) -> Duration {
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

/// A shop that caches in this Redis, and the path of a category `Tea` that is already cached.
pub(crate) async fn with_tea(redis: &RedisProcess) -> (Shop, String) {
    let shop = Shop::open_with(caching_in(&redis.url())).await;
    shop.cache_is_up().await;
    let path = path("categories", &shop.category("Tea").await);
    until(&shop, &path, is_hit).await;
    (shop, path)
}

pub(crate) fn is_hit(answer: &Answer) -> bool {
    status(answer).starts_with("stockroom; hit")
}

#[tokio::test]
async fn server_starts_without_redis_and_uses_it_once_it_is_up() {
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
async fn redis_without_a_visible_run_id_starts_a_new_epoch_per_connection() {
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
    // After a lost connection the old entries are not trusted, because Redis may have restored an old dump.
    redis.command(&["SAVE"]).await.unwrap();
    redis.kill();
    shop.patch(&path, &json!({"name": "Coffee"})).await.ok(200);
    redis.restart();
    hide(&redis).await;
    until(&shop, &path, is_hit).await;
    assert_eq!(shop.get(&path).await.body["name"], "Coffee");
}

#[tokio::test]
async fn lost_redis_costs_readers_and_writers_only_the_cache() {
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
    // Entries from before the outage are never served, neither at first nor later.
    let newest = |answer: &Answer| {
        assert_eq!(answer.body["name"], "Tea 19");
        status(answer).starts_with("stockroom; hit")
    };
    until(&shop, &path, newest).await;
}

#[tokio::test]
async fn hanging_redis_costs_a_reader_its_budget_once() {
    let redis = RedisProcess::start();
    let (shop, path) = with_tea(&redis).await;
    redis.signal(Signal::STOP);
    let answer = shop.get(&path).await;
    assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=store-down");
    // The breaker is open: reads send nothing to Redis, so none of them waits.
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
    // Each of these reads bypasses the cache at once, without a command to Redis.
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
async fn redis_restored_from_an_old_dump_is_not_trusted() {
    let mut redis = RedisProcess::start();
    let (shop, path) = with_tea(&redis).await;
    redis.command(&["SAVE"]).await.unwrap();
    let written = shop.patch(&path, &json!({"name": "Teas"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "");
    redis.kill();
    redis.restart();
    // The dump holds the old row and matching nonces, but their epoch belongs to another process.
    let newest = |answer: &Answer| {
        assert_eq!(answer.body["name"], "Teas");
        status(answer).starts_with("stockroom; hit")
    };
    until(&shop, &path, newest).await;
    redis.command(&["FLUSHALL"]).await.unwrap();
    until(&shop, &path, newest).await;
}

#[tokio::test]
async fn server_killed_between_commit_and_response_leaves_no_stale_entry() {
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
    // A cache hit proves that the writer's own link to Redis is up.
    let client = http_client();
    let deadline = Deadline::new("the loop to end", 120);
    loop {
        deadline.check();
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
    // The write was not acknowledged, but the stale entry must still be repaired.
    let answer: Result<Value, _> = match write.await.unwrap() {
        Ok(answer) => answer.text().await.map(Value::String),
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "it was answered: {answer:?}");
    until(&reader, &path, |answer| answer.body["name"] == "Teas").await;
}

/// Two servers of one shop: the first has lost its link to Redis, the second has not.
async fn servers_with_one_cut_off() -> (Shop, Shop, RedisProcess, Proxy) {
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
async fn repeated_write_invalidates_what_a_deferred_write_left() {
    let (cut_off, well, _redis, _link) = servers_with_one_cut_off().await;
    let path = path("categories", &well.category("Tea").await);
    until(&well, &path, is_hit).await;
    let teas = json!({"name": "Teas"});
    let written = cut_off.patch(&path, &teas).await;
    assert_eq!(written.header("stockroom-invalidation"), "deferred");
    // Another client repeats the same change on the second server, which reports that nothing changed.
    let again = well.patch(&path, &teas).await;
    assert_eq!(again.header("stockroom-invalidation"), "");
    assert_eq!(again.header("etag"), "\"2\"");
    assert_eq!(well.get(&path).await.body["name"], "Teas");
}

#[tokio::test]
async fn order_write_invalidates_the_list_of_its_previous_customer() {
    let (cut_off, well, _redis, _link) = servers_with_one_cut_off().await;
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
async fn database_copy_in_another_cluster_has_its_own_cache_entries() {
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
    // The copy includes the secrets that identify a shop.
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
