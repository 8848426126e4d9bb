//! Files of rows: by all the rules, or as they were.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use stockroom_server::{Clock, Options};
use stockroom_tests::{Answer, Shop, path};

const RESOURCES: [&str; 4] = ["categories", "products", "customers", "orders"];

async fn import(shop: &Shop, path: &str, media_type: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = shop.request(Method::POST, &format!("/v1/{path}"));
    let request = request.header("content-type", media_type);
    shop.send(request.body(file.into())).await
}

async fn csv(shop: &Shop, path: &str, file: &str) -> Answer {
    import(shop, path, "text/csv", file).await
}

async fn ndjson(shop: &Shop, path: &str, rows: &[Value]) -> Answer {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    import(shop, path, "application/x-ndjson", lines.join("\n")).await
}

/// Created, updated, unchanged and failed rows.
fn counts(report: &Value) -> [i64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| report[name].as_i64().unwrap())
}

async fn exported(shop: &Shop, resource: &str, format: &str) -> String {
    let path = format!("/v1/{resource}/export?format={format}");
    let response = shop.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

async fn logged(shop: &Shop, op: &str) -> i64 {
    sqlx::query_scalar("select count(*) from changes where op = $1")
        .bind(op)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
}

/// A shop with seeded rows of all kinds, and some that no seed would make.
async fn lived_in() -> Shop {
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
async fn what_was_exported_and_restored_is_the_same_shop_byte_by_byte() {
    let shop = lived_in().await;
    for (format, media_type) in [
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
    ] {
        let twin = Shop::open().await;
        // An empty list is cached, and must not outlive the import.
        twin.get("/v1/orders").await.ok(200);
        for resource in RESOURCES {
            let file = exported(&shop, resource, format).await;
            let body = if format == "csv" {
                file.clone().into_bytes()
            } else {
                gzip(&file)
            };
            let path = format!("{resource}/import?mode=restore");
            let dry = import(
                &twin,
                &format!("{path}&dry_run=true"),
                media_type,
                body.clone(),
            )
            .await;
            let report = import(&twin, &path, media_type, body).await.ok(200);
            assert_eq!(dry.ok(200), report);
            assert_eq!(counts(&report)[1..], [0, 0, 0]);
            assert_eq!(exported(&twin, resource, format).await, file);
        }
        assert_eq!(
            twin.get("/v1/orders").await.ok(200)["items"]
                .as_array()
                .unwrap()
                .len(),
            50
        );
        let (whole, restored) = (shop.fingerprint().await, twin.fingerprint().await);
        for table in ["categories", "products", "customers", "orders", "items"] {
            assert!(whole[table] == restored[table], "{table}");
        }
        assert_eq!(
            logged(&twin, "import").await,
            4,
            "a file is told in one entry"
        );
        // It goes on as a shop: a row has the version that it had.
        let product = &twin.get("/v1/products?limit=1").await.ok(200)["items"][0];
        let next = product["version"].as_i64().unwrap() + 1;
        let patched = twin
            .patch(&path("products", product), &json!({"name": "New"}))
            .await;
        assert_eq!(patched.ok(200)["version"], next);
    }
}

#[tokio::test]
async fn a_restore_takes_only_what_fits_together_and_only_an_empty_shop() {
    let shop = lived_in().await;
    let twin = Shop::open().await;
    let restore = async |resource: &str, rows: &[Value]| {
        ndjson(&twin, &format!("{resource}/import?mode=restore"), rows).await
    };
    let rows = async |resource: &str| -> Vec<Value> {
        let text = exported(&shop, resource, "ndjson").await;
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let (categories, products, customers, orders) = (
        rows("categories").await,
        rows("products").await,
        rows("customers").await,
        rows("orders").await,
    );
    let before = twin.fingerprint().await;
    let mut wrong = orders[..4].to_vec();
    wrong[0]["total_minor"] = json!(1);
    wrong[1]["number"] = wrong[0]["number"].clone();
    wrong[2]["items"][0]["line_no"] = json!(7);
    wrong[3]["placed_at"] = json!("2026-01-01T00:00:00Z");
    let answer = restore("orders", &wrong).await;
    let faults: Vec<(u64, &str)> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            (
                fault["line"].as_u64().unwrap(),
                fault["pointer"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "/total_minor"),
        (2, "/number"),
        (3, "/items"),
        (4, "/placed_at"),
    ];
    assert_eq!(faults, expected);
    answer.refused(422);
    let mut unknown = categories.clone();
    unknown[1]["colour"] = json!(1);
    let answer = restore("categories", &unknown).await;
    assert_eq!(answer.body["errors"][0]["line"], 2);
    answer.refused_at(400, "/colour", "unknown_field");
    // What only the database can tell, found at its line all the same.
    restore("categories", &categories).await.ok(200);
    let mut orphan = products.clone();
    orphan[3]["category_id"] = json!("01890000-0000-7000-8000-000000000000");
    let answer = restore("products", &orphan).await;
    assert_eq!(answer.body["errors"][0]["line"], 4, "{}", answer.body);
    answer.refused_at(422, "/category_id", "not_found");
    let mut twice = customers.clone();
    twice.push(customers[5].clone());
    let answer = restore("customers", &twice).await;
    assert_eq!(answer.body["errors"][0]["line"], customers.len() as u64 + 1);
    answer.refused_at(409, "/id", "duplicate");
    assert_eq!(twin.fingerprint().await["products"], before["products"]);
    restore("categories", &categories).await.refused(409);
    let path = "categories/import?mode=restore&on_error=reject_failed";
    ndjson(&twin, path, &[])
        .await
        .refused_at(400, "?on_error", "unknown_value");
}

#[tokio::test]
async fn a_table_creates_and_changes_rows_and_leaves_alone_what_it_does_not_name() {
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
async fn an_edited_export_does_not_write_over_what_changed_meanwhile() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 9).await;
    let export = exported(&shop, "products", "csv").await;
    let edited = export.replace("Product A-1", "Apple");
    // One is sold before the file comes back: its stock is no longer what the file says.
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
    // An order as it was exported is taken too, with what the server sets.
    let orders = exported(&shop, "orders", "csv").await;
    let report = csv(&shop, "orders/import", &orders).await.ok(200);
    assert_eq!(counts(&report), [0, 0, 1, 0]);
}

#[tokio::test]
async fn orders_from_a_file_keep_every_rule() {
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
async fn every_row_is_told_of_where_that_is_wanted() {
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
    let told: Vec<(u64, &str)> = rows[..4]
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
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
async fn a_file_that_cannot_be_is_refused_whole() {
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
    // Rows that can be read come before the fault; none of them is written, whatever is said of rows.
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
async fn writers_and_imports_of_the_same_rows_do_not_fail_each_other() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let customer = shop.customer("ada@example.org").await;
    let mut products = Vec::new();
    for index in 0..12 {
        products.push(shop.product(&format!("P-{index}"), 100_000).await);
    }
    let order = |from: usize, step: usize| {
        let items: Vec<Value> = (0..12)
            .map(|index| &products[(from + index * step) % 12]["id"])
            .map(|id| json!({"product_id": id, "quantity": 1}))
            .collect();
        json!({"customer_id": customer["id"], "items": items})
    };
    let imports = (0..6).map(|n| {
        let (shop, rows): (_, Vec<Value>) =
            (shop.clone(), (0..40).map(|i| order(i * n, 5)).collect());
        tokio::spawn(async move {
            ndjson(&shop, "orders/import", &rows).await.ok(200);
        })
    });
    let orders = (0..60).map(|n| {
        let (shop, order) = (shop.clone(), order(n, 7));
        tokio::spawn(async move {
            shop.post("/v1/orders", &order).await.ok(201);
        })
    });
    let tables = (0..6).map(|n| {
        let mut table = String::from("sku,name\n");
        (0..12).for_each(|i| table += &format!("P-{},N {n}\n", (i * 7 + n) % 12));
        let shop = shop.clone();
        tokio::spawn(async move {
            csv(&shop, "products/import", &table).await.ok(200);
        })
    });
    for task in imports.chain(orders).chain(tables).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for product in &products {
        assert_eq!(shop.stock(product).await, 100_000 - 6 * 40 - 60);
    }
}

#[tokio::test]
async fn a_row_that_the_database_cannot_take_is_that_rows_fault_alone() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let category = &product["category_id"];
    let rows = [
        json!({"sku": "a\u{0}", "stock": 1}),
        json!({"category_id": category, "sku": "B", "name": "B", "price_minor": 1}),
        json!({"category_id": category, "sku": "C", "name": "C\u{0}", "price_minor": 1}),
        json!({"sku": "A-1", "stock": -1}),
    ];
    let path = "products/import?on_error=reject_failed";
    let report = ndjson(&shop, path, &rows).await.ok(200);
    assert_eq!(counts(&report), [1, 0, 0, 3]);
    // Many that fail, one after the other, leave the one that does not alone.
    let mut rows = vec![json!({"sku": "nowhere"}); 450];
    rows.push(json!({"sku": "B", "stock": 7}));
    let report = ndjson(&shop, path, &rows).await.ok(200);
    assert_eq!(counts(&report), [0, 1, 0, 450]);
    // A time that serde takes finds its partition, also after stock has moved.
    let order = |placed_at: &str| {
        json!({
            "customer_id": customer["id"], "placed_at": placed_at,
            "items": [{"product_id": product["id"], "quantity": 1}],
        })
    };
    let rows = [
        order("2020-03-05T10:00:00Z"),
        order("2020-01-05 10:00:00+00:00"),
    ];
    let report = ndjson(&shop, "orders/import", &rows).await.ok(200);
    assert_eq!(counts(&report), [2, 0, 0, 0]);
}

#[tokio::test]
async fn an_order_of_the_future_is_not_restored() {
    let shop = Shop::open().await;
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let mut order = shop.order(&customer, &product, 1).await;
    shop.delete(&path("orders", &order)).await.ok(204);
    // The time is in the first 48 bits of the id, and in the number.
    let at = chrono::DateTime::parse_from_rfc3339("2099-01-01T00:00:00Z").unwrap();
    let id = format!("{:012x}", at.timestamp_millis());
    let tail = order["id"].as_str().unwrap()[14..].to_owned();
    order["id"] = json!(format!("{}-{}-{tail}", &id[..8], &id[8..]));
    order["placed_at"] = json!("2099-01-01T00:00:00Z");
    let number = order["number"].as_str().unwrap();
    order["number"] = json!(format!("990101-0000-{}", &number[number.len() - 4..]));
    let answer = ndjson(&shop, "orders/import?mode=restore", &[order]).await;
    answer.refused_at(422, "/placed_at", "out_of_range");
}

#[tokio::test]
async fn a_report_of_what_is_there_already_remembers_little() {
    let shop = Shop::open().await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 1_200});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let mut file = exported(&shop, "customers", "ndjson").await;
    file.push_str("{\"name\": \"Ada\", \"email\": \"ada@example.org\"}\n");
    let report = import(&shop, "customers/import", "application/x-ndjson", file).await;
    assert_eq!(counts(&report.ok(200)), [1, 0, 1_200, 0]);
    // Of more tags than a write deletes by name only the epoch is remembered.
    let most: i32 = sqlx::query_scalar("select max(cardinality(tags)) from changes")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert!(most < 1_000, "{most}");
}

#[tokio::test]
async fn an_import_that_takes_long_says_in_the_log_when_it_ended() {
    // Each look at this clock takes a minute and a second.
    let looks = std::sync::atomic::AtomicI64::new(0);
    let began = chrono::Utc::now();
    let clock = Clock::new(move || {
        let looks = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        began + chrono::TimeDelta::seconds(61 * looks)
    });
    let shop = Shop::open_with(Options {
        clock,
        ..Options::default()
    })
    .await;
    csv(&shop, "categories/import", "name\nTea\n").await.ok(200);
    let (is_last, tags): (bool, Vec<String>) = sqlx::query_as(
        "select at > (select at from changes where op = 'create'), tags from changes
        where op = 'import'",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    assert!(is_last);
    assert_eq!(tags, ["epoch"]);
}

#[tokio::test]
async fn a_quote_in_the_header_that_is_not_closed_is_told_so() {
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
