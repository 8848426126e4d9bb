//! The relay: tags that a write could not delete are deleted later, and none twice.

use super::outages::{is_hit, until};
use serde_json::json;
use std::time::Duration;
use stockroom_server::Options;
use stockroom_tests::{
    Deadline, RedisProcess, Shop, caching_in, connect, fresh_database, path, proxy::Proxy,
};

#[tokio::test]
async fn write_with_undeleted_tags_is_reported_as_deferred_and_repaired_by_the_relay() {
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
    // The writer's own reads go to the database. Reads on the other server are fresh once a relay has repaired the
    // entry.
    assert_eq!(writer.get(&path).await.body["name"], "Teas");
    let took = until(&reader, &path, |answer| answer.body["name"] == "Teas").await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    let repairs = async || {
        let stats = reader.get("/v1/stats").await.ok(200);
        stats["cache"]["relay_repairs"].as_u64().unwrap()
    };
    let deadline = Deadline::new("a repair by the relay", 120);
    while repairs().await == 0 {
        deadline.check();
        tokio::task::yield_now().await;
    }
    unrelayed(&reader, 0).await;
}

/// Waits until exactly `wanted` changes are not relayed yet.
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
async fn relay_does_not_repeat_invalidations_that_writers_have_done() {
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
async fn backlog_from_before_the_cache_is_marked_as_relayed_and_deletes_nothing() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let off = Shop::serve_with_exactly(pool.clone(), Options::default()).await;
    for name in ["Tea", "Coffee"] {
        off.category(name).await;
    }
    sqlx::query("update changes set at = at - interval '20 minutes'")
        .execute(&pool)
        .await
        .unwrap();
    off.category("Cocoa").await;
    // A server without a cache marks old changes as relayed as well, but leaves the recent one, which may matter to
    // servers with a cache.
    unrelayed(&off, 1).await;
    let on = Shop::serve(pool, Options::default()).await;
    unrelayed(&on, 0).await;
    let stats = on.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["relay_repairs"], 1);
}
