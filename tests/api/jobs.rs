//! Files and partitions as jobs: they go on without their caller, and on another server.

use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::{Clock, Options};
use stockroom_tests::{Answer, Events, Shop, connect, fresh_database, path};

/// Sends a file that is to be imported as a job.
pub(crate) async fn send(shop: &Shop, path: &str, file: String) -> Answer {
    let request = shop
        .request(Method::POST, &format!("/v1/{path}"))
        .header("content-type", "application/x-ndjson")
        .header("prefer", "wait=10, Respond-Async; foo=1");
    shop.send(request.body(file)).await
}

pub(crate) fn lines(rows: &[Value]) -> String {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines.join("\n")
}

pub(crate) fn customers(count: usize) -> Vec<Value> {
    let customer =
        |n: usize| json!({"name": format!("Customer {n}"), "email": format!("c{n}@example.org")});
    (0..count).map(customer).collect()
}

/// Orders of one piece, of the first product and customer in the first rows and of the second ones in the others.
pub(crate) fn orders(customers: [&Value; 2], products: [&Value; 2], each: usize) -> Vec<Value> {
    let order = |(customer, product): (&Value, &Value)| {
        json!({
            "customer_id": customer["id"],
            "items": [{"product_id": product["id"], "quantity": 1}],
        })
    };
    let orders = customers.into_iter().zip(products);
    orders
        .flat_map(|of| std::iter::repeat_n(order(of), each))
        .collect()
}

pub(crate) async fn job(shop: &Shop, job: &Value) -> Value {
    shop.get(&path("jobs", job)).await.ok(200)
}

pub(crate) async fn count(shop: &Shop, resource: &str) -> i64 {
    let page = format!("/v1/{resource}?limit=1&count=exact");
    let page = shop.get(&page).await.ok(200);
    page["total"]["value"].as_i64().unwrap()
}

pub(crate) async fn text(shop: &Shop, path: &str) -> String {
    let response = shop.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response.text().await.unwrap()
}

