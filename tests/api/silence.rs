//! What a server must not pass over in silence: parameters that a route does not take, JSON that says two things, text
//! that looks like other text, limits that only the caller's own changes are held to.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::types::Uuid;
use stockroom_server::Options;
use stockroom_tests::{Answer, Shop, path};

async fn raw(shop: &Shop, method: Method, path: &str, body: &'static str) -> Answer {
    let request = shop
        .request(method, path)
        .header("content-type", "application/json");
    shop.send(request.body(body)).await
}

const NOBODY: &str = "0192d3f0-0000-7000-8000-000000000000";
/// Routes beside those of the resources, by what they are asked with.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/events"),
    ("GET", "/v1/jobs/{}"),
    ("GET", "/v1/jobs/{}/events"),
    ("GET", "/v1/jobs/{}/file"),
    ("POST", "/v1/jobs/{}/apply"),
    ("DELETE", "/v1/jobs/{}"),
    ("GET", "/v1/seed-jobs"),
    ("POST", "/v1/seed-jobs"),
    ("GET", "/v1/seed-jobs/{}"),
    ("DELETE", "/v1/seed-jobs/{}"),
    ("GET", "/v1/partitions"),
    ("POST", "/v1/partitions/archive"),
    ("POST", "/v1/partitions/restore"),
    ("POST", "/v1/partitions/delete"),
    ("GET", "/v1/partitions/orders_2026_01"),
    ("DELETE", "/v1/partitions/orders_2026_01"),
    ("GET", "/v1/partitions/orders_2026_01/export"),
    ("POST", "/v1/partitions/orders_2026_01/archive"),
    ("POST", "/v1/partitions/orders_2026_01/restore"),
    ("POST", "/v1/partitions/orders_2026_01/import"),
    ("GET", "/v1/session"),
    ("GET", "/v1/stats"),
    ("GET", "/v1/changes"),
    ("GET", "/metrics"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
];
/// Those of each resource, behind its name.
const OF_RESOURCES: &[(&str, &str)] = &[
    ("GET", ""),
    ("POST", ""),
    ("POST", "/bulk"),
    ("POST", "/bulk-delete"),
    ("GET", "/export"),
    ("POST", "/export"),
    ("POST", "/import"),
    ("GET", "/{}/history"),
    ("GET", "/{}"),
    ("PUT", "/{}"),
    ("PATCH", "/{}"),
    ("DELETE", "/{}"),
];

fn routes() -> impl Iterator<Item = (Method, String)> {
    let resources = ["categories", "products", "customers", "orders"].into_iter();
    let of_resources = resources.flat_map(|name| {
        let routes = OF_RESOURCES.iter();
        routes.map(move |(method, path)| (*method, format!("/v1/{name}{path}")))
    });
    let others = ROUTES.iter();
    let others = others.map(|(method, path)| (*method, (*path).to_owned()));
    let similar = ["similar", "alike"].map(|name| ("GET", format!("/v1/products/{name}")));
    let routes = of_resources.chain(others).chain(similar);
    routes.map(|(method, path)| (method.parse().unwrap(), path.replace("{}", NOBODY)))
}

