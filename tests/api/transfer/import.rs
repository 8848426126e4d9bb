//! File imports: with all rules applied, or restoring rows unchanged.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{Answer, Shop, path};

pub(crate) const RESOURCES: [&str; 4] = ["categories", "products", "customers", "orders"];

pub(crate) async fn import(
    shop: &Shop,
    path: &str,
    media_type: &str,
    file: impl Into<Vec<u8>>,
) -> Answer {
    let request = shop.request(Method::POST, &format!("/v1/{path}"));
    let request = request.header("content-type", media_type);
    shop.send(request.body(file.into())).await
}

pub(crate) async fn csv(shop: &Shop, path: &str, file: &str) -> Answer {
    import(shop, path, "text/csv", file).await
}

pub(crate) async fn ndjson(shop: &Shop, path: &str, rows: &[Value]) -> Answer {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    import(shop, path, "application/x-ndjson", lines.join("\n")).await
}

/// The numbers of created, updated, unchanged and failed rows.
pub(crate) fn counts(report: &Value) -> [i64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| report[name].as_i64().unwrap())
}

pub(crate) async fn exported(shop: &Shop, resource: &str, format: &str) -> String {
    let path = format!("/v1/{resource}/export?format={format}");
    let response = shop.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

pub(crate) async fn logged(shop: &Shop, op: &str) -> i64 {
    sqlx::query_scalar("select count(*) from changes where op = $1")
        .bind(op)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

/// A shop with seeded rows of all kinds, and some rows that no seed creates.
pub(crate) async fn lived_in() -> Shop {
    let shop = Shop::open().await;
    let job = json!({
        "seed": 5, "categories": 4, "products": 30, "customers": 700, "orders": 2_600, "months": 5,
    });
    assert_eq!(shop.seed(&job).await["state"], "done");
    let product = shop.product("=1+1,\"\u{1F600}", 9).await;
    let description = json!({"description": "=1+1,\"\r\n\u{1F600}\u{1b}"});
    let product = shop
        .patch(&path("products", &product), &description)
        .await
        .ok(200);
    let customer = json!({
        "name": "Åsa; \"the\" O'Neill", "email": "asa@example.org",
        "address": {"line1": "a,b", "city": "Malmö, \"Skåne\"", "country": "SE"},
    });
    let customer = shop.post("/v1/customers", &customer).await.ok(201);
    let order = shop.order(&customer, &product, 2).await;
    let paid = json!({"status": "paid", "note": "two\nlines"});
    shop.patch(&path("orders", &order), &paid).await.ok(200);
    shop
}

#[tokio::test]
async fn csv_import_creates_and_updates_rows_and_keeps_missing_columns() {
    let shop = Shop::open().await;
    let tea = shop.category("Tea").await;
    let green = shop.product("G-1", 40).await;
    let table = format!(
        "sku;price_minor;category_id;name\nG-1;990;;Green\n007;1250;{0};Black\n\nG-1;;;Greener\n",
        tea["id"].as_str().unwrap()
    );
    let dry = csv(&shop, "products/import?dry_run=true", &table)
        .await
        .ok(200);
    assert_eq!(shop.get(&path("products", &green)).await.ok(200), green);
    let report = csv(&shop, "products/import", &table).await.ok(200);
    assert_eq!(dry, report, "a dry run tells what would be");
    assert_eq!(counts(&report), [1, 2, 0, 0]);
    let changed = shop.get(&path("products", &green)).await.ok(200);
    assert_eq!(
        (
            &changed["price_minor"],
            &changed["name"],
            &changed["stock"],
            &changed["version"]
        ),
        (&json!(990), &json!("Greener"), &json!(40), &json!(3))
    );
    let report = csv(
        &shop,
        "products/import",
        "sku,name\nG-1,Greener\n007,Black\n",
    )
    .await
    .ok(200);
    assert_eq!(counts(&report), [0, 0, 2, 0]);
    assert_eq!(logged(&shop, "update").await, 2);
    let found = shop.get("/v1/products?q=007").await.ok(200);
    assert_eq!(found["items"][0]["price_minor"], 1_250);
}

#[tokio::test]
async fn import_of_an_edited_export_does_not_overwrite_newer_changes() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 9).await;
    let export = exported(&shop, "products", "csv").await;
    let edited = export.replace("Product A-1", "Apple");
    // Two pieces are sold before the file returns, so the stock in the file is outdated.
    shop.order(&customer, &product, 2).await;
    let answer = csv(&shop, "products/import", &edited).await;
    assert_eq!(answer.body["errors"][0]["line"], 2);
    answer.refused_at(412, "/version", "changed");
    assert_eq!(shop.stock(&product).await, 7);
    let fresh = exported(&shop, "products", "csv").await;
    let edited = fresh.replace("Product A-1", "Apple");
    for expected in [[0, 1, 0, 0], [0, 0, 1, 0]] {
        let report = csv(&shop, "products/import", &edited).await.ok(200);
        assert_eq!(counts(&report), expected, "sent again it changes nothing");
    }
    // An exported order is accepted with the fields that the server sets.
    let orders = exported(&shop, "orders", "csv").await;
    let report = csv(&shop, "orders/import", &orders).await.ok(200);
    assert_eq!(counts(&report), [0, 0, 1, 0]);
}

