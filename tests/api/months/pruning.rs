//! How many partitions each of the server's statements over orders touches, on ten years of monthly partitions. The
//! statements are those that the server has prepared after every operation on orders was called once. A statement
//! without an expectation here fails the test.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use stockroom_common::partition::Family;
use stockroom_server::{Clock, Connection, Interval, MIN_CONNECTIONS, Options, Partitions};
use stockroom_tests::{Shop, connect, fresh_database, path};

const NOW: &str = "2026-11-24T09:30:00Z";
const MONTHS: u32 = 120;
/// Partitions that are created ahead and are still empty.
const AHEAD: usize = 4;
const ALL: usize = MONTHS as usize + AHEAD;

/// An expectation: a statement that contains `holds`, run with these arguments, touches this many partitions of
/// orders and of order lines.
struct Expected {
    holds: &'static str,
    arguments: String,
    orders: usize,
    lines: usize,
}

/// Ten years of a shop with four orders a month. Each kind of work has a single connection, so the prepared
/// statements of these connections are all that exist.
async fn ten_years() -> (Shop, Vec<Value>) {
    let pool = connect(fresh_database().await, MIN_CONNECTIONS)
        .await
        .unwrap();
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let options = Options {
        clock: Clock::new(move || now),
        ..Options::default()
    };
    let shop = Shop::serve(pool, options).await;
    let pool = shop.database.pools()[0];
    let partitions = Partitions::load(pool, Interval::Month).await.unwrap();
    let (product, customer) = (
        shop.product("A-1", 1_000).await,
        shop.customer("ada@example.org").await,
    );
    let mut newest = Vec::new();
    for back in (0..MONTHS).rev() {
        let month = now.checked_sub_months(Months::new(back)).unwrap();
        partitions
            .ensure(pool, Family::Orders, month)
            .await
            .unwrap();
        for day in [4, 3, 2, 1] {
            let order = json!({
                "customer_id": customer["id"],
                "placed_at": (month - chrono::Duration::days(day)).to_rfc3339(),
                "items": [{"product_id": product["id"], "quantity": 1}],
            });
            newest.push(shop.post("/v1/orders", &order).await.ok(201));
        }
    }
    newest.reverse();
    (shop, newest)
}

/// Calls every operation of the API on orders.
async fn use_all(shop: &Shop, orders: &[Value]) {
    let (order, other) = (&orders[0], &orders[100]);
    let at = |order: &Value| order["placed_at"].as_str().unwrap().to_owned();
    let id = |order: &Value| order["id"].as_str().unwrap().to_owned();
    shop.get(&path("orders", order)).await.ok(200);
    shop.get(&format!("/v1/orders?id={},{}", id(order), id(other)))
        .await
        .ok(200);
    let number = order["number"].as_str().unwrap();
    let customer = order["customer_id"].as_str().unwrap();
    let product = order["items"][0]["product_id"].as_str().unwrap();
    let (from, before) = (at(&orders[5]), at(&orders[3]));
    let first = shop.get("/v1/orders?limit=2").await;
    let (last, first) = (first.link("last").unwrap(), first.ok(200));
    let next = format!(
        "/v1/orders?limit=2&cursor={}",
        first["next"].as_str().unwrap()
    );
    let second = shop.get(&next).await.ok(200);
    let previous = format!(
        "/v1/orders?limit=2&cursor={}",
        second["prev"].as_str().unwrap()
    );
    for list in [
        previous,
        last,
        "/v1/orders?limit=2&sort=placed_at".into(),
        format!("/v1/orders?limit=2&q={number}"),
        format!("/v1/orders?limit=2&customer_id={customer}"),
        format!("/v1/orders?limit=2&product_id={product}"),
        format!(
            "/v1/orders?limit=2&product_id={product}&placed_from={from}&placed_before={before}"
        ),
        "/v1/orders?limit=2&status=pending".into(),
        format!("/v1/orders?limit=2&placed_from={from}&placed_before={before}&count=exact"),
        "/v1/orders?limit=2&count=exact".into(),
        "/v1/orders?limit=2&count=estimated".into(),
        "/v1/stats?months=2".into(),
    ] {
        shop.get(&list).await.ok(200);
    }
    let notes = [&orders[1], other].map(|order| json!({"id": order["id"], "note": "y"}));
    shop.post("/v1/orders/bulk", &json!(notes)).await.ok(200);
    let restore = shop.request(Method::POST, "/v1/orders/import?mode=restore&format=ndjson");
    shop.send(restore).await.refused(409);
    let month = "/v1/partitions/orders_2026_11/export";
    let month = shop.request(Method::GET, month).send().await.unwrap();
    assert_eq!(month.text().await.unwrap().lines().count(), 4);
    let path = path("orders", order);
    shop.patch(&path, &json!({"note": "x"})).await.ok(200);
    let items = json!({"items": [{"product_id": product, "quantity": 2}]});
    shop.patch(&path, &items).await.ok(200);
    shop.delete(&path).await.ok(204);
    shop.delete(&format!("/v1/customers/{customer}"))
        .await
        .refused(409);
    shop.delete(&format!("/v1/products/{product}"))
        .await
        .refused(409);
}

