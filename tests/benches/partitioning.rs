//! What the partition interval costs, and whether the other tables should be partitioned. `STOCKROOM_BENCH_ORDERS`
//! sets the size. Rounds of all kinds are interleaved, so other load on the machine affects them all equally. Prints
//! medians.

use std::{fmt::Write, time::Instant};

use chrono::{Duration, Utc};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use stockroom_tests::{
    Node, connect, database_url,
    figures::{median, write_section},
    fresh_database, http_client, say,
};
use uuid::Uuid;

const MONTHS: u32 = 24;
const ROUNDS: usize = 200;
const INTERVALS: [&str; 3] = ["month", "week", "day"];
/// Rows of the table that is measured both unpartitioned and partitioned.
const CUSTOMERS: i64 = 500_000;
const PARTS: u32 = 16;

/// A shop whose orders are partitioned by one interval.
struct Shop {
    server: Node,
    client: Client,
    pool: PgPool,
    orders: Vec<Value>,
    seeded: f64,
    partitions: i64,
}

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let reported = std::env::var("STOCKROOM_BENCH_ORDERS").ok();
    let size: i64 = reported
        .as_ref()
        .map_or(1_000_000, |size| size.parse().unwrap());
    let mut shops = Vec::new();
    for interval in INTERVALS {
        shops.push(Shop::start(interval, size).await);
    }
    let mut text = format!(
        "{size} orders over {MONTHS} months, read past the cache, {ROUNDS} rounds of each.\n\n\
         | | {} |\n|---|---|---|---|\n",
        INTERVALS.join(" | ")
    );
    let mut report = |what: &str, values: Vec<String>| {
        let _ = writeln!(text, "| {what} | {} |", values.join(" | "));
    };
    let each = |value: fn(&Shop) -> String| shops.iter().map(value).collect();
    report(
        "partitions of orders",
        each(|shop| shop.partitions.to_string()),
    );
    report("seeded", each(|shop| format!("{:.1} s", shop.seeded)));
    for (what, kind) in [
        ("an order by id", Kind::ById),
        ("the newest 50 orders", Kind::Newest),
        ("50 orders from the middle", Kind::Middle),
        ("the newest 50 of one status", Kind::OfStatus),
        ("the newest 50 of one customer", Kind::OfCustomer),
        ("count of one month", Kind::CountMonth),
        ("an order is placed", Kind::Place),
    ] {
        let mut times = vec![Vec::new(); shops.len()];
        for round in 0..ROUNDS {
            for (shop, times) in shops.iter().zip(&mut times) {
                let began = Instant::now();
                shop.ask(kind, round).await;
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let times = times
            .into_iter()
            .map(|times| format!("{:.2} ms", median(times)));
        report(what, times.collect());
    }
    drop(shops);
    if reported.is_some() {
        say(&text);
        write_section("partitioning at another size", &text);
        return;
    }
    text += "\n";
    text += &whole_or_in_parts().await;
    say(&text);
    write_section("partitioning", &text);
}

#[derive(Clone, Copy)]
enum Kind {
    ById,
    Newest,
    Middle,
    OfStatus,
    OfCustomer,
    CountMonth,
    Place,
}

impl Shop {
    async fn start(interval: &str, size: i64) -> Self {
        let database = fresh_database().await;
        let environment = vec![
            ("DATABASE_URL", database_url(&database)),
            ("STOCKROOM_PARTITION_INTERVAL", interval.to_owned()),
            ("STOCKROOM_LOG", "off".to_owned()),
        ];
        let server = Node::start("stockroom-server", environment);
        let mut shop = Self {
            server,
            client: http_client(),
            pool: connect(database, 2).await.unwrap(),
            orders: Vec::new(),
            seeded: 0.0,
            partitions: 0,
        };
        let job = json!({
            "seed": 1, "categories": 20, "products": 1_000, "customers": 20_000, "orders": size,
            "months": MONTHS,
        });
        let began = Instant::now();
        let job = shop.post("/v1/seed-jobs", &job).await;
        let path = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
        while shop.get(&path).await["state"] != "done" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        shop.seeded = began.elapsed().as_secs_f64();
        run(&shop.pool, "vacuum (analyze)").await;
        let sql = "select count(*) from pg_inherits where inhparent = 'orders'::regclass";
        shop.partitions = sqlx::query_scalar(sql).fetch_one(&shop.pool).await.unwrap();
        let before = Utc::now() - Duration::days(365);
        let path = format!(
            "/v1/orders?limit=200&placed_before={}",
            before.format("%Y-%m-%d")
        );
        shop.orders = shop.get(&path).await["items"].as_array().unwrap().clone();
        say(&format!(
            "{interval}: {} partitions, seeded in {:.1} s",
            shop.partitions, shop.seeded
        ));
        shop
    }

    async fn ask(&self, kind: Kind, round: usize) {
        let order = &self.orders[round * 7 % self.orders.len()];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let day = |days: i64| {
            (Utc::now() - Duration::days(days))
                .format("%Y-%m-%d")
                .to_string()
        };
        let path = match kind {
            Kind::ById => format!("/v1/orders/{}", text(&order["id"])),
            Kind::Newest => "/v1/orders?limit=50".into(),
            Kind::Middle => format!("/v1/orders?limit=50&placed_before={}", day(365)),
            Kind::OfStatus => "/v1/orders?limit=50&status=returned".into(),
            Kind::OfCustomer => {
                format!(
                    "/v1/orders?limit=50&customer_id={}",
                    text(&order["customer_id"])
                )
            }
            Kind::CountMonth => format!(
                "/v1/orders?limit=1&count=exact&placed_from={}&placed_before={}",
                day(390),
                day(360)
            ),
            Kind::Place => {
                let new = json!({
                    "customer_id": order["customer_id"],
                    "items": [{"product_id": order["items"][0]["product_id"], "quantity": 1}],
                });
                self.post("/v1/orders", &new).await;
                return;
            }
        };
        self.get(&path).await;
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(self.server.url(path));
        let answer = request
            .header("cache-control", "no-cache")
            .send()
            .await
            .unwrap();
        let body = answer.text().await.unwrap();
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"))
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(self.server.url(path));
        let request = request
            .header("content-type", "application/json")
            .body(body.to_string());
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }
}

/// Compares customers in one table with customers hash-partitioned by id: the everyday statements of staff, and
/// inserting orders that refer to customers.
async fn whole_or_in_parts() -> String {
    let pool = connect(fresh_database().await, 1).await.unwrap();
    run(&pool, &customers_both_ways()).await;
    let mut times: Vec<[f64; 2]> = Vec::new();
    let both = async |sql: &str| {
        let mut both = [0.0; 2];
        for (name, seconds) in ["whole", "parts"].iter().zip(&mut both) {
            *seconds = run(&pool, &sql.replace("{t}", name)).await;
        }
        both
    };
    let ids = "md5(i::text)::uuid";
    times.push(both(&format!("insert into {{t}} select {ids}, 'Customer ' || i % 1000, 'c' || i || '@example.org' from generate_series(1, {CUSTOMERS}) i")).await);
    both("vacuum (analyze) {t}").await;
    times.push(
        both(&format!(
            "insert into {{t}}_orders select {ids} from generate_series(1, 300000) i"
        ))
        .await,
    );
    let mut text = format!(
        "Customers ({CUSTOMERS}) in one table, and in {PARTS} parts by a hash of their ids:\n\n\
         | | whole | in parts |\n|---|---|---|\n"
    );
    for (what, [whole, parts]) in ["loaded", "300,000 rows that refer to them loaded"]
        .iter()
        .zip(times)
    {
        let _ = writeln!(text, "| {what} | {whole:.2} s | {parts:.2} s |");
    }
    for (what, sql) in [
        ("by id", "select * from {t} where id = $1::uuid"),
        (
            "by e-mail",
            "select * from {t} where lower(email) = 'c' || right($1, 3) || '@example.org'",
        ),
        (
            "a page by name",
            "select * from {t} where $1::text is not null order by lower(name), id limit 51",
        ),
        (
            "a page from the middle",
            "select * from {t} where $1::text is not null and (lower(name), id) > ('customer 500', '00000000-0000-0000-0000-000000000000') order by lower(name), id limit 51",
        ),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (name, times) in ["whole", "parts"].iter().zip(&mut times) {
                let sql = sql.replace("{t}", name);
                let began = Instant::now();
                let id = Uuid::from_u128(round as u128).to_string();
                sqlx::query(AssertSqlSafe(sql))
                    .bind(id)
                    .fetch_all(&pool)
                    .await
                    .unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [whole, parts] = times.map(median);
        let _ = writeln!(text, "| {what} | {whole:.3} ms | {parts:.3} ms |");
    }
    text
}

/// The statements that create the tables `whole` and `parts`, and one table that refers to each.
fn customers_both_ways() -> String {
    let make = |name: &str, partition: &str| {
        format!(
            "create table {name} (id uuid not null, name text not null, email text not null, primary key (id)) {partition};"
        )
    };
    let mut sql = make("whole", "") + &make("parts", "partition by hash (id)");
    for part in 0..PARTS {
        sql += &format!(
            "create table parts_{part} partition of parts for values with (modulus {PARTS}, remainder {part});"
        );
    }
    for name in ["whole", "parts"] {
        // Across hash partitions no index can guarantee that an e-mail is unique.
        let unique = if name == "whole" { "unique" } else { "" };
        sql += &format!(
            "create {unique} index on {name} (lower(email)); create index on {name} (lower(name), id);
            create table {name}_orders (customer_id uuid not null references {name});"
        );
    }
    sql
}

/// Runs the statements and returns the seconds that they took.
async fn run(pool: &PgPool, sql: &str) -> f64 {
    let began = Instant::now();
    let mut conn = pool.acquire().await.unwrap();
    let sql = format!("set statement_timeout = 0; {sql}");
    for statement in sql.split_inclusive("; ") {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *conn)
            .await
            .unwrap();
    }
    began.elapsed().as_secs_f64()
}
