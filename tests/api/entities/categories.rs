//! Categories, and with them the behaviour that all resources share.

use reqwest::Method;
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Shop, path};
use uuid::Uuid;

#[tokio::test]
async fn row_is_created_read_changed_and_deleted() {
    let shop = Shop::open().await;
    let created = shop.post("/v1/categories", &json!({"name": "Tea"})).await;
    assert_eq!(created.header("etag"), "\"1\"");
    let location = created.header("location").to_owned();
    let row = created.ok(201);
    assert_eq!(location, path("categories", &row));
    assert_eq!(row["description"], "");
    assert_eq!(row["created_at"], row["updated_at"]);
    assert_eq!(shop.get(&location).await.ok(200), row);

    let replaced = shop
        .put(&location, &json!({"name": "Teas", "description": "Green"}))
        .await;
    assert_eq!(replaced.header("etag"), "\"2\"");
    let replaced = replaced.ok(200);
    assert_eq!(
        (&replaced["name"], &replaced["version"]),
        (&json!("Teas"), &json!(2))
    );

    let patched = shop
        .patch(&location, &json!({"description": null}))
        .await
        .ok(200);
    assert_eq!(
        (&patched["name"], &patched["description"]),
        (&json!("Teas"), &json!(""))
    );

    assert_eq!(shop.delete(&location).await.ok(204), json!(null));
    shop.get(&location).await.refused(404);
    shop.delete(&location).await.refused(404);
}

#[tokio::test]
async fn patch_that_changes_nothing_writes_nothing() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let before = shop.fingerprint().await;
    let patched = shop
        .patch(&path("categories", &row), &json!({"name": "Tea"}))
        .await;
    assert_eq!(patched.ok(200), row);
    assert_eq!(shop.fingerprint().await, before);
}

#[tokio::test]
async fn reads_and_writes_are_conditional_on_the_version() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let path = path("categories", &row);
    let get = |tag: &str| {
        shop.send(
            shop.request(Method::GET, &path)
                .header("if-none-match", tag),
        )
    };
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = get(known).await;
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.status, 304, "{known}");
    }
    get("\"2\"").await.ok(200);

    let patch = |tag: &str| {
        let request = shop.request(Method::PATCH, &path).header("if-match", tag);
        shop.send(
            request
                .header("content-type", "application/json")
                .body(r#"{"name": "Teas"}"#),
        )
    };
    for stale in ["\"2\"", "W/\"2\"", "\"x\""] {
        patch(stale).await.refused(412);
    }
    // A compressing proxy weakens the ETag, which still names the same version.
    patch("W/\"1\"").await.ok(200);
    patch("\"1\"").await.refused(412);
    let delete = |tag: &str| shop.send(shop.request(Method::DELETE, &path).header("if-match", tag));
    delete("\"1\"").await.refused(412);
    delete("*").await.ok(204);
}

#[tokio::test]
async fn strict_server_requires_if_match() {
    let options = Options {
        require_if_match: true,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let row = shop.category("Tea").await;
    let path = path("categories", &row);
    shop.patch(&path, &json!({"name": "x"})).await.refused(428);
    shop.put(&path, &json!({"name": "x"})).await.refused(428);
    shop.delete(&path).await.refused(428);
    assert_eq!(shop.get(&path).await.ok(200), row);
}

#[tokio::test]
async fn deleted_row_can_be_created_again_under_its_id() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let path = path("categories", &row);
    let create = |path: String| {
        let request = shop
            .request(Method::PUT, &path)
            .header("if-none-match", "*");
        shop.send(
            request
                .header("content-type", "application/json")
                .body(r#"{"name": "Tea"}"#),
        )
    };
    create(path.clone()).await.refused(412);
    shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    shop.delete(&path).await.ok(204);
    let back = create(path.clone()).await.ok(201);
    // The version continues, so no ETag that a client still holds matches the new row.
    assert_eq!((&back["id"], &back["version"]), (&row["id"], &json!(3)));

    let fresh = create(format!("/v1/categories/{}", Uuid::from_u128(9))).await;
    fresh.refused_at(409, "/name", "duplicate");
    shop.put(
        &format!("/v1/categories/{}", Uuid::from_u128(9)),
        &json!({"name": "x"}),
    )
    .await
    .refused(404);
}

#[tokio::test]
async fn category_names_are_unique_ignoring_case() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    let other = shop.category("Coffee").await;
    let duplicate = json!({"name": "tEA"});
    shop.post("/v1/categories", &duplicate)
        .await
        .refused_at(409, "/name", "duplicate");
    let patched = shop.patch(&path("categories", &other), &duplicate).await;
    patched.refused_at(409, "/name", "duplicate");
}

#[tokio::test]
async fn category_in_use_is_not_deleted_and_its_products_are_counted() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 0).await;
    let category = json!({"id": product["category_id"]});
    let before = shop.fingerprint().await;
    let detail = shop
        .delete(&path("categories", &category))
        .await
        .refused(409);
    assert!(detail.contains("products in it: 1;"), "{detail}");
    assert_eq!(shop.fingerprint().await, before);
}