#[tokio::test]
async fn no_route_takes_a_parameter_that_it_does_not_know() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 5).await;
    let (row, before) = (path("products", &product), shop.fingerprint().await);
    for (method, path) in routes() {
        let request = shop
            .request(method.clone(), &format!("{path}?colour=red"))
            .header("content-type", "application/json");
        let request = if path.ends_with("/import") {
            request.header("content-type", "text/csv").body("")
        } else if method == Method::GET || method == Method::DELETE {
            request
        } else if path.contains("/bulk") {
            request.body("[]")
        } else {
            request.body("{}")
        };
        let answer = shop.send(request).await;
        assert_eq!(
            answer.body["errors"][0]["pointer"], "?colour",
            "{method} {path}"
        );
        answer.refused_at(400, "?colour", "unknown_parameter");
    }
    shop.get("/v1/nothing?colour=red").await.refused(404);
    assert_eq!(shop.fingerprint().await, before);
    let dry = shop.request(Method::DELETE, &format!("{row}?dry_run=true"));
    shop.send(dry).await.refused(400);
    shop.get(&row).await.ok(200);
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused_wherever_it_is() {
    let shop = Shop::open().await;
    let product = path("products", &shop.product("A-1", 5).await);
    let before = shop.fingerprint().await;
    let twice = r#"{"price_minor": 1, "price_minor": 2}"#;
    for (method, path, body) in [
        (Method::PATCH, product.as_str(), twice),
        (
            Method::POST,
            "/v1/categories",
            r#"{"name": "a", "name": "b"}"#,
        ),
        (
            Method::POST,
            "/v1/categories/bulk",
            r#"[{"name": "a", "name": "b"}]"#,
        ),
    ] {
        let answer = raw(&shop, method, path, body).await;
        assert_eq!(
            answer.body["errors"][0]["code"], "repeated",
            "{:#}",
            answer.body
        );
        answer.refused(400);
    }
    let rows = shop
        .request(Method::POST, "/v1/categories/import?format=ndjson")
        .body("{\"name\": \"a\", \"name\": \"b\"}\n");
    shop.send(rows).await.refused(400);
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn a_list_is_no_object_at_any_depth() {
    let shop = Shop::open().await;
    let (product, customer) = (
        shop.product("A-1", 5).await,
        shop.customer("ada@example.org").await,
    );
    let before = shop.fingerprint().await;
    let address = json!(["1 St", "", "X", "1", "GB"]);
    let named = json!({"name": "Bob", "email": "bob@example.org", "address": address});
    let refused = |answer: Answer, pointer: &str| answer.refused_at(400, pointer, "wrong_type");
    refused(shop.post("/v1/customers", &named).await, "/address");
    let row = path("customers", &customer);
    refused(shop.patch(&row, &json!({"address": []})).await, "/address");
    let items = json!([[product["id"], 1]]);
    let order = json!({"customer_id": customer["id"], "items": items});
    refused(shop.post("/v1/orders", &order).await, "/items/0");
    let bulk = shop.post("/v1/orders/bulk", &json!([order])).await;
    refused(bulk, "/0/items/0");
    let deletes = json!([[product["id"]]]);
    refused(shop.post("/v1/products/bulk-delete", &deletes).await, "/0");
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn null_sets_no_default_that_nobody_named() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 5).await;
    let row = path("products", &product);
    for field in ["stock", "active"] {
        let (patch, pointer) = (json!({field: null}), format!("/{field}"));
        shop.patch(&row, &patch)
            .await
            .refused_at(400, &pointer, "wrong_type");
        let rows = json!([{"sku": "A-1", field: null}]);
        let answer = shop.post("/v1/products/bulk", &rows).await;
        answer.refused_at(400, &format!("/0{pointer}"), "wrong_type");
    }
    let customer = path("customers", &shop.customer("ada@example.org").await);
    let cleared = json!({"phone": null, "address": null});
    let now = shop.patch(&customer, &cleared).await.ok(200);
    assert_eq!(
        (&now["phone"], &now["address"]["city"]),
        (&json!(""), &json!(""))
    );
}

#[tokio::test]
async fn text_is_stored_in_one_form_and_shows_something() {
    let shop = Shop::open().await;
    let category = shop.category(" Cafe\u{301}  ").await;
    assert_eq!(category["name"], "Caf\u{e9}");
    let again = shop
        .post("/v1/categories", &json!({"name": "Caf\u{e9}"}))
        .await;
    again.refused_at(409, "/name", "duplicate");
    for name in ["Cafe\u{301}", "Caf\u{e9}"] {
        let found = shop.get(&format!("/v1/categories?q={name}")).await.ok(200);
        assert_eq!(found["items"][0]["id"], category["id"], "{name:?}");
    }
    shop.product("A-1", 1).await;
    let blank =
        json!({"category_id": category["id"], "sku": "A-1 ", "name": "x", "price_minor": 1});
    shop.post("/v1/products", &blank)
        .await
        .refused_at(409, "/sku", "duplicate");
    let updated = shop
        .post(
            "/v1/products/bulk",
            &json!([{"sku": " A-1", "price_minor": 3}]),
        )
        .await;
    assert_eq!(updated.ok(200)["updated"], 1);
    let pasted = json!({"name": "Ada", "email": "x@example.org\r\n"});
    let pasted = shop.post("/v1/customers", &pasted).await.ok(201);
    assert_eq!(pasted["email"], "x@example.org");
    for name in [
        "\u{200b}",
        "\u{2800}",
        "\u{3164}",
        "\u{feff}",
        "a\u{202e}b",
        "a\u{7}",
        "a\nb",
    ] {
        let answer = shop.post("/v1/categories", &json!({"name": name})).await;
        answer.refused_at(422, "/name", "unprintable");
    }
    // What was stored before that was refused can still be changed otherwise.
    sqlx::query("update categories set name = E'a\\u202eb' where id = $1")
        .bind(category["id"].as_str().unwrap().parse::<Uuid>().unwrap())
        .execute(&shop.pool)
        .await
        .unwrap();
    let row = path("categories", &category);
    shop.patch(&row, &json!({"description": "x"})).await.ok(200);
    shop.patch(&row, &json!({"name": "a\u{202e}c"}))
        .await
        .refused(422);
}