/// The expectations for these statements.
fn expectations(orders: &[Value]) -> Vec<Expected> {
    let text = |order: &Value, field: &str| order[field].as_str().unwrap().to_owned();
    let order = &orders[1];
    let names = Names {
        at: text(order, "placed_at"),
        key: format!("'{}', '{}'", text(order, "placed_at"), text(order, "id")),
        day: format!(
            "'{}', '{}'",
            text(&orders[2], "placed_at"),
            text(order, "placed_at")
        ),
        customer: text(order, "customer_id"),
        product: text(&order["items"][0], "product_id"),
    };
    let keys = |column: &str| {
        let both = [&orders[1], &orders[100]].map(|order| text(order, column));
        format!("'{{{}}}'", both.join(","))
    };
    let far = text(&orders[100], "placed_at");
    let many = format!(
        "{}, {}, '{far}', '{}'",
        keys("placed_at"),
        keys("id"),
        names.at
    );
    let mut expectations = vec![
        // One partition by name, and the first one that contains a row.
        expected("coalesce($1, '-infinity'", "null, null".into(), 1, 1),
        expected("select exists (select from orders)", String::new(), 1, 0),
    ];
    expectations.extend(one_order(&names, &text(order, "id")));
    expectations.extend(lists(&names));
    // Every partition between the two orders.
    expectations.push(expected("for update of o", many.clone(), 26, 0));
    expectations.push(expected("select o.* from unnest", many.clone(), 26, 0));
    expectations.push(expected("select i.* from unnest", many, 0, 26));
    expectations
}

/// The values of an order, as statement arguments.
struct Names {
    at: String,
    /// The time and the id of the order.
    key: String,
    /// The interval from the previous order to this one.
    day: String,
    customer: String,
    product: String,
}

fn one_order(names: &Names, id: &str) -> Vec<Expected> {
    let Names {
        at,
        key,
        customer,
        product,
        ..
    } = names;
    // The time in the id must match the order; its last digits are arbitrary.
    let another = format!("{}fffffff", &id[..id.len() - 7]);
    let inserted = format!("'{at}', '{another}', 1, now(), '{customer}', 'paid', 1, ''");
    let line = format!("{key}, '{{9}}', '{{{product}}}', '{{1}}', '{{1}}'");
    let updated = format!("{key}, now(), '{customer}', 'paid', 1, ''");
    let by_key = |holds, orders, lines| expected(holds, key.clone(), orders, lines);
    vec![
        // An insert is routed to its partition without a scan.
        expected("insert into orders", inserted, 0, 0),
        expected("insert into order_items", line, 0, 0),
        by_key("select o.*, (", 1, 1),
        by_key(
            "from orders where placed_at = $1 and id = $2 for update",
            1,
            0,
        ),
        by_key("select * from order_items where", 0, 1),
        expected("update orders", updated, 1, 0),
        by_key("delete from order_items", 0, 1),
        // The foreign key between the two partitions deletes the lines of the order.
        by_key("delete from orders", 1, 0),
    ]
}

