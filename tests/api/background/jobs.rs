//! Jobs for files and partitions, which continue without their caller and on another server.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{Answer, Deadline, Events, Shop, path};

/// Sends a file to be imported as a job.
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

/// Orders for one piece each: first `each` orders of the first product by the first customer, then as many of the
/// second.
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
async fn import_job_runs_dry_and_is_then_applied_without_sending_the_file_again() {
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
    // The file is no longer needed once its rows are in the shop.
    let deadline = Deadline::new("the deletion of the file's pieces", 120);
    while pieces(&shop).await > 0 {
        deadline.check();
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
async fn import_job_belongs_to_the_actor_who_applies_it() {
    let shop = Shop::open().await;
    let file = lines(&customers(1));
    let tried = send(&shop, "customers/import?dry_run=true", file).await;
    let tried = shop.ended(&tried.ok(202)).await;
    // A cancellation that came too late for the dry run must not affect the real run.
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
        (&done["state"], &done["actor"], &done["on_behalf_of"]),
        (&json!("done"), &json!("admin"), &json!("bob"))
    );
    let logged: (String, Option<String>) =
        sqlx::query_as("select actor, on_behalf_of from changes where op = 'create'")
            .fetch_one(&shop.pool)
            .await
            .unwrap();
    assert_eq!(logged, ("admin".into(), Some("bob".into())));
}

#[tokio::test]
async fn job_ends_when_its_problem_contains_null_characters() {
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
async fn job_report_shortens_long_refusals() {
    let shop = Shop::open().await;
    let long = "x".repeat(300_000);
    let rows: Vec<Value> = (0..30)
        .map(|_| json!({"name": "Tea", long.clone(): long}))
        .collect();
    for on_error in ["reject_failed", "reject_all"] {
        let query = format!("categories/import?on_error={on_error}");
        let job = send(&shop, &query, lines(&rows)).await.ok(202);
        let ended = shop.ended(&job).await;
        let reported = ended.to_string().len();
        assert!(reported < 60_000, "{reported} bytes of 18 MB");
        let refused = on_error == "reject_failed";
        assert_eq!(ended["state"] == "done", refused, "{ended:#}");
    }
    let listed = shop.get("/v1/jobs").await.ok(200);
    assert_eq!(listed["items"][0]["problem"]["errors"], Value::Null);
}

#[tokio::test]
async fn running_job_stays_visible_among_many_others() {
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
        let deadline = Deadline::new("the loop to end", 120);
        let export = loop {
            deadline.check();
            let export = shop.request(Method::POST, "/v1/categories/export?format=csv");
            let answer = shop.send(export).await;
            if answer.status != 429 {
                break answer.ok(202);
            }
            // The queue is full.
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        waiting.insert(export["id"].as_str().unwrap().to_owned());
    }
    let deadline = Deadline::new("the start of every waiting job", 120);
    while !waiting.is_empty() {
        deadline.check();
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
async fn import_job_with_an_invalid_file_fails_and_writes_nothing() {
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
    // An unreadable request is refused before a job is created.
    send(&shop, "customers/import?mode=x", String::new())
        .await
        .refused_at(400, "?mode", "unknown_value");
    // A report of every row is sent as a response, not as a job.
    let request = shop
        .request(Method::POST, "/v1/customers/import?report=rows")
        .header("content-type", "application/x-ndjson")
        .header("prefer", "respond-async");
    let reported = request.body(lines(&customers(1))).send().await.unwrap();
    assert_eq!(reported.status().as_u16(), 200);
}
