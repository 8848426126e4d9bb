//! Jobs of every kind: partitions, jobs side by side, and when jobs and their files expire.

use super::jobs::{count, customers, job, lines, send, text};
use chrono::{DateTime, Days, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use stockroom_server::{Clock, Options};
use stockroom_tests::{Events, Shop, connect, fresh_database, path};

fn options_at(now: &'static str) -> Options {
    let now: DateTime<Utc> = now.parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

#[tokio::test]
async fn partition_job_archives_partitions_one_by_one() {
    let shop = Shop::open_with(options_at("2026-11-24T09:30:00Z")).await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 90).await;
    for month in ["01", "02", "03"] {
        let order = json!({
            "customer_id": customer["id"], "placed_at": format!("2026-{month}-05T12:00:00Z"),
            "items": [{"product_id": product["id"], "quantity": 1}],
        });
        shop.post("/v1/orders", &order).await.ok(201);
    }
    let names = ["orders_2026_03", "orders_2026_02", "orders_2026_01"];
    let run = async |action: &str, names: &[&str]| {
        let path = format!("/v1/partitions/{action}");
        let job = shop.post(&path, &json!({"names": names})).await.ok(202);
        shop.ended(&job).await
    };
    let done = run("archive", &names).await;
    assert_eq!(
        (&done["state"], &done["progress"][0]["done"]),
        (&json!("done"), &json!(3)),
        "{done:#}"
    );
    assert_eq!(count(&shop, "orders").await, 0);
    let done = run("restore", &names[..2]).await;
    assert_eq!(done["state"], "done");
    assert_eq!(count(&shop, "orders").await, 2);
    // The first refusal ends the job and is named in its problem; finished partitions stay as they are.
    let failed = run(
        "archive",
        &["orders_2026_03", "orders_2026_11", "orders_2026_02"],
    )
    .await;
    assert_eq!(
        (&failed["state"], &failed["progress"][0]["done"]),
        (&json!("failed"), &json!(1))
    );
    let detail = failed["problem"]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("orders_2026_11 still receives rows"),
        "{detail}"
    );
    assert_eq!(count(&shop, "orders").await, 1);
    shop.post(
        "/v1/partitions/archive",
        &json!({"names": ["orders_2026_02", "orders_1999_01"]}),
    )
    .await
    .refused_at(422, "/names/1", "not_found");
    shop.post("/v1/partitions/delete", &json!({"names": []}))
        .await
        .refused_at(422, "/names", "out_of_range");
}

#[tokio::test]
async fn jobs_of_different_kinds_run_concurrently_and_share_one_event_stream() {
    let shop = Shop::open().await;
    let stream = shop.request(Method::GET, "/v1/jobs/events").send().await;
    let mut events = Events::of(stream.unwrap());
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("jobs", &json!([])));
    let seed = json!({
        "seed": 1, "categories": 5, "products": 40, "customers": 100, "orders": 400_000, "months": 6,
    });
    let seed = shop.post("/v1/seed-jobs", &seed).await.ok(202);
    let import = send(&shop, "customers/import", lines(&customers(10)))
        .await
        .ok(202);
    let is = |jobs: &Value, id: &Value, state: &str| {
        let mut jobs = jobs.as_array().unwrap().iter();
        jobs.any(|job| &job["id"] == id && job["state"] == state)
    };
    let mut has_seen_seed = false;
    loop {
        let reported = events.next_with_data().await.data;
        has_seen_seed |= is(&reported, &seed["id"], "running");
        if is(&reported, &import["id"], "done") {
            break;
        }
    }
    assert!(has_seen_seed);
    assert_eq!(job(&shop, &seed).await["state"], "running");
    shop.delete(&path("jobs", &seed)).await.ok(202);
    while !is(
        &events.next_with_data().await.data,
        &seed["id"],
        "cancelled",
    ) {}
    // A new client receives all jobs at once.
    let stream = shop.request(Method::GET, "/v1/jobs/events").send().await;
    let first = Events::of(stream.unwrap()).next().await.unwrap().data;
    assert_eq!(first.as_array().unwrap().len(), 2);
    let seeds = shop.get("/v1/seed-jobs").await.ok(200);
    assert_eq!(seeds["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn job_files_and_jobs_expire_except_seed_jobs() {
    let database = fresh_database().await;
    let pool = connect(database, 8).await.unwrap();
    let shop = Shop::serve(pool.clone(), Options::default()).await;
    let seed = json!({"seed": 1, "categories": 1});
    shop.seed(&seed).await;
    let export = shop
        .send(shop.request(Method::POST, "/v1/customers/export?format=csv"))
        .await
        .ok(202);
    shop.ended(&export).await;
    let file = format!("{}/file", path("jobs", &export));
    text(&shop, &file).await;
    shop.close().await;
    // Two later servers: one two days ahead, one two months ahead.
    let mut left = Vec::new();
    for days in [2, 60] {
        let clock = Clock::new(move || Utc::now() + Days::new(days));
        let options = Options {
            clock,
            ..Options::default()
        };
        let shop = Shop::serve(pool.clone(), options).await;
        while sqlx::query_scalar::<_, bool>(
            "select exists (select from jobs where file_bytes is not null)",
        )
        .fetch_one(&pool)
        .await
        .unwrap()
            || days == 60
                && shop.get("/v1/jobs").await.ok(200)["items"]
                    .as_array()
                    .unwrap()
                    .len()
                    > 1
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if days == 2 {
            let gone = shop.get(&file).await.refused(410);
            assert!(gone.contains("has expired"), "{gone}");
        }
        left = shop.get("/v1/jobs").await.ok(200)["items"]
            .as_array()
            .unwrap()
            .clone();
        shop.close().await;
    }
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["request"]["kind"], "seed");
}