#[tokio::test]
async fn a_limit_holds_for_what_the_caller_changes() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 10).await;
    let order = shop.order(&customer, &product, 10).await;
    let row = path("products", &product);
    shop.patch(&row, &json!({"stock": 1_000_000_000}))
        .await
        .ok(200);
    let cancelled = json!({"status": "cancelled"});
    shop.patch(&path("orders", &order), &cancelled)
        .await
        .ok(200);
    assert_eq!(shop.stock(&product).await, 1_000_000_010);
    let renamed = shop.patch(&row, &json!({"name": "Pan"})).await.ok(200);
    assert_eq!(renamed["stock"], 1_000_000_010);
    shop.patch(&row, &json!({"stock": 1_000_000_011}))
        .await
        .refused_at(422, "/stock", "out_of_range");
    let whole = json!([{"category_id": product["category_id"], "sku": "A-1", "name": "Pot",
        "price_minor": 1_250, "stock": 1_000_000_010}]);
    assert_eq!(
        shop.post("/v1/products/bulk", &whole).await.ok(200)["updated"],
        1
    );
    // Nobody creates such a row.
    let new = json!([{"category_id": product["category_id"], "sku": "B", "name": "Pot",
        "price_minor": 1, "stock": 1_000_000_010}]);
    shop.post("/v1/products/bulk", &new)
        .await
        .refused_at(422, "/0/stock", "out_of_range");
}

#[tokio::test]
async fn an_order_comes_to_no_more_than_every_reader_can_tell() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 1_000_000_000).await;
    let order = |lines: usize, price: i64| {
        let item =
            json!({"product_id": product["id"], "quantity": 1_000_000, "unit_price_minor": price});
        json!({"customer_id": customer["id"], "items": vec![item; lines]})
    };
    shop.post("/v1/orders", &order(90, 100_000_000_000))
        .await
        .refused_at(422, "/items", "out_of_range");
    shop.post("/v1/orders", &order(1, 1_000_000_001))
        .await
        .refused_at(422, "/items", "out_of_range");
    let most = shop
        .post("/v1/orders", &order(1, 1_000_000_000))
        .await
        .ok(201);
    assert_eq!(most["total_minor"], 1_000_000_000_000_000_i64);
    // Such as were stored before there was a limit still add up.
    sqlx::query("update orders set total_minor = 9e18")
        .execute(&shop.pool)
        .await
        .unwrap();
    shop.post("/v1/orders", &order(1, 1)).await.ok(201);
    sqlx::query("update orders set total_minor = 9e18")
        .execute(&shop.pool)
        .await
        .unwrap();
    let stats = shop
        .request(Method::GET, "/v1/stats?months=1")
        .header("cache-control", "no-cache");
    let stats = stats.send().await.unwrap();
    assert_eq!(stats.status(), StatusCode::OK);
    let stats = stats.text().await.unwrap();
    assert!(
        stats.contains("\"revenue_minor\":18000000000000000000"),
        "{stats}"
    );
    let status = shop
        .patch(&path("orders", &most), &json!({"status": "paid"}))
        .await
        .ok(200);
    assert_eq!(status["status"], "paid");
}

