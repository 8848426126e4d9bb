//! Seed jobs.

use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::PgPool;
use stockroom_server::Options;
use stockroom_tests::{
    Answer, Deadline, Node, Shop, connect, database_url, fresh_database, http_client,
};

fn sizes(seed: u32, orders: i64) -> Value {
    json!({
        "seed": seed, "categories": 5, "products": 40, "customers": 100, "orders": orders,
        "months": 6, "until": "2026-11-24T00:00:00Z",
    })
}

/// A hash of all rows, independent of their order.
async fn content(shop: &Shop) -> String {
    sqlx::query_scalar(
        "select md5(string_agg(row, '' order by row)) from (
            select t::text from categories t union all
            select t::text from products t union all
            select t::text from customers t union all
            select t::text from orders t union all
            select t::text from order_items t) rows (row)",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn seed_job_loads_the_requested_rows() {
    let shop = Shop::open().await;
    let answer = shop.post("/v1/seed-jobs", &sizes(7, 2_000)).await;
    let location = answer.header("location").to_owned();
    let job = answer.ok(202);
    assert_eq!(
        location,
        format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap())
    );
    let job = shop.ended(&job).await;
    assert_eq!(job["state"], "done", "{job:#}");
    for (index, entity, rows) in [
        (0, "categories", 5),
        (1, "products", 40),
        (2, "customers", 100),
        (3, "orders", 2_000),
    ] {
        let progress = &job["progress"][index];
        assert_eq!(
            (&progress["step"], &progress["done"]),
            (&json!(entity), &json!(rows))
        );
        let total = shop
            .get(&format!("/v1/{entity}?limit=1&count=exact"))
            .await
            .ok(200);
        assert_eq!(total["total"]["value"], rows);
    }
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from orders o where total_minor <>
            (select sum(quantity * unit_price_minor) from order_items i
            where i.placed_at = o.placed_at and i.order_id = o.id)",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
    let logged: i64 = sqlx::query_scalar(
        "select sum((after->>'rows')::bigint)::bigint from changes where op = 'seed'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert_eq!(logged, 2_145);
    assert_eq!(
        shop.get("/v1/seed-jobs").await.ok(200)["items"],
        json!([job])
    );
}

#[tokio::test]
async fn same_seed_gives_the_same_rows_and_another_seed_adds_more() {
    let (one, two) = (Shop::open().await, Shop::open().await);
    for shop in [&one, &two] {
        assert_eq!(shop.seed(&sizes(7, 500)).await["state"], "done");
    }
    assert_eq!(content(&one).await, content(&two).await);
    one.post("/v1/seed-jobs", &sizes(7, 500))
        .await
        .refused_at(409, "/seed", "duplicate");
    assert_eq!(one.seed(&sizes(8, 500)).await["state"], "done");
    assert_ne!(content(&one).await, content(&two).await);
}

#[tokio::test]
async fn cancelled_seed_job_leaves_whole_batches() {
    let shop = Shop::open().await;
    let job = shop
        .post("/v1/seed-jobs", &sizes(7, 1_000_000))
        .await
        .ok(202);
    let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
    has_orders(&shop, &job).await;
    shop.delete(&path).await.ok(202);
    let job = shop.ended(&job).await;
    assert_eq!(job["state"], "cancelled");
    let orders = shop.get("/v1/orders?limit=1&count=exact").await.ok(200);
    assert_eq!(orders["total"]["value"], job["progress"][3]["done"]);
    assert_ne!(job["progress"][3]["done"], 1_000_000);
}

