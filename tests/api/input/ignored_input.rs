//! Input that a server must not ignore silently: unknown parameters, repeated JSON members, text that looks like
//! other text. Also limits that apply only to a caller's own changes.

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::types::Uuid;
use stockroom_tests::{Answer, Shop, path};

use super::bad_input::UNKNOWN_ID;

pub(crate) async fn raw(shop: &Shop, method: Method, path: &str, body: &'static str) -> Answer {
    let request = shop
        .request(method, path)
        .header("content-type", "application/json");
    shop.send(request.body(body)).await
}

/// Routes outside the resources, with their methods.
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
/// The routes of each resource, relative to its path.
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

pub(crate) fn routes() -> impl Iterator<Item = (Method, String)> {
    let resources = ["categories", "products", "customers", "orders"].into_iter();
    let of_resources = resources.flat_map(|name| {
        let routes = OF_RESOURCES.iter();
        routes.map(move |(method, path)| (*method, format!("/v1/{name}{path}")))
    });
    let others = ROUTES.iter();
    let others = others.map(|(method, path)| (*method, (*path).to_owned()));
    let similar = ["similar", "alike"].map(|name| ("GET", format!("/v1/products/{name}")));
    let routes = of_resources.chain(others).chain(similar);
    routes.map(|(method, path)| (method.parse().unwrap(), path.replace("{}", UNKNOWN_ID)))
}

#[tokio::test]
async fn routes_refuse_unknown_parameters() {
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
async fn repeated_json_member_is_refused_everywhere() {
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
async fn list_in_place_of_an_object_is_refused_at_any_depth() {
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
async fn null_does_not_set_a_default() {
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
async fn text_is_normalised_and_must_be_visible() {
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
    // A row that was stored before this rule can still change in other fields.
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
async fn limits_apply_only_to_the_changed_fields() {
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
    // Such a row cannot be created.
    let new = json!([{"category_id": product["category_id"], "sku": "B", "name": "Pot",
        "price_minor": 1, "stock": 1_000_000_010}]);
    shop.post("/v1/products/bulk", &new)
        .await
        .refused_at(422, "/0/stock", "out_of_range");
}

#[tokio::test]
async fn order_total_is_limited_to_what_every_client_can_represent() {
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
    // Totals from before the limit still add up.
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
async fn seek_finds_rows_with_extreme_ids_and_special_letters() {
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
async fn search_with_many_words_finds_matching_rows() {
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