#[tokio::test]
async fn a_file_is_tried_and_then_done_for_good_without_being_sent_again() {
    let shop = Shop::open().await;
    let mut rows = customers(1_200);
    rows[700] = json!({"name": "Nobody", "email": "no address"});
    let file = lines(&rows);
    let query = "customers/import?dry_run=true&on_error=reject_failed&name=new.ndjson";
    let answer = send(&shop, query, file.clone()).await;
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let location = answer.header("location").to_owned();
    let tried = answer.ok(202);
    assert_eq!(location, path("jobs", &tried));
    let tried = shop.ended(&tried).await;
    assert_eq!(
        (&tried["state"], &tried["report"]["created"]),
        (&json!("done"), &json!(1_199)),
        "{tried:#}"
    );
    assert_eq!(tried["request"]["name"], "new.ndjson");
    let refused = &tried["report"]["refused"];
    assert_eq!(
        (&refused[0]["line"], refused.as_array().unwrap().len()),
        (&json!(701), 1)
    );
    assert_eq!(count(&shop, "customers").await, 0, "nothing is written yet");
    let listed = shop.get("/v1/jobs").await.ok(200);
    assert_eq!(listed["items"][0]["report"]["failed"], 1);
    assert_eq!(listed["items"][0]["report"]["refused"], json!([]));
    let kept = format!("{}/file", path("jobs", &tried));
    assert_eq!(text(&shop, &kept).await, file);

    let apply = format!("{}/apply", path("jobs", &tried));
    let applied = shop.post(&apply, &Value::Null).await.ok(202);
    assert_eq!(applied["id"], tried["id"]);
    let done = shop.ended(&applied).await;
    assert_eq!(
        (&done["state"], &done["report"]["created"]),
        (&json!("done"), &json!(1_199)),
        "{done:#}"
    );
    let steps = &done["progress"];
    for step in [0, 1] {
        assert_eq!(
            (&steps[step]["done"], &steps[step]["total"]),
            (&json!(1_200), &json!(1_200))
        );
    }
    assert_eq!(count(&shop, "customers").await, 1_199);
    let again = shop.post(&apply, &Value::Null).await.refused(409);
    assert!(again.contains("import new.ndjson"), "{again}");
    shop.get(&kept).await.refused(410);
    // What is in the shop is needed in no file.
    while pieces(&shop).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn pieces(shop: &Shop) -> i64 {
    sqlx::query_scalar("select count(*) from job_pieces")
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn who_does_for_good_what_another_has_tried_answers_for_it() {
    let shop = Shop::open().await;
    let file = lines(&customers(1));
    let tried = send(&shop, "customers/import?dry_run=true", file).await;
    let tried = shop.ended(&tried.ok(202)).await;
    // A cancellation that came too late for the trial is none of what follows.
    sqlx::query("update jobs set cancel_requested = true")
        .execute(&shop.pool)
        .await
        .unwrap();
    let request = shop
        .request(Method::POST, &format!("{}/apply", path("jobs", &tried)))
        .header("stockroom-actor", "bob");
    let applied = shop.send(request).await.ok(202);
    let done = shop.ended(&applied).await;
    assert_eq!(
        (&done["state"], &done["actor"]),
        (&json!("done"), &json!("bob"))
    );
    let actor: String = sqlx::query_scalar("select actor from changes where op = 'create'")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(actor, "bob");
}

#[tokio::test]
async fn a_refusal_that_repeats_what_no_database_keeps_ends_the_job_all_the_same() {
    let shop = Shop::open().await;
    let file = "na\0me\nA\0\n".to_owned();
    let job = send(&shop, "categories/import?format=csv", file)
        .await
        .ok(202);
    let failed = shop.ended(&job).await;
    assert_eq!(failed["state"], "failed");
    let detail = failed["problem"]["detail"].as_str().unwrap();
    assert!(detail.contains("na\u{fffd}me"), "{detail}");
    for query in ["&dry_run=true", ""] {
        let rows = [
            json!({"name": format!("Tea{query}")}),
            json!({"name": "x", "na\0me": 1}),
        ];
        let query = format!("categories/import?on_error=reject_failed{query}");
        let job = send(&shop, &query, lines(&rows)).await.ok(202);
        let done = shop.ended(&job).await;
        assert_eq!(
            (
                &done["state"],
                &done["report"]["created"],
                &done["report"]["failed"]
            ),
            (&json!("done"), &json!(1), &json!(1)),
            "{done:#}"
        );
    }
}

#[tokio::test]
async fn refusals_repeat_no_more_than_one_can_read() {
    let shop = Shop::open().await;
    let long = "x".repeat(300_000);
    let rows: Vec<Value> = (0..30)
        .map(|_| json!({"name": "Tea", long.clone(): long}))
        .collect();
    for on_error in ["reject_failed", "reject_all"] {
        let query = format!("categories/import?on_error={on_error}");
        let job = send(&shop, &query, lines(&rows)).await.ok(202);
        let ended = shop.ended(&job).await;
        let told = ended.to_string().len();
        assert!(told < 60_000, "{told} bytes of 18 MB");
        let refused = on_error == "reject_failed";
        assert_eq!(ended["state"] == "done", refused, "{ended:#}");
    }
    let listed = shop.get("/v1/jobs").await.ok(200);
    assert_eq!(listed["items"][0]["problem"]["errors"], Value::Null);
}

#[tokio::test]
async fn no_job_is_lost_sight_of_among_many() {
    let shop = Shop::open().await;
    let stream = shop.request(Method::GET, "/v1/jobs/events").send().await;
    let mut events = Events::of(stream.unwrap());
    events.next().await.unwrap();
    let seed = json!({
        "seed": 1, "categories": 5, "products": 40, "customers": 100, "orders": 1_000_000, "months": 6,
        "rate": 2_000,
    });
    let seed = shop.post("/v1/seed-jobs", &seed).await.ok(202);
    let mut waiting = std::collections::HashSet::new();
    for _ in 0..150 {
        let export = loop {
            let export = shop.request(Method::POST, "/v1/categories/export?format=csv");
            let answer = shop.send(export).await;
            if answer.status != 429 {
                break answer.ok(202);
            }
            // As many wait as may.
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        waiting.insert(export["id"].as_str().unwrap().to_owned());
    }
    while !waiting.is_empty() {
        for job in events.next_with_data().await.data.as_array().unwrap() {
            if job["state"] == "done" {
                waiting.remove(job["id"].as_str().unwrap());
            }
        }
    }
    let listed = shop.get("/v1/jobs").await.ok(200);
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), 101);
    assert_eq!(listed.last().unwrap()["id"], seed["id"]);
    shop.delete(&path("jobs", &seed)).await.ok(202);
    shop.ended(&seed).await;
}

#[tokio::test]
async fn a_file_that_is_at_fault_fails_its_job_and_leaves_nothing() {
    let shop = Shop::open().await;
    let file = "name,mail\nAda,ada@example.org\n".to_owned();
    let job = send(&shop, "customers/import?format=csv", file)
        .await
        .ok(202);
    let failed = shop.ended(&job).await;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["problem"]["status"], 400);
    assert_eq!(failed["problem"]["errors"][0]["line"], 1);
    let mut rows = customers(600);
    rows[599] = json!({"name": "", "email": "x@example.org"});
    let job = send(&shop, "customers/import", lines(&rows)).await.ok(202);
    let failed = shop.ended(&job).await;
    assert_eq!(
        (&failed["state"], &failed["problem"]["errors"][0]["line"]),
        (&json!("failed"), &json!(600)),
        "{failed:#}"
    );
    assert_eq!(count(&shop, "customers").await, 0);
    // What cannot be read at all is refused before there is a job.
    send(&shop, "customers/import?mode=x", String::new())
        .await
        .refused_at(400, "?mode", "unknown_value");
    // Every row told of is an answer, not a job.
    let request = shop
        .request(Method::POST, "/v1/customers/import?report=rows")
        .header("content-type", "application/x-ndjson")
        .header("prefer", "respond-async");
    let told = request.body(lines(&customers(1))).send().await.unwrap();
    assert_eq!(told.status().as_u16(), 200);
}

fn options_at(now: &'static str) -> Options {
    let now: DateTime<Utc> = now.parse().unwrap();
    Options {
        clock: Clock::new(move || now),
        ..Options::default()
    }
}

#[tokio::test]
async fn partitions_are_archived_one_after_the_other_by_one_job() {
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
    // The first that refuses ends it, and is named; what was done stays.
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
    assert!(detail.starts_with("orders_2026_11 still fills"), "{detail}");
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
async fn jobs_of_different_kinds_run_beside_each_other_and_one_stream_tells_of_all() {
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
        let told = events.next_with_data().await.data;
        has_seen_seed |= is(&told, &seed["id"], "running");
        if is(&told, &import["id"], "done") {
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
    // Whoever comes later is told all there is at once.
    let stream = shop.request(Method::GET, "/v1/jobs/events").send().await;
    let first = Events::of(stream.unwrap()).next().await.unwrap().data;
    assert_eq!(first.as_array().unwrap().len(), 2);
    let seeds = shop.get("/v1/seed-jobs").await.ok(200);
    assert_eq!(seeds["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn files_and_jobs_are_forgotten_in_time_but_for_the_seeds() {
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
    // The next server, two days and then two months later.
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
            assert!(gone.contains("not kept"), "{gone}");
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