fn lists(names: &Names) -> Vec<Expected> {
    let Names {
        at,
        key,
        day,
        customer,
        product,
    } = names;
    let page = |holds, arguments: String, orders| expected(holds, arguments, orders, 0);
    // Pages have three rows, and this month still has that many. The empty months ahead are scanned first.
    let newest = AHEAD + 1;
    let november = "'2026-11-01', '2026-12-01'".to_owned();
    let of_product = format!("{day}, '{product}', {day}");
    vec![
        page("where true order by placed_at desc", String::new(), newest),
        page("where true order by placed_at asc", String::new(), 1),
        page(
            "and (placed_at, id) < ($2, $3)",
            format!("'{at}', {key}"),
            2,
        ),
        page(
            "and (placed_at, id) > ($2, $3)",
            format!("'{at}', {key}"),
            newest,
        ),
        page("and right(id::text, 5)", format!("{day}, '00000'"), 1),
        page(
            "and customer_id = $1 order",
            format!("'{customer}'"),
            newest,
        ),
        page("and status = $1 order", "'pending'".into(), newest),
        page("and placed_at < $2 order", day.clone(), 1),
        expected(
            "where product_id = $1) order",
            format!("'{product}'"),
            newest,
            newest,
        ),
        expected("where product_id = $3 and", of_product, 1, 1),
        page(
            "select count(*) from orders where true and placed_at",
            day.clone(),
            1,
        ),
        page("select count(*) from orders where true", String::new(), ALL),
        // Reads all partitions, because there are fewer rows than the limit of 1,000.
        page(
            "select count(*) from (select 1 from orders where true limit 1000)",
            String::new(),
            ALL,
        ),
        page("group by status", november.clone(), 1),
        expected("group by product_id", format!("{november}, 10"), 1, 1),
        // Referring rows are searched in all partitions, but at most 1,001 are read.
        page(
            "select 1 from orders where customer_id",
            format!("'{customer}'"),
            ALL,
        ),
        expected(
            "select 1 from order_items where product_id",
            format!("'{product}'"),
            0,
            ALL,
        ),
    ]
}

fn expected(holds: &'static str, arguments: String, orders: usize, lines: usize) -> Expected {
    Expected {
        holds,
        arguments,
        orders,
        lines,
    }
}

#[tokio::test]
async fn statements_over_orders_touch_only_the_necessary_partitions() {
    let (shop, orders) = ten_years().await;
    use_all(&shop, &orders).await;
    sqlx::raw_sql("analyze").execute(&shop.pool).await.unwrap();
    let mut expectations = expectations(&orders);
    let mut statements = BTreeMap::new();
    for (of, pool) in shop.database.pools().into_iter().enumerate() {
        let prepared: Vec<(String, String)> = sqlx::query_as(
            r"select name, statement from pg_prepared_statements
            where statement ~ '\m(orders|order_items)' and statement !~ '^explain|pg_|''orders'''",
        )
        .fetch_all(&mut *pool.acquire().await.unwrap())
        .await
        .unwrap();
        let prepared = prepared.into_iter();
        statements.extend(prepared.map(|(name, statement)| (statement, (of, name))));
    }
    let mut wrong = Vec::new();
    for (statement, (of_pool, name)) in statements {
        let mut conn = shop.database.pools()[of_pool].acquire().await.unwrap();
        let of = expectations
            .iter()
            .position(|expected| statement.contains(expected.holds));
        let of = of.unwrap_or_else(|| panic!("a statement without expectation: {statement}"));
        let expected = expectations.remove(of);
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = explain(&mut conn, mode, &name, &expected.arguments).await;
            let found = ["orders", "order_items"].map(|parent| {
                let mut partitions = BTreeSet::new();
                touched(&plan, parent, &mut partitions);
                partitions.len()
            });
            if found != [expected.orders, expected.lines] {
                let wanted = [expected.orders, expected.lines];
                wrong.push(format!(
                    "{mode}: {found:?} instead of {wanted:?}: {statement}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<&str> = expectations.iter().map(|expected| expected.holds).collect();
    assert_eq!(unused, [""; 0], "no such statement was prepared");
}

/// The plan of a prepared statement as executed; its changes are rolled back.
async fn explain(conn: &mut Connection, mode: &str, name: &str, arguments: &str) -> Value {
    let arguments = match arguments {
        "" => String::new(),
        arguments => format!("({arguments})"),
    };
    let set = format!("begin; set local plan_cache_mode = {mode}");
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(&mut *conn)
        .await
        .unwrap();
    let sql = format!("explain (analyze, format json) execute {name}{arguments}");
    let row = sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_one(&mut *conn)
        .await;
    let row = row.unwrap_or_else(|error| panic!("{name}{arguments}: {error}"));
    let plan: Value = row.get(0);
    sqlx::raw_sql("rollback").execute(conn).await.unwrap();
    plan[0]["Plan"].clone()
}

/// Collects the partitions of `parent` that a plan has read, each once.
fn touched(plan: &Value, parent: &str, into: &mut BTreeSet<String>) {
    let was_run = plan["Actual Loops"]
        .as_f64()
        .is_some_and(|loops| loops > 0.0);
    if let Some(relation) = plan["Relation Name"].as_str().filter(|_| was_run)
        && relation.starts_with(&format!("{parent}_2"))
    {
        into.insert(relation.into());
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        touched(child, parent, into);
    }
}
