//! What a cached response contains and reports, what a hit costs, and which entries a write leaves valid.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;
use stockroom_server::{
    Clock, Options,
    cache::{CacheOptions, StoreKind},
};
use stockroom_tests::{Answer, RedisProcess, Shop, caching_in, connect, fresh_database, path};

/// A shop whose Redis serves no other server, so that its command counts are exact.
pub(crate) async fn alone(redis: &RedisProcess) -> Shop {
    let mut options = caching_in(&redis.url());
    options.cache.budget = Duration::from_secs(60);
    let shop = Shop::open_with(options).await;
    shop.cache_is_up().await;
    shop
}

pub(crate) fn status(answer: &Answer) -> &str {
    answer.header("cache-status")
}

pub(crate) async fn get_past(shop: &Shop, path: &str) -> Answer {
    let request = shop.request(Method::GET, path);
    shop.send(request.header("cache-control", "no-cache")).await
}

/// Reads a path and returns how the cache answered: `hit`, `miss`, `stale` or `bypass`.
pub(crate) async fn how(shop: &Shop, path: &str) -> &'static str {
    let answer = shop.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    ["hit", "miss", "stale", "bypass"]
        .into_iter()
        .find(|word| status(&answer).contains(word))
        .unwrap()
}

#[tokio::test]
async fn cache_status_header_reports_hit_miss_and_bypass() {
    let shop = Shop::open().await;
    let path = path("categories", &shop.category("Tea").await);
    let first = shop.get(&path).await;
    assert_eq!(status(&first), "stockroom; fwd=miss; stored");
    assert_eq!(first.header("age"), "");
    let second = shop.get(&path).await;
    let ttl = status(&second)
        .strip_prefix("stockroom; hit; ttl=")
        .unwrap();
    assert!((530..=600).contains(&ttl.parse::<i32>().unwrap()), "{ttl}");
    assert_eq!(second.header("age"), "0");
    // A client or proxy that stores the response must revalidate it.
    assert_eq!(second.header("cache-control"), "no-cache");
    assert_eq!(first.body, second.body);
    let past = get_past(&shop, &path).await;
    assert_eq!(status(&past), "stockroom; fwd=bypass");
    shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    let after = shop.get(&path).await;
    assert_eq!(status(&after), "stockroom; fwd=stale; stored");
    assert_eq!(after.body["name"], "Teas");
}

#[tokio::test]
async fn list_has_an_etag_and_an_unchanged_list_is_not_sent_again() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    let page = shop.get("/v1/categories").await;
    let known = page.header("etag").to_owned();
    let again = |known: String| {
        let request = shop.request(Method::GET, "/v1/categories");
        shop.send(request.header("if-none-match", known))
    };
    let unchanged = again(known.clone()).await;
    assert_eq!(unchanged.status, 304);
    assert!(status(&unchanged).starts_with("stockroom; hit"));
    assert!(unchanged.link("last").is_some());
    shop.category("Coffee").await;
    let changed = again(known).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn equivalent_queries_share_a_cache_entry() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    assert_eq!(
        how(&shop, "/v1/categories?sort=name&limit=50").await,
        "miss"
    );
    for equal in ["/v1/categories", "/v1/categories?limit=50&count=none&q="] {
        assert_eq!(how(&shop, equal).await, "hit", "{equal}");
    }
    assert_eq!(how(&shop, "/v1/categories?sort=-name").await, "miss");
    assert_eq!(how(&shop, "/v1/categories?limit=51").await, "miss");
}

