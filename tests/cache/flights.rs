//! Concurrent misses of one entry share a single load, across all servers.

use reqwest::Method;
use serde_json::Value;
use stockroom_server::Options;
use stockroom_tests::{Deadline, RedisProcess, Shop, caching_in, path};

async fn sum(servers: &[&Shop], counter: &str) -> u64 {
    let mut sum = 0;
    for server in servers {
        let text = server
            .request(Method::GET, "/metrics")
            .send()
            .await
            .unwrap();
        let text = text.text().await.unwrap();
        let prefix = format!("stockroom_cache_{counter}_total ");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap();
        sum += value.parse::<u64>().unwrap();
    }
    sum
}

/// The number of connections that wait for a lock. In these tests each of them is a load.
async fn loading(shop: &Shop) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like 'select%'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_key_is_loaded_once_for_two_hundred_readers_on_two_servers() {
    let one = Shop::open().await;
    let two = Shop::serve(one.pool.clone(), Options::default()).await;
    one.cache_is_up().await;
    two.cache_is_up().await;
    let path = path("products", &one.product("TEA", 5).await);
    // The load, and with it every reader, waits for this lock.
    let holder = one.lock_table("products").await;
    let began = std::time::Instant::now();
    let readers: Vec<_> = (0..200)
        .map(|index| {
            let shop = if index % 2 == 0 { &one } else { &two };
            tokio::spawn(shop.request(Method::GET, &path).send())
        })
        .collect();
    while sum(&[&one, &two], "misses").await < 200 {
        tokio::task::yield_now().await;
    }
    while loading(&one).await == 0 {
        tokio::task::yield_now().await;
    }
    let loads = loading(&one).await;
    // The loading server's lease ends after three seconds; then the other server also loads.
    let is_leased = began.elapsed() < std::time::Duration::from_secs(3);
    assert!(loads == 1 || !is_leased && loads == 2, "{loads} loads");
    holder.commit().await.unwrap();
    for reader in readers {
        let answer = reader.await.unwrap().unwrap();
        let row: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(row["sku"], "TEA");
    }
    assert_eq!(sum(&[&one, &two], "loads").await, loads as u64);
    assert!(sum(&[&one, &two], "collapsed").await >= 198);
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_after_a_write_does_not_join_a_load_from_before_the_write() {
    let redis = RedisProcess::start();
    let shop = Shop::open_with(caching_in(&redis.url())).await;
    shop.cache_is_up().await;
    let path = path("products", &shop.product("TEA", 5).await);
    // The lock blocks the first load before it has read the row.
    let holder = shop.lock_table("products").await;
    let early = tokio::spawn(shop.request(Method::GET, &path).send());
    let deadline = Deadline::new("a load in the database", 120);
    while loading(&shop).await == 0 {
        deadline.check();
        tokio::task::yield_now().await;
    }
    // Simulates a write that is acknowledged meanwhile: its tags are deleted.
    let tags = redis.command(&["KEYS", "*tag:product:*"]).await.unwrap();
    let tags: Vec<String> = redis::from_redis_value(tags).unwrap();
    assert_eq!(tags.len(), 1);
    redis.command(&["DEL", &tags[0]]).await.unwrap();
    let late = tokio::spawn(shop.request(Method::GET, &path).send());
    let deadline = Deadline::new("two loads in the database", 120);
    while loading(&shop).await < 2 {
        deadline.check();
        tokio::task::yield_now().await;
    }
    holder.commit().await.unwrap();
    assert_eq!(early.await.unwrap().unwrap().status(), 200);
    assert_eq!(late.await.unwrap().unwrap().status(), 200);
    assert_eq!(sum(&[&shop], "loads").await, 2);
}
