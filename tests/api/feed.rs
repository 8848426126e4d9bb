//! `GET /v1/changes`: no entry is omitted or repeated, whatever fails and whoever writes.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{Events, Shop, connect, fresh_database, path};

async fn follow(shop: &Shop, query: &str, after: Option<i64>) -> Events {
    let mut request = shop.request(Method::GET, &format!("/v1/changes{query}"));
    if let Some(position) = after {
        request = request.header("last-event-id", position);
    }
    Events::of(request.send().await.unwrap())
}

#[tokio::test]
async fn feed_event_contains_the_row_and_what_it_touched() {
    let shop = Shop::open().await;
    let mut events = follow(&shop, "", None).await;
    // The position to resume from if the connection breaks before the first entry.
    let hello = events.next().await.unwrap();
    assert_eq!((hello.data, hello.id), (Value::Null, Some(0)));
    let (product, customer) = (
        shop.product("A-1", 5).await,
        shop.customer("ada@example.org").await,
    );
    let order = shop.order(&customer, &product, 2).await;
    let paid = shop
        .patch(&path("orders", &order), &json!({"status": "paid"}))
        .await
        .ok(200);
    let mut reported = Vec::new();
    for _ in 0..5 {
        reported.push(events.next_with_data().await);
    }
    let positions: Vec<i64> = reported.iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    let entities: Vec<&Value> = reported.iter().map(|event| &event.data["entity"]).collect();
    assert_eq!(
        entities,
        ["category", "product", "customer", "order", "order"]
    );
    let (placed, changed) = (&reported[3].data, &reported[4].data);
    let stock = json!([{"entity": "product", "id": product["id"]}]);
    assert_eq!(placed["touched"], stock);
    assert_eq!(placed["row"], order);
    assert_eq!(
        (&changed["changed"], &changed["row"]),
        (&json!(["/status"]), &paid)
    );
    assert_eq!(
        (&reported[4].name, &changed["version"]),
        (&"change".to_owned(), &json!(2))
    );
    shop.delete(&path("orders", &order)).await.ok(204);
    let gone = events.next_with_data().await.data;
    assert_eq!(
        (&gone["op"], &gone["row"], &gone["entity_id"]),
        (&json!("delete"), &Value::Null, &order["id"])
    );
    // The streams end when the server stops.
    shop.close().await;
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn feed_can_be_filtered_by_entity() {
    let shop = Shop::open_with(Options {
        heartbeat: Duration::from_millis(50),
        ..Options::default()
    })
    .await;
    let mut products = follow(&shop, "?entity=product", None).await;
    let mut people = follow(&shop, "?entity=category,customer", None).await;
    let (product, customer) = (
        shop.product("A-1", 5).await,
        shop.customer("ada@example.org").await,
    );
    let order = shop.order(&customer, &product, 2).await;
    let created = products.next_with_data().await;
    assert_eq!(created.data["entity_id"], product["id"]);
    // The order takes stock, so its entry also concerns the product.
    let placed = products.next_with_data().await;
    assert_eq!(placed.data["entity_id"], order["id"]);
    let entities = [
        people.next_with_data().await.data["entity"].clone(),
        people.next_with_data().await.data["entity"].clone(),
    ];
    assert_eq!(entities, ["category", "customer"]);
    // Of other entities a follower only learns the current position of the log.
    let mut products = follow(&shop, "?entity=category", Some(1)).await;
    loop {
        let event = products.next().await.unwrap();
        assert_eq!(event.data, Value::Null);
        if event.id == Some(4) {
            break;
        }
    }
    shop.get("/v1/changes?entity=teapot")
        .await
        .refused_at(400, "?entity", "unknown_value");
    shop.get("/v1/changes?since=1")
        .await
        .refused_at(400, "?since", "unknown_parameter");
}

/// Writers on two servers, and a follower that keeps losing its connection and resumes on the other server.
#[tokio::test]
async fn feed_omits_and_repeats_nothing_across_reconnects_and_servers() {
    const WRITERS: usize = 4;
    const WRITES: i64 = 40;
    let pool = connect(fresh_database().await, 12).await.unwrap();
    let servers = [
        Shop::serve(pool.clone(), Options::default()).await,
        Shop::serve(pool, Options::default()).await,
    ];
    let mut rows = Vec::new();
    for writer in 0..WRITERS {
        rows.push(servers[0].category(&format!("{writer}")).await);
    }
    let writing = futures_util::future::join_all(rows.iter().enumerate().map(|(writer, row)| {
        let shop = &servers[writer % 2];
        async move {
            for n in 2..=WRITES {
                let change = json!({"description": n.to_string()});
                shop.patch(&path("categories", row), &change).await.ok(200);
            }
        }
    }));
    let following = async {
        let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut last = 0;
        for turn in 0.. {
            let mut events = follow(&servers[turn % 2], "", Some(last)).await;
            // Reads a little further each time, then drops the connection.
            for _ in 0..(3 + turn % 9) {
                let event = events.next().await.unwrap();
                if event.data.is_null() {
                    assert_eq!(event.id, Some(last));
                    continue;
                }
                assert_eq!(event.id, Some(last + 1), "after {last}");
                last = event.id.unwrap();
                let id = event.data["entity_id"].as_str().unwrap().to_owned();
                let version = event.data["version"].as_i64().unwrap();
                versions.entry(id).or_default().push(version);
                if last == WRITERS as i64 * WRITES {
                    return versions;
                }
            }
        }
        versions
    };
    let (_, versions) = tokio::join!(writing, following);
    assert_eq!(versions.len(), WRITERS);
    for reported in versions.values() {
        // The entries of one row even arrive in the order of its versions.
        assert_eq!(*reported, (1..=WRITES).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn filtered_feed_still_reports_the_position_of_the_log() {
    let options = Options {
        heartbeat: Duration::from_millis(300),
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let row = shop.customer("ada@example.org").await;
    let mut events = follow(&shop, "?entity=category", None).await;
    let writing = async {
        // More often than the heartbeat of the stream.
        for n in 0.. {
            shop.patch(&path("customers", &row), &json!({"phone": n.to_string()}))
                .await
                .ok(200);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let hearing = async { while events.next().await.unwrap().id.unwrap() < 3 {} };
    tokio::select! {
        () = writing => {}
        () = hearing => {}
    }
}

#[tokio::test]
async fn feed_delivers_an_entry_that_commits_late() {
    let shop = Shop::open().await;
    let mut events = follow(&shop, "", None).await;
    events.next().await.unwrap();
    let mut late = shop.pool.begin().await.unwrap();
    sqlx::query(
        "insert into changes (at, seq, actor, entity, op, tags)
        values (now() - interval '2 seconds', gen_random_uuid(), 'late', 'category', 'seed', '{}')",
    )
    .execute(&mut *late)
    .await
    .unwrap();
    shop.category("Tea").await;
    let first = events.next_with_data().await;
    assert_eq!((first.id, &first.data["actor"]), (Some(1), &json!("admin")));
    late.commit().await.unwrap();
    let second = events.next_with_data().await;
    assert_eq!(
        (second.id, &second.data["actor"]),
        (Some(2), &json!("late"))
    );
}

#[tokio::test]
async fn feed_works_on_a_server_without_a_cache() {
    let pool = connect(fresh_database().await, 8).await.unwrap();
    let shop = Shop::serve_with_exactly(pool, Options::default()).await;
    let mut events = follow(&shop, "", None).await;
    let row = shop.category("Tea").await;
    assert_eq!(events.next_with_data().await.data["row"], row);
}

#[tokio::test]
async fn feed_answers_gone_after_a_deleted_position() {
    let shop = Shop::open().await;
    let mut events = follow(&shop, "", None).await;
    shop.product("A-1", 5).await;
    assert_eq!(events.next_with_data().await.id, Some(1));
    assert_eq!(events.next_with_data().await.id, Some(2));
    sqlx::query("delete from changes where position = 1")
        .execute(&shop.pool)
        .await
        .unwrap();
    let after = async |position: &str| {
        let request = shop.request(Method::GET, "/v1/changes");
        shop.send(request.header("last-event-id", position)).await
    };
    after("0").await.refused(410);
    // The position is beyond the end of the log, so it belongs to another shop.
    after("3").await.refused(410);
    after("-1").await.refused(400);
    after("x").await.refused(400);
    assert_eq!(
        follow(&shop, "", Some(1)).await.next_with_data().await.id,
        Some(2)
    );
    assert_eq!(
        follow(&shop, "", Some(2)).await.next().await.unwrap().id,
        Some(2)
    );
}

#[tokio::test]
async fn feed_delivers_thousands_of_rows_of_one_write_in_order() {
    const ROWS: usize = 4_000;
    let shop = Shop::open().await;
    let mut events = follow(&shop, "", None).await;
    let rows: Vec<Value> = (0..ROWS)
        .map(|n| json!({"name": format!("C{n:05}")}))
        .collect();
    let request = shop
        .request(Method::POST, "/v1/categories/bulk")
        .header("content-type", "application/json")
        .body(json!(rows).to_string());
    shop.send(request).await.ok(200);
    for n in 0..ROWS {
        let event = events.next_with_data().await;
        assert_eq!(event.id, Some(n as i64 + 1));
        assert_eq!(event.data["row"]["name"], format!("C{n:05}"));
    }
}

#[tokio::test]
async fn feed_positions_are_assigned_efficiently_with_outdated_statistics() {
    const ROWS: usize = 4_000;
    let shop = Shop::open().await;
    for n in 0..20 {
        shop.category(&format!("before {n}")).await;
    }
    // The planner believes that the log is a table of a few rows which all have a position.
    sqlx::raw_sql("alter table changes set (autovacuum_enabled = off)")
        .execute(&shop.pool)
        .await
        .ok();
    sqlx::raw_sql("analyze changes")
        .execute(&shop.pool)
        .await
        .unwrap();
    let read = async || -> (i64, i64) {
        sqlx::query_as(
            "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint, coalesce(sum(n_tup_upd), 0)::bigint
            from pg_stat_user_tables where relname like 'changes%'",
        )
        .fetch_one(&shop.pool)
        .await
        .unwrap()
    };
    let (rows_before, _) = read().await;
    let rows: Vec<Value> = (0..ROWS)
        .map(|n| json!({"name": format!("C{n:05}")}))
        .collect();
    shop.post("/v1/categories/bulk", &json!(rows)).await.ok(200);
    // Waits until each entry has a position and the server's statistics include the updates.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let touched = loop {
        let (touched, updated) = read().await;
        if updated >= ROWS as i64 {
            break touched - rows_before;
        }
        assert!(std::time::Instant::now() < deadline, "no positions");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(
        touched < 100 * ROWS as i64,
        "{touched} rows were read for {ROWS} entries"
    );
}