#[tokio::test]
async fn write_invalidates_only_the_responses_that_show_the_row() {
    let shop = Shop::open().await;
    let (tea, coffee) = (
        shop.product("TEA", 10).await,
        shop.product("COFFEE", 10).await,
    );
    let (tea, coffee) = (path("products", &tea), path("products", &coffee));
    let both = format!("/v1/products?id={},{}", &tea[13..], &coffee[13..]);
    for path in [&tea, &coffee, "/v1/products", &both, "/v1/categories"] {
        assert_eq!(how(&shop, path).await, "miss", "{path}");
    }
    shop.patch(&tea, &json!({"name": "Green"})).await.ok(200);
    assert_eq!(how(&shop, &coffee).await, "hit");
    assert_eq!(how(&shop, "/v1/categories").await, "hit");
    for path in [&tea, "/v1/products", &both] {
        assert_eq!(how(&shop, path).await, "stale", "{path}");
    }
    shop.delete(&coffee).await;
    shop.get(&coffee).await.refused(404);
    assert_eq!(
        shop.get("/v1/products").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // A list that names a missing row is not cached, because a bulk load could create the row without naming its tag.
    assert_eq!(how(&shop, &both).await, "stale");
    assert_eq!(how(&shop, &both).await, "miss");
}

#[tokio::test]
async fn cache_hit_costs_at_most_one_round_trip_which_concurrent_reads_share() {
    let redis = RedisProcess::start();
    let shop = alone(&redis).await;
    let path = path("categories", &shop.category("Tea").await);
    assert_eq!(how(&shop, &path).await, "miss");
    let before = [
        redis.calls("mget").await,
        redis.calls("set").await,
        redis.calls("get").await,
    ];
    for _ in 0..50 {
        assert_eq!(how(&shop, &path).await, "hit");
    }
    let after = [
        redis.calls("mget").await,
        redis.calls("set").await,
        redis.calls("get").await,
    ];
    assert_eq!(
        [
            after[0] - before[0],
            after[1] - before[1],
            after[2] - before[2]
        ],
        [50, 0, 0]
    );
    // A second server reads the entry from Redis, also in one round trip.
    let other = Shop::serve(shop.pool.clone(), caching_in(&redis.url())).await;
    other.cache_is_up().await;
    let before = redis.calls("mget").await;
    assert_eq!(how(&other, &path).await, "hit");
    assert_eq!(redis.calls("mget").await - before, 1);
    // Forty concurrent reads: those that arrive during a round trip share the next one. How many do depends on the
    // machine, so the test retries until most of them share.
    for _ in 0..100 {
        let before = redis.calls("mget").await;
        let readers = (0..40).map(|_| shop.request(Method::GET, &path).send());
        let answers = futures_util::future::join_all(readers).await;
        let is_hit = |answer: &reqwest::Result<reqwest::Response>| {
            let status = &answer.as_ref().unwrap().headers()["cache-status"];
            status.as_bytes().starts_with(b"stockroom; hit")
        };
        let (hits, trips) = (
            answers.iter().filter(|answer| is_hit(answer)).count() as u64,
            redis.calls("mget").await - before,
        );
        assert!(trips <= 2 * 40, "{trips}");
        if hits == 40 && trips < 20 {
            return;
        }
    }
    panic!("no round trip was shared");
}

#[tokio::test]
async fn cache_store_may_be_memory_or_off() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let cache = CacheOptions {
        store: StoreKind::Memory,
        ..CacheOptions::default()
    };
    let shop = Shop::serve(
        pool.clone(),
        Options {
            cache,
            ..Options::default()
        },
    )
    .await;
    let path = path("categories", &shop.category("Tea").await);
    assert_eq!(how(&shop, &path).await, "miss");
    assert_eq!(how(&shop, &path).await, "hit");
    shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    assert_eq!(shop.get(&path).await.body["name"], "Teas");
    let stats = shop.get("/v1/stats").await.ok(200);
    assert_eq!(stats["cache"]["store"], "memory");

    let off = Shop::serve_with_exactly(pool, Options::default()).await;
    let answer = off.get(&path).await;
    assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=off");
    let written = off.patch(&path, &json!({"name": "Tea"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "");
}

#[tokio::test]
async fn cache_entry_expires_after_ten_minutes() {
    let millis = Arc::new(AtomicI64::new(0));
    let (now, passed) = (Utc::now(), millis.clone());
    let clock = Clock::new(move || now + TimeDelta::milliseconds(passed.load(Ordering::Relaxed)));
    let shop = Shop::open_with(Options {
        clock,
        ..Options::default()
    })
    .await;
    let path = path("categories", &shop.category("Tea").await);
    assert_eq!(how(&shop, &path).await, "miss");
    millis.store(530_000, Ordering::Relaxed);
    let answer = shop.get(&path).await;
    assert!(
        status(&answer).starts_with("stockroom; hit"),
        "{}",
        status(&answer)
    );
    assert_eq!(answer.header("age"), "530");
    millis.store(600_000, Ordering::Relaxed);
    assert_eq!(how(&shop, &path).await, "miss");
}

#[tokio::test]
async fn shops_that_share_a_redis_do_not_share_entries() {
    let redis = RedisProcess::start();
    let (one, two) = (alone(&redis).await, alone(&redis).await);
    one.category("Tea").await;
    assert_eq!(
        one.get("/v1/categories").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        two.get("/v1/categories").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn metrics_report_the_cache_counters() {
    let shop = Shop::open().await;
    let path = path("categories", &shop.category("Tea").await);
    for _ in 0..3 {
        shop.get(&path).await.ok(200);
    }
    get_past(&shop, &path).await.ok(200);
    let text = shop.request(Method::GET, "/metrics").send().await.unwrap();
    let kind = text.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = text.text().await.unwrap();
    for line in [
        "stockroom_cache_hits_total 2",
        "stockroom_cache_misses_total 1",
        "stockroom_cache_bypasses_total 1",
        "stockroom_cache_fills_total 1",
        "stockroom_cache_invalidations_total 1",
        "stockroom_cache_deferred_total 0",
        "stockroom_cache_relay_repairs_total 0",
        "stockroom_cache_breaker_open 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no `{line}` in\n{text}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn bulk_load_invalidates_the_lists_that_it_changes() {
    let shop = Shop::open().await;
    let paths = [
        "/v1/orders",
        "/v1/products",
        "/v1/customers",
        "/v1/categories",
    ];
    for path in paths {
        assert_eq!(shop.get(path).await.body["items"], json!([]));
        assert_eq!(how(&shop, path).await, "hit", "{path}");
    }
    let job = json!({"seed": 3, "categories": 2, "products": 5, "customers": 5, "orders": 20, "months": 2});
    assert_eq!(shop.seed(&job).await["state"], "done");
    for path in paths {
        assert_ne!(shop.get(path).await.body["items"], json!([]), "{path}");
    }
}
