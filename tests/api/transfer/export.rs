//! Exports: whole lists as a stream.

use serde_json::{Value, json};
use stockroom_tests::{Deadline, Shop, connect, fresh_database, path};

/// The content type and the body of a response as text.
async fn text(shop: &Shop, path: &str) -> (String, String) {
    let request = shop.request(reqwest::Method::GET, path);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (kind, response.text().await.unwrap())
}

async fn rows(shop: &Shop, path: &str) -> Vec<Value> {
    let (kind, text) = text(shop, path).await;
    assert_eq!(kind, "application/x-ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Follows a list to its end, page by page.
async fn pages(shop: &Shop, path: &str) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), path.to_owned());
    loop {
        let mut page = shop.get(&next).await.ok(200);
        rows.append(page["items"].as_array_mut().unwrap());
        match page["next"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn export_contains_the_whole_list_in_its_order_and_with_its_filters() {
    let shop = Shop::open().await;
    let job = json!({
        "seed": 1, "categories": 3, "products": 50, "customers": 1_200, "orders": 2_500, "months": 3,
    });
    assert_eq!(shop.seed(&job).await["state"], "done");
    let category = shop.get("/v1/categories").await.ok(200)["items"][0]["id"].clone();
    for query in [
        "categories?limit=200".to_owned(),
        "customers?limit=200&sort=-created_at".into(),
        "customers?limit=200&q=john".into(),
        format!(
            "products?limit=200&category_id={}",
            category.as_str().unwrap()
        ),
        "orders?limit=200".into(),
        "orders?limit=200&status=delivered&sort=placed_at".into(),
    ] {
        let listed = pages(&shop, &format!("/v1/{query}")).await;
        let query = query
            .replacen("?limit=200", "/export?", 1)
            .replacen("?&", "?", 1);
        assert!(!listed.is_empty(), "{query}");
        assert_eq!(
            rows(&shop, &format!("/v1/{query}")).await,
            listed,
            "{query}"
        );
    }
}

#[tokio::test]
async fn csv_export_has_a_header_and_a_value_in_each_column() {
    let shop = Shop::open().await;
    let empty = "id,version,created_at,updated_at,name,description\n";
    let (kind, table) = text(&shop, "/v1/categories/export?format=csv").await;
    assert_eq!(
        (kind.as_str(), table.as_str()),
        ("text/csv; charset=utf-8; header=present", empty)
    );
    let tea = json!({"name": "Tea, \"green\"", "description": "green\nand black"});
    let tea = shop.post("/v1/categories", &tea).await.ok(201);
    let (_, table) = text(&shop, "/v1/categories/export?format=csv").await;
    let row = format!(
        "{},1,{},{},\"Tea, \"\"green\"\"\",\"green\nand black\"\n",
        tea["id"].as_str().unwrap(),
        tea["created_at"].as_str().unwrap(),
        tea["updated_at"].as_str().unwrap(),
    );
    assert_eq!(table, format!("{empty}{row}"));
    let (customer, product) = (
        shop.customer("ada@example.org").await,
        shop.product("A-1", 9).await,
    );
    let order = shop.order(&customer, &product, 2).await;
    let (_, table) = text(&shop, "/v1/orders/export?format=csv").await;
    let items = order["items"].to_string().replace('"', "\"\"");
    assert!(table.contains(&format!(",pending,\"{items}\",")), "{table}");
    let (_, table) = text(&shop, "/v1/customers/export?format=csv").await;
    assert!(
        table.contains("address.line1,address.line2,address.city"),
        "{table}"
    );
}

#[tokio::test]
async fn export_with_invalid_parameters_is_refused() {
    let shop = Shop::open().await;
    let get = async |query: &str| shop.get(&format!("/v1/orders/export?{query}")).await;
    get("format=xml")
        .await
        .refused_at(400, "?format", "unknown_value");
    get("limit=5")
        .await
        .refused_at(400, "?limit", "unknown_parameter");
    get("sort=note")
        .await
        .refused_at(400, "?sort", "unknown_value");
    get("q=tea").await.refused_at(400, "?q", "invalid_format");
    get("customer_id=x")
        .await
        .refused_at(400, "?customer_id", "wrong_type");
}

#[tokio::test]
async fn export_is_a_snapshot_and_leaves_connections_for_other_requests() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let shop = Shop::serve(pool, stockroom_server::Options::default()).await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(reqwest::Method::GET, "/v1/customers/export?sort=created_at");
    let mut response = request.send().await.unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    // The export is running and far from its end, and four connections allow only one export at a time.
    shop.get("/v1/categories/export").await.refused(503);
    let late = shop.customer("late@example.org").await;
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.lines().count(), 60_000);
    assert!(!text.contains("late@example.org"));
    assert_eq!(shop.get(&path("customers", &late)).await.ok(200), late);
    let deadline = Deadline::new("an export that is admitted", 120);
    while shop.get("/v1/categories/export").await.status == 503 {
        deadline.check();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn export_to_a_stalled_caller_does_not_block_other_exports() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let options = stockroom_server::Options {
        request_timeout: std::time::Duration::from_secs(2),
        ..stockroom_server::Options::default()
    };
    let shop = Shop::serve(pool, options).await;
    let job = json!({"seed": 1, "categories": 1, "products": 1, "customers": 60_000});
    assert_eq!(shop.seed(&job).await["state"], "done");
    let request = shop.request(reqwest::Method::GET, "/v1/customers/export");
    let mut stalled = request.send().await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    let deadline = Deadline::new("an export that is admitted", 120);
    while shop.get("/v1/categories/export").await.status == 503 {
        deadline.check();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    // The truncated body must not look complete.
    let broke_off = loop {
        match stalled.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke_off);
}

#[tokio::test]
async fn export_by_ids_contains_only_those_rows() {
    let shop = Shop::open().await;
    let (first, second) = (shop.category("Tea").await, shop.category("Coffee").await);
    shop.category("Milk").await;
    let nobody = "0192d3f0-0000-7000-8000-000000000000";
    let ids = [&second["id"], &first["id"]]
        .map(|id| id.as_str().unwrap())
        .join(",");
    let path = format!("/v1/categories/export?format=csv&id={ids},{nobody}");
    let response = shop
        .request(reqwest::Method::GET, &path)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let names: Vec<bool> = ["Tea", "Coffee", "Milk"]
        .iter()
        .map(|name| text.contains(name))
        .collect();
    assert_eq!(names, [true, true, false], "{text}");
    let (product, customer) = (
        shop.product("A-1", 9).await,
        shop.customer("ada@example.org").await,
    );
    let orders = [
        shop.order(&customer, &product, 1).await,
        shop.order(&customer, &product, 2).await,
    ];
    let ids = [&orders[1]["id"], &orders[0]["id"]].map(|id| id.as_str().unwrap());
    let path = format!("/v1/orders/export?id={}", ids.join(","));
    let response = shop
        .request(reqwest::Method::GET, &path)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows, orders, "with their lines");
    shop.get(&format!("/v1/categories/export?id={nobody}&sort=name"))
        .await
        .refused_at(400, "?sort", "unknown_parameter");
}