#[tokio::test]
async fn imported_orders_obey_every_rule() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 700).await,
    );
    let order = |quantity: i64| {
        json!({
            "customer_id": customer["id"],
            "items": [{"product_id": product["id"], "quantity": quantity}],
        })
    };
    let placed_at = |at: String| {
        let mut order = order(1);
        order["placed_at"] = at.into();
        order
    };
    shop.get(&path("products", &product)).await.ok(200);
    let mut rows: Vec<Value> = (0..600)
        .map(|i| placed_at(format!("{}-05-05T05:05:05Z", 2010 + i % 3)))
        .collect();
    rows.push(order(101));
    let before = shop.fingerprint().await;
    let answer = ndjson(&shop, "orders/import", &rows).await;
    assert_eq!(answer.body["errors"][0]["line"], 601);
    answer.refused_at(409, "/items/0/quantity", "out_of_stock");
    assert_eq!(
        shop.fingerprint().await,
        before,
        "all or nothing, also over batches"
    );
    let report = ndjson(&shop, "orders/import?on_error=reject_failed", &rows)
        .await
        .ok(200);
    assert_eq!(counts(&report), [600, 0, 0, 1]);
    assert_eq!(report["refused"][0]["line"], 601);
    assert_eq!(report["refused"][0]["problem"]["status"], 409);
    assert_eq!(shop.stock(&product).await, 100);
    assert_eq!(
        logged(&shop, "create").await,
        600 + 3,
        "each row in the log"
    );
    let path = "/v1/orders?placed_from=2011-01-01&placed_before=2012-01-01&count=exact&limit=1";
    assert_eq!(shop.get(path).await.ok(200)["total"]["value"], 200);
}

#[tokio::test]
async fn import_reports_every_row_on_request() {
    let shop = Shop::open().await;
    let table = "name,description\nTea,\n,nameless\nCoffee,\"a\nb\"\nTea,\n";
    let path = "/v1/categories/import?on_error=reject_failed&report=rows";
    let request = shop
        .request(Method::POST, path)
        .header("content-type", "text/csv");
    let response = request.body(table).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reported: Vec<(u64, &str)> = rows[..4]
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            (2, "created"),
            (3, "failed"),
            (4, "created"),
            (6, "unchanged")
        ]
    );
    assert_eq!(rows[1]["problem"]["errors"][0]["pointer"], "/name");
    assert_eq!(counts(&rows[4]), [2, 0, 1, 1]);
}

#[tokio::test]
async fn import_refuses_an_invalid_file_as_a_whole() {
    let options = Options {
        import_limit: 3_000,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let before = shop.fingerprint().await;
    let path = "categories/import";
    csv(&shop, path, "name,colour\nTea,green\n")
        .await
        .refused_at(400, "", "unknown_field");
    csv(&shop, path, "").await.refused_at(400, "", "required");
    let answer = csv(&shop, path, "name\nTea\n\"\"\nCoffee\n\"\"\n").await;
    let faults = answer.body["errors"].clone();
    answer.refused(422);
    assert_eq!(
        (&faults[0]["line"], &faults[1]["line"]),
        (&json!(3), &json!(5)),
        "all of them"
    );
    let answer = ndjson(&shop, path, &[json!({"name": "Tea"}), json!(7)]).await;
    assert_eq!(answer.body["errors"][0]["line"], 2);
    answer.refused_at(400, "", "wrong_type");
    import(&shop, path, "application/json", "[]")
        .await
        .refused(415);
    let with = async |query: &str| csv(&shop, &format!("{path}?{query}"), "name\n").await;
    with("mode=merge")
        .await
        .refused_at(400, "?mode", "unknown_value");
    with("dry_run=1")
        .await
        .refused_at(400, "?dry_run", "unknown_value");
    with("colour=1")
        .await
        .refused_at(400, "?colour", "unknown_parameter");
    assert_eq!(counts(&with("format=csv").await.ok(200)), [0; 4]);
    csv(&shop, path, &"x".repeat(3_001)).await.refused(413);
    let bomb = gzip(&"\n".repeat(200_000));
    assert!(bomb.len() < 3_000);
    let answer = import(&shop, path, "application/x-ndjson", bomb).await;
    answer.refused_at(400, "", "syntax");
    // The readable rows come before the damage; none of them is written, whatever `on_error` says.
    let mut torn = gzip("{\"name\": \"Tea\"}\n{\"name\": \"Coffee\"}\n");
    torn.truncate(torn.len() - 9);
    for query in [
        "",
        "?on_error=reject_failed",
        "?on_error=reject_failed&dry_run=true",
    ] {
        let path = format!("{path}{query}");
        import(&shop, &path, "application/x-ndjson", torn.clone())
            .await
            .refused_at(400, "", "syntax");
        let unclosed = "name,description\nTea,\"x\nCoffee,y\n";
        let answer = csv(&shop, &path, unclosed).await;
        assert_eq!(answer.body["errors"][0]["line"], 2);
        answer.refused_at(400, "", "syntax");
    }
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn unclosed_quote_in_a_csv_header_is_reported() {
    let shop = Shop::open().await;
    let request = shop
        .request(reqwest::Method::POST, "/v1/customers/import?format=csv")
        .body("\"name\nAda\n");
    let refused = shop.send(request).await;
    assert_eq!(refused.body["errors"][0]["line"], 1);
    let detail = refused.refused(400);
    assert!(
        detail.contains("a quote that begins here is not closed"),
        "{detail}"
    );
}
