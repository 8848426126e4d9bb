//! Redis as a cluster, and behind sentinels that replace a dead primary.

use std::{fs, time::Duration};

use serde_json::json;
use stockroom_tests::{RedisProcess, Shop, caching_in, free_port, path};

async fn text(redis: &RedisProcess, words: &[&str]) -> String {
    let value = redis.command(words).await.unwrap();
    redis::from_redis_value(value).unwrap()
}

/// Reads until the response is a hit; every response must show the last written name.
async fn until_hit(shop: &Shop, path: &str, name: &str) {
    for _ in 0..20_000 {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["name"], name);
        if answer.header("cache-status").starts_with("stockroom; hit") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no hit");
}

#[tokio::test]
async fn redis_cluster_keeps_keys_on_every_node() {
    let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let nodes: Vec<RedisProcess> = (0..3)
        .map(|_| {
            let bus = free_port().to_string();
            RedisProcess::start_with(&[flags.as_slice(), &["--cluster-port", &bus]].concat())
        })
        .collect();
    let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
    for (node, (first, last)) in nodes.iter().zip(slots) {
        node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last])
            .await
            .unwrap();
        let (port, bus) = (node.address.port().to_string(), node.flag("--cluster-port"));
        nodes[0]
            .command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
            .await
            .unwrap();
    }
    for node in &nodes {
        while !text(node, &["CLUSTER", "INFO"])
            .await
            .contains("cluster_state:ok")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let hosts: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    let one = Shop::open_with(caching_in(&url)).await;
    let two = Shop::serve(one.pool.clone(), caching_in(&url)).await;
    one.cache_is_up().await;
    two.cache_is_up().await;
    let mut rows = Vec::new();
    for number in 0..20 {
        rows.push(path(
            "categories",
            &one.category(&format!("Tea {number}")).await,
        ));
    }
    for path in &rows {
        let name = one.get(path).await.body["name"]
            .as_str()
            .unwrap()
            .to_owned();
        until_hit(&two, path, &name).await;
        let written = one.patch(path, &json!({"name": format!("{name}!")})).await;
        assert_eq!(written.header("stockroom-invalidation"), "");
        until_hit(&two, path, &format!("{name}!")).await;
        until_hit(&one, path, &format!("{name}!")).await;
    }
    let mut holding = 0;
    for node in &nodes {
        let size = redis::from_redis_value::<i64>(node.command(&["DBSIZE"]).await.unwrap());
        holding += i32::from(size.unwrap() > 0);
    }
    assert_eq!(holding, 3, "the keys are not spread");
}

#[tokio::test]
async fn server_follows_the_sentinels_to_a_new_primary() {
    let mut primary = RedisProcess::start();
    let port = primary.address.port().to_string();
    let replica = RedisProcess::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]);
    while !text(&replica, &["INFO", "replication"])
        .await
        .contains("master_link_status:up")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sentinel = RedisProcess::start_sentinel(&format!(
        "sentinel monitor shop 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds shop 300\n\
         sentinel failover-timeout shop 3000\n"
    ));
    while !text(&sentinel, &["INFO", "sentinel"])
        .await
        .contains("slaves=1")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let url = format!("redis+sentinel://{}/shop", sentinel.address);
    let shop = Shop::open_with(caching_in(&url)).await;
    shop.cache_is_up().await;
    let path = path("categories", &shop.category("Tea").await);
    until_hit(&shop, &path, "Tea").await;
    primary.kill();
    shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    // Reads go to the database until the replica becomes the primary, then to its cache.
    until_hit(&shop, &path, "Teas").await;
    assert!(
        text(&replica, &["INFO", "replication"])
            .await
            .contains("role:master")
    );
    let config = fs::read_to_string(sentinel.config().unwrap()).unwrap();
    assert!(
        config.contains(&replica.address.port().to_string()),
        "{config}"
    );
}
