//! What the cache answers and says of it, what a hit costs, and what a write leaves alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::{
    Clock, Options,
    cache::{CacheOptions, StoreKind},
};
use stockroom_tests::{Answer, RedisProcess, Shop, caching_in, connect, fresh_database, path};

/// A shop with a Redis of its own, which nobody else counts on.
async fn alone(redis: &RedisProcess) -> Shop {
    let mut options = caching_in(&redis.url());
    options.cache.budget = Duration::from_secs(60);
    let shop = Shop::open_with(options).await;
    shop.cache_is_up().await;
    shop
}

fn status(answer: &Answer) -> &str {
    answer.header("cache-status")
}

async fn get_past(shop: &Shop, path: &str) -> Answer {
    let request = shop.request(Method::GET, path);
    shop.send(request.header("cache-control", "no-cache")).await
}

/// Reads a path and says how it was answered: `hit`, `miss`, `stale` or `bypass`.
async fn how(shop: &Shop, path: &str) -> &'static str {
    let answer = shop.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    ["hit", "miss", "stale", "bypass"]
        .into_iter()
        .find(|word| status(&answer).contains(word))
        .unwrap()
}

#[tokio::test]
async fn an_answer_says_how_the_cache_came_by_it() {
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
    // Whoever keeps it on the way must ask again.
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
async fn lists_have_an_etag_and_unchanged_ones_are_not_sent_again() {
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
async fn equal_queries_share_an_entry_however_they_are_written() {
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
async fn a_write_ends_every_answer_that_shows_the_row_and_no_other() {
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
    // A row that is not there is not remembered: a load in bulk could bring it unnamed.
    assert_eq!(how(&shop, &both).await, "stale");
    assert_eq!(how(&shop, &both).await, "miss");
}

#[tokio::test]
async fn an_order_ends_what_shows_its_stock_its_customer_and_its_month() {
    let shop = Shop::open().await;
    let (ada, bob) = (
        shop.customer("ada@example.org").await,
        shop.customer("bob@example.org").await,
    );
    let (tea, coffee) = (
        shop.product("TEA", 10).await,
        shop.product("COFFEE", 10).await,
    );
    let order = shop.order(&bob, &coffee, 1).await;
    let of = |customer: &Value| {
        format!(
            "/v1/orders?customer_id={}",
            customer["id"].as_str().unwrap()
        )
    };
    let shown = [
        path("products", &tea),
        "/v1/products".into(),
        of(&ada),
        "/v1/orders".into(),
    ];
    let others = [
        path("products", &coffee),
        path("customers", &ada),
        of(&bob),
        path("orders", &order),
    ];
    for path in shown.iter().chain(&others) {
        assert_eq!(how(&shop, path).await, "miss", "{path}");
    }
    shop.order(&ada, &tea, 2).await;
    for path in &shown {
        assert_eq!(how(&shop, path).await, "stale", "{path}");
    }
    for path in &others {
        assert_eq!(how(&shop, path).await, "hit", "{path}");
    }
    assert_eq!(shop.get(&shown[0]).await.body["stock"], 8);
}

/// Orders of several months, twelve in each, by one customer.
async fn months_of_orders(shop: &Shop, months: &[&str]) -> (Value, Value) {
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("TEA", 1_000).await,
    );
    for month in months {
        for day in 1..=12 {
            place(
                shop,
                &customer,
                &product,
                &format!("{month}-{day:02}T12:00:00Z"),
            )
            .await;
        }
    }
    (customer, product)
}

async fn place(shop: &Shop, customer: &Value, product: &Value, at: &str) {
    let order = json!({
        "customer_id": customer["id"], "placed_at": at,
        "items": [{"product_id": product["id"], "quantity": 1}],
    });
    shop.post("/v1/orders", &order).await.ok(201);
}

fn in_november() -> Options {
    let now: DateTime<Utc> = "2026-11-24T09:30:00Z".parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_write_today_leaves_the_pages_of_older_months_cached() {
    let shop = Shop::open_with(in_november()).await;
    let (customer, product) =
        months_of_orders(&shop, &["2026-08", "2026-09", "2026-10", "2026-11"]).await;
    // Pages of ten, from the newest to the oldest: each knows the months that it was read from.
    let mut paths = vec!["/v1/orders?limit=10".to_owned()];
    while let Some(next) = shop.get(paths.last().unwrap()).await.link("next") {
        paths.push(next);
    }
    assert_eq!(paths.len(), 5);
    let of_september = "/v1/orders?placed_from=2026-09-01&placed_before=2026-10-01&limit=20";
    assert_eq!(how(&shop, of_september).await, "miss");
    place(&shop, &customer, &product, "2026-11-23T12:00:00Z").await;
    let mut found = Vec::new();
    for path in &paths {
        found.push(how(&shop, path).await);
    }
    // The first two were read into November; the last met the end of the list, which any order may
    // move. Those between lie in older months.
    assert_eq!(found, ["stale", "stale", "hit", "hit", "stale"]);
    assert_eq!(how(&shop, of_september).await, "hit");
    place(&shop, &customer, &product, "2026-09-15T12:00:00Z").await;
    let page = shop.get(of_september).await;
    assert!(status(&page).contains("stale"));
    assert_eq!(page.body["items"].as_array().unwrap().len(), 13);
    let year = "/v1/stats?months=4";
    let first = shop.get(year).await.ok(200);
    assert_eq!(first["months"][0]["orders"], 13);
    assert_eq!(first["months"][2]["statuses"], json!({"pending": 13}));
    let loads = |stats: &Value| stats["cache"]["loads"].as_i64().unwrap();
    let before = loads(&shop.get(year).await.ok(200));
    place(&shop, &customer, &product, "2026-11-23T13:00:00Z").await;
    let after = shop.get(year).await.ok(200);
    assert_eq!(after["months"][0]["orders"], 14);
    // Only November and the counts were counted again.
    assert_eq!(loads(&after) - before, 2);
}

#[tokio::test]
async fn figures_count_what_there_is() {
    let shop = Shop::open_with(in_november()).await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("TEA", 100).await,
    );
    shop.order(&customer, &product, 2).await;
    let lost = shop.order(&customer, &product, 1).await;
    shop.patch(&path("orders", &lost), &json!({"status": "cancelled"}))
        .await
        .ok(200);
    let stats = shop.get("/v1/stats?months=2").await.ok(200);
    assert_eq!(
        stats["counts"]["orders"],
        json!({"value": 2, "exact": true})
    );
    let top = json!([{"product_id": product["id"], "pieces": 2, "revenue_minor": 2_500}]);
    let expected = json!([
        {"month": "2026-11", "orders": 2, "revenue_minor": 2_500, "archived": false,
            "statuses": {"pending": 1, "cancelled": 1}, "top_products": top},
        {"month": "2026-10", "orders": 0, "revenue_minor": 0, "archived": false,
            "statuses": {}, "top_products": []},
    ]);
    assert_eq!(stats["months"], expected);
    assert_eq!(stats["cache"]["store"], "redis");
    shop.get("/v1/stats?months=0")
        .await
        .refused_at(400, "?months", "out_of_range");
    shop.get("/v1/stats?weeks=2")
        .await
        .refused_at(400, "?weeks", "unknown_parameter");
}

#[tokio::test]
async fn a_hit_costs_one_round_trip_at_the_most_and_those_who_wait_share_it() {
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
    // Another server has it from Redis, by one round trip as well.
    let other = Shop::serve(shop.pool.clone(), caching_in(&redis.url())).await;
    other.cache_is_up().await;
    let before = redis.calls("mget").await;
    assert_eq!(how(&other, &path).await, "hit");
    assert_eq!(redis.calls("mget").await - before, 1);
    // Forty who ask at once: those who come while a round trip is under way share the next. How many
    // that are is the machine's to say, but some time it will be most of them.
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
async fn a_server_that_is_alone_caches_in_its_memory_and_one_without_a_place_not_at_all() {
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

    let off = Shop::serve_as_told(pool, Options::default()).await;
    let answer = off.get(&path).await;
    assert_eq!(status(&answer), "stockroom; fwd=bypass; detail=off");
    let written = off.patch(&path, &json!({"name": "Tea"})).await;
    assert_eq!(written.header("stockroom-invalidation"), "");
}

#[tokio::test]
async fn an_entry_ends_after_ten_minutes() {
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
async fn shops_that_share_a_redis_keep_apart() {
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
async fn metrics_tell_what_the_cache_does() {
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
async fn loads_in_bulk_end_the_lists_that_they_change() {
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