#[tokio::test]
async fn preconditions_are_looked_at_wherever_they_stand() {
    let shop = Shop::open().await;
    let category = shop.category("Tea").await;
    let row = path("categories", &category);
    let with = async |method: Method, name: &str, value: &str, body: &'static str| {
        let request = shop
            .request(method, &row)
            .header("content-type", "application/json")
            .header(name, value)
            .body(body);
        shop.send(request).await
    };
    for known in ["*", "\"1\"", "W/\"1\""] {
        for (method, body) in [
            (Method::PATCH, r#"{"description": "x"}"#),
            (Method::DELETE, ""),
        ] {
            with(method, "if-none-match", known, body)
                .await
                .refused(412);
        }
    }
    with(Method::PUT, "if-none-match", "\"1\"", r#"{"name": "Tea"}"#)
        .await
        .refused(412);
    with(Method::GET, "if-match", "\"2\"", "")
        .await
        .refused(412);
    with(Method::GET, "if-match", "W/\"1\"", "").await.ok(200);
    with(Method::PATCH, "if-match", "", r#"{"description": "x"}"#)
        .await
        .refused(412);
    let weak = with(
        Method::PATCH,
        "if-match",
        "W/\"1\"",
        r#"{"description": "x"}"#,
    )
    .await;
    assert_eq!(weak.ok(200)["version"], 2);
    let absent = &format!("/v1/categories/{NOBODY}");
    let both = shop
        .request(Method::PUT, absent)
        .header("content-type", "application/json")
        .header("if-match", "\"1\"")
        .header("if-none-match", "*")
        .body(r#"{"name": "Milk"}"#);
    shop.send(both).await.refused(412);
    shop.get(absent).await.refused(404);
}

#[tokio::test]
async fn where_versions_are_required_rows_of_many_name_theirs_as_well() {
    let options = Options {
        require_if_match: true,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let category = shop.category("Tea").await;
    let id = &category["id"];
    let required = |answer: Answer| answer.refused_at(428, "/0/version", "required");
    let row = json!([{"id": id, "description": "x"}]);
    required(shop.post("/v1/categories/bulk", &row).await);
    required(
        shop.post("/v1/categories/bulk-delete", &json!([{"id": id}]))
            .await,
    );
    let named = json!([{"id": id, "version": 1, "description": "x"}]);
    assert_eq!(
        shop.post("/v1/categories/bulk", &named).await.ok(200)["updated"],
        1
    );
    let deleted = json!([{"id": id, "version": 2}]);
    assert_eq!(
        shop.post("/v1/categories/bulk-delete", &deleted)
            .await
            .ok(200)["deleted"],
        1
    );
}

#[tokio::test]
async fn an_old_file_brings_no_deleted_row_back() {
    let shop = Shop::open().await;
    let category = shop.category("Tea").await;
    shop.delete(&path("categories", &category)).await.ok(204);
    let old = json!([{"id": category["id"], "version": 1, "name": "Tea"}]);
    shop.post("/v1/categories/bulk", &old)
        .await
        .refused_at(412, "/0/version", "gone");
    let meant = json!([{"id": category["id"], "name": "Tea"}]);
    assert_eq!(
        shop.post("/v1/categories/bulk", &meant).await.ok(200)["created"],
        1
    );
}

#[tokio::test]
async fn a_refused_order_leaves_no_partition_behind() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 5).await;
    let partitions = async || -> i64 {
        sqlx::query_scalar(
            "select count(*) from pg_class where relname like 'orders_%' and relkind = 'r'",
        )
        .fetch_one(&shop.pool)
        .await
        .unwrap()
    };
    let before = partitions().await;
    let order = |customer: &Value, product: &Value, quantity: i32| {
        json!({"customer_id": customer, "placed_at": "2004-05-06T07:08:09Z",
            "items": [{"product_id": product, "quantity": quantity}]})
    };
    let nobody = json!(NOBODY);
    for (order, status, pointer) in [
        (order(&nobody, &product["id"], 1), 422, "/customer_id"),
        (
            order(&customer["id"], &nobody, 1),
            422,
            "/items/0/product_id",
        ),
        (
            order(&customer["id"], &product["id"], 6),
            409,
            "/items/0/quantity",
        ),
    ] {
        let answer = shop.post("/v1/orders", &order).await;
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
        answer.refused(status);
        shop.post("/v1/orders/bulk", &json!([order]))
            .await
            .refused(status);
    }
    assert_eq!(partitions().await, before);
    shop.post("/v1/orders", &order(&customer["id"], &product["id"], 5))
        .await
        .ok(201);
    assert_eq!(partitions().await, before + 1);
}

#[tokio::test]
async fn calls_that_create_the_same_rows_in_any_order_all_succeed() {
    let shop = Arc::new(Shop::open().await);
    let category = shop.category("Tea").await;
    for round in 0..3 {
        let rows = |is_reversed: bool| {
            let mut rows: Vec<Value> = (0..100)
                .map(|n| json!({"category_id": category["id"], "sku": format!("{round}-{n}"), "name": "x", "price_minor": 1}))
                .collect();
            if is_reversed {
                rows.reverse();
            }
            Value::Array(rows)
        };
        let calls = [
            (false, "reject_failed"),
            (true, "reject_failed"),
            (false, "reject_all"),
            (true, "reject_all"),
        ];
        let calls = calls.map(|(is_reversed, on_error)| {
            let (shop, rows) = (shop.clone(), rows(is_reversed));
            tokio::spawn(async move {
                let path = format!("/v1/products/bulk?on_error={on_error}");
                shop.post(&path, &rows).await.ok(200)
            })
        });
        let mut created = 0;
        for call in calls {
            let report = call.await.unwrap();
            assert_eq!(report["failed"], 0, "{report}");
            created += report["created"].as_i64().unwrap();
        }
        assert_eq!(created, 100);
    }
}

#[tokio::test]
async fn a_list_begins_at_its_first_row_whatever_the_id_and_the_letters() {
    let shop = Shop::open().await;
    let at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    for (id, name) in [(Uuid::nil(), "\u{130}ris"), (Uuid::max(), "\u{3a3}igma")] {
        sqlx::query("insert into categories (id, version, created_at, updated_at, name, description) values ($1, 1, $2, $2, $3, '')")
            .bind(id)
            .bind(at)
            .bind(name)
            .execute(&shop.pool)
            .await
            .unwrap();
        for sort in ["name", "-name"] {
            let list = format!("/v1/categories?sort={sort}&seek={name}");
            let page = shop.get(&list).await.ok(200);
            assert_eq!(page["items"][0]["name"], name, "{sort}");
        }
    }
}

#[tokio::test]
async fn a_search_of_many_words_finds_what_has_them() {
    let shop = Shop::open().await;
    let name = "one two three four five six seven eight nine ten eleven";
    shop.category(name).await;
    for search in [
        name.to_owned(),
        name.replace(" nine", ""),
        name.replace(' ', "  "),
    ] {
        let found = shop
            .get(&format!("/v1/categories?q={search}"))
            .await
            .ok(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{search}");
    }
}

#[tokio::test]
async fn orders_of_one_call_move_each_product_once() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 10).await;
    let order = |quantity: i32| json!({"customer_id": customer["id"], "items": [{"product_id": product["id"], "quantity": quantity}]});
    let row = path("products", &product);
    // One wants more than the others leave, and one names a customer who is not there.
    let stranger = json!({"customer_id": NOBODY, "items": order(5)["items"]});
    let orders = json!([order(4), order(7), stranger, order(6), order(1)]);
    let report = shop
        .post("/v1/orders/bulk?on_error=reject_failed", &orders)
        .await
        .ok(200);
    let outcomes: Vec<&Value> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        ["created", "failed", "failed", "created", "failed"]
    );
    let now = shop.get(&row).await.ok(200);
    assert_eq!(
        (&now["stock"], &now["version"]),
        (&json!(0), &json!(2)),
        "one version, not one for each"
    );
    let ids: Vec<Value> = [0, 3]
        .map(|index: usize| json!({"id": report["rows"][index]["id"]}))
        .to_vec();
    shop.post("/v1/orders/bulk-delete", &Value::Array(ids))
        .await
        .ok(200);
    let now = shop.get(&row).await.ok(200);
    assert_eq!((&now["stock"], &now["version"]), (&json!(10), &json!(3)));
}
