//! The history of a row: who changed it, when, and which fields.

use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

async fn history(shop: &Shop, path: &str) -> Value {
    shop.get(&format!("{path}/history")).await.ok(200)
}

#[tokio::test]
async fn history_lists_changes_by_field_newest_first() {
    let shop = Shop::open().await;
    let row = shop.customer("ada@example.org").await;
    let path = path("customers", &row);
    let change = json!({"name": "Ada King", "address": {"city": "London"}});
    let request = shop
        .request(reqwest::Method::PATCH, &path)
        .header("content-type", "application/json")
        .header("stockroom-actor", "grace")
        .body(change.to_string());
    let changed = shop.send(request).await.ok(200);
    let reported = history(&shop, &path).await;
    assert_eq!(
        (&reported["next"], &reported["begins_at"]),
        (&Value::Null, &Value::Null)
    );
    let entries = reported["items"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let newest = &entries[0];
    assert_eq!(
        (
            &newest["actor"],
            &newest["on_behalf_of"],
            &newest["op"],
            &newest["version"],
            &newest["at"]
        ),
        (
            &json!("admin"),
            &json!("grace"),
            &json!("update"),
            &json!(2),
            &changed["updated_at"]
        )
    );
    let expected = json!([
        {"pointer": "/address/city", "before": "", "after": "London"},
        {"pointer": "/name", "before": "Ada Lovelace", "after": "Ada King"},
    ]);
    assert_eq!(newest["changes"], expected);
    assert_eq!((&newest["before"], &newest["after"]), (&row, &changed));
    assert_eq!(
        (
            &entries[1]["op"],
            &entries[1]["before"],
            &entries[1]["after"]
        ),
        (&json!("create"), &Value::Null, &row)
    );
    // The history is cached; later writes and the deletion must still appear.
    shop.delete(&path).await.ok(204);
    let reported = history(&shop, &path).await;
    assert_eq!(
        (
            &reported["items"][0]["op"],
            &reported["items"][0]["version"]
        ),
        (&json!("delete"), &json!(2))
    );
    // A row that is created again from its history continues with the next version.
    let mut document = reported["items"][0]["before"].clone();
    for field in ["id", "version", "created_at", "updated_at"] {
        document.as_object_mut().unwrap().remove(field);
    }
    let request = shop
        .request(reqwest::Method::PUT, &path)
        .header("content-type", "application/json")
        .header("if-none-match", "*")
        .body(document.to_string());
    let back = shop.send(request).await.ok(201);
    assert_eq!(
        (&back["name"], &back["version"]),
        (&json!("Ada King"), &json!(3))
    );
    let ops: Vec<Value> = history(&shop, &path).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["op"].clone())
        .collect();
    assert_eq!(ops, ["create", "delete", "update", "create"]);
}

#[tokio::test]
async fn history_is_paged() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let path = path("categories", &row);
    for n in 2..=5 {
        shop.patch(&path, &json!({"description": n.to_string()}))
            .await
            .ok(200);
    }
    let mut versions = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = shop.get(&format!("{path}/history?{query}")).await.ok(200);
        let items = page["items"].as_array().unwrap().clone();
        versions.extend(items.iter().map(|entry| entry["version"].as_i64().unwrap()));
        match page["next"].as_str() {
            Some(next) => query = format!("limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(versions, [5, 4, 3, 2, 1]);
    shop.get(&format!("{path}/history?cursor=x"))
        .await
        .refused_at(400, "?cursor", "invalid_cursor");
    shop.get(&format!("{path}/history?limit=0"))
        .await
        .refused_at(400, "?limit", "out_of_range");
}

#[tokio::test]
async fn history_of_a_seeded_row_is_empty_and_of_an_unknown_row_not_found() {
    let shop = Shop::open().await;
    let sizes = json!({"seed": 1, "categories": 1, "products": 1, "customers": 1, "orders": 1, "months": 1});
    shop.seed(&sizes).await;
    for resource in ["categories", "products", "customers", "orders"] {
        let row = shop.get(&format!("/v1/{resource}")).await.ok(200)["items"][0].clone();
        assert_eq!(
            history(&shop, &path(resource, &row)).await["items"],
            json!([])
        );
    }
    let nobody = "0192d3f0-0000-7000-8000-000000000000";
    shop.get(&format!("/v1/products/{nobody}/history"))
        .await
        .refused(404);
    // Stock that an order takes is recorded in the entry of the order only.
    let product = shop.product("A-1", 5).await;
    let customer = shop.customer("ada@example.org").await;
    let order = shop.order(&customer, &product, 2).await;
    let of = |row: Value| row["items"].as_array().unwrap().len();
    assert_eq!(of(history(&shop, &path("products", &product)).await), 1);
    assert_eq!(of(history(&shop, &path("orders", &order)).await), 1);
}