/// Waits until some of the job's orders are in the shop; returns the path of the job.
async fn has_orders(shop: &Shop, job: &Value) -> String {
    let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
    let deadline = Deadline::new("the first orders", 120);
    while shop.get(&path).await.ok(200)["progress"][3]["done"] == 0 {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    path
}

#[tokio::test]
async fn cancelled_seed_job_resumes_where_it_stopped() {
    let (whole, shop) = (Shop::open().await, Shop::open().await);
    let request = sizes(7, 60_000);
    assert_eq!(whole.seed(&request).await["state"], "done");

    let job = shop.post("/v1/seed-jobs", &request).await.ok(202);
    let path = has_orders(&shop, &job).await;
    shop.delete(&path).await.ok(202);
    let cancelled = shop.ended(&job).await;
    assert_eq!(cancelled["state"], "cancelled");
    shop.post("/v1/seed-jobs", &sizes(7, 60_001))
        .await
        .refused_at(409, "/seed", "duplicate");
    // Without `until` the job keeps its original value, and at another rate it loads the same batches.
    let mut again = request.clone();
    again.as_object_mut().unwrap().remove("until");
    again["rate"] = json!(1_000_000);
    let taken_up = shop.post("/v1/seed-jobs", &again).await.ok(202);
    assert_eq!(taken_up["id"], cancelled["id"]);
    let done = shop.ended(&job).await;
    assert_eq!(
        (&done["state"], &done["progress"][3]["done"]),
        (&json!("done"), &json!(60_000))
    );
    assert_eq!(content(&shop).await, content(&whole).await);
    assert_eq!(
        stands(&shop.pool).await,
        ("done".into(), 0),
        "nobody needs its batches any more"
    );
}

/// The state of the job in the database, and the number of its recorded batches.
async fn stands(pool: &PgPool) -> (String, i64) {
    sqlx::query_as("select state, (select count(*) from seed_batches) from jobs")
        .fetch_one(pool)
        .await
        .unwrap()
}

async fn until(pool: &PgPool, is_so: impl Fn(&str, i64) -> bool) {
    let deadline = Deadline::new("the loop to end", 120);
    loop {
        deadline.check();
        let (state, batches) = stands(pool).await;
        if is_so(&state, batches) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn seed_job_resumes_on_the_next_server() {
    let database = fresh_database().await;
    let url = database_url(&database);
    let mut node = Node::start("stockroom-server", vec![("DATABASE_URL", url)]);
    let pool = connect(database, 4).await.unwrap();
    let request = sizes(7, 120_000);
    let posted = http_client()
        .post(node.url("/v1/seed-jobs"))
        .header("content-type", "application/json")
        .body(request.to_string());
    Answer::read(posted.send().await.unwrap()).await.ok(202);
    // Categories, products and customers are one batch each.
    until(&pool, |_, batches| batches > 4).await;
    node.kill();
    let (state, batches) = stands(&pool).await;
    assert_eq!(state, "running");
    // Simulates that the server has been dead long enough.
    sqlx::query("update jobs set beat_at = beat_at - interval '1 minute'")
        .execute(&pool)
        .await
        .unwrap();
    node.restart();
    until(&pool, |_, now| now > batches).await;
    node.signal(Signal::TERM);
    until(&pool, |state, _| state != "running").await;
    let (state, _) = stands(&pool).await;
    assert_eq!(state, "queued", "it was to stop long before its end");
    node.kill();
    let shop = Shop::serve(pool, Options::default()).await;
    let job = shop.get("/v1/seed-jobs").await.ok(200)["items"][0].clone();
    let done = shop.ended(&job).await;
    assert_eq!(
        (&done["state"], &done["progress"][3]["done"]),
        (&json!("done"), &json!(120_000))
    );
    let whole = Shop::open().await;
    whole.seed(&request).await;
    assert_eq!(content(&shop).await, content(&whole).await);
}

#[tokio::test]
async fn seed_jobs_are_queued_and_can_be_cancelled() {
    let shop = Shop::open().await;
    let post = async |seed| {
        shop.post("/v1/seed-jobs", &sizes(seed, 20_000))
            .await
            .ok(202)
    };
    let jobs = [post(1).await, post(2).await, post(3).await];
    shop.post("/v1/seed-jobs", &sizes(2, 20_000))
        .await
        .refused_at(409, "/seed", "duplicate");
    let third = format!("/v1/seed-jobs/{}", jobs[2]["id"].as_str().unwrap());
    assert_eq!(shop.get(&third).await.ok(200)["state"], "queued");
    assert_eq!(shop.delete(&third).await.ok(202)["state"], "cancelled");
    let second = shop.ended(&jobs[1]).await;
    let first = shop.get("/v1/seed-jobs").await.ok(200)["items"][2].clone();
    assert_eq!(
        (&first["state"], &second["state"]),
        (&json!("done"), &json!("done"))
    );
    let orders = shop.get("/v1/orders?limit=1&count=exact").await.ok(200);
    assert_eq!(orders["total"]["value"], 40_000);
}

#[tokio::test]
async fn seed_job_events_report_progress_to_the_end() {
    let shop = Shop::open().await;
    let job = shop.post("/v1/seed-jobs", &sizes(7, 20_000)).await.ok(202);
    let path = format!("/v1/seed-jobs/{}/events", job["id"].as_str().unwrap());
    let response = shop.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    // The stream ends with the job.
    let text = response.text().await.unwrap();
    let jobs: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let done: Vec<i64> = jobs
        .iter()
        .map(|job| job["progress"][3]["done"].as_i64().unwrap())
        .collect();
    assert!(done.is_sorted(), "{done:?}");
    let last = jobs.last().unwrap();
    assert_eq!(
        (&last["state"], done.last().unwrap()),
        (&json!("done"), &20_000)
    );
    let nobody = "/v1/seed-jobs/01890000-0000-7000-8000-000000000000/events";
    shop.get(nobody).await.refused(404);
}

#[tokio::test]
async fn seed_job_with_a_rate_loads_small_batches() {
    let shop = Shop::open().await;
    let mut request = sizes(7, 2_000);
    request["rate"] = json!(4_000);
    assert_eq!(shop.seed(&request).await["state"], "done");
    let largest: i64 =
        sqlx::query_scalar("select max((after->>'rows')::bigint) from changes where op = 'seed'")
            .fetch_one(&shop.pool)
            .await
            .unwrap();
    assert!(largest <= 1_000, "{largest}");
}

#[tokio::test]
async fn seed_job_can_refuse_a_shop_in_use() {
    let shop = Shop::open().await;
    let spared = "/v1/seed-jobs?unless_in_use=true";
    let job = shop.post(spared, &sizes(1, 100)).await.ok(202);
    assert_eq!(shop.ended(&job).await["state"], "done");
    // Seeded rows do not count as use.
    let job = shop.post(spared, &sizes(2, 100)).await.ok(202);
    assert_eq!(shop.ended(&job).await["state"], "done");
    shop.category("Tea").await;
    shop.post(spared, &sizes(3, 100))
        .await
        .refused_at(409, "?unless_in_use", "in_use");
    shop.post("/v1/seed-jobs?unless_in_use=maybe", &sizes(3, 100))
        .await
        .refused_at(400, "?unless_in_use", "unknown_value");
    let job = shop.post("/v1/seed-jobs", &sizes(3, 100)).await.ok(202);
    assert_eq!(shop.ended(&job).await["state"], "done");
}
