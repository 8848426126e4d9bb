//! The change log: each row that a write changes has its entry, committed in the transaction of that write.

use serde_json::{Value, json};
use stockroom_tests::{Shop, path};

async fn log(shop: &Shop) -> Vec<Value> {
    sqlx::query_scalar(
        "select jsonb_build_object('actor', actor, 'on_behalf_of', on_behalf_of, 'entity', entity,
            'op', op, 'version', version, 'before', before, 'after', after)
        from changes order by at, version",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn change_log_records_every_write_with_its_actor() {
    let shop = Shop::open().await;
    let row = shop.category("Tea").await;
    let path = path("categories", &row);
    let patched = shop.patch(&path, &json!({"name": "Teas"})).await.ok(200);
    let request = shop
        .request(reqwest::Method::DELETE, &path)
        .header("stockroom-actor", "ada");
    shop.send(request).await.ok(204);
    let entry = |on_behalf_of: &Value, op: &str, version: i64, before: &Value, after: &Value| {
        json!({
            "actor": "admin", "on_behalf_of": on_behalf_of, "entity": "category", "op": op, "version": version,
            "before": before, "after": after,
        })
    };
    let expected = [
        entry(&Value::Null, "create", 1, &Value::Null, &row),
        entry(&Value::Null, "update", 2, &row, &patched),
        entry(&json!("ada"), "delete", 2, &patched, &Value::Null),
    ];
    assert_eq!(log(&shop).await, expected);
}

#[tokio::test]
async fn change_log_omits_refused_writes() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    shop.post("/v1/categories", &json!({"name": "tea"}))
        .await
        .refused(409);
    assert_eq!(log(&shop).await.len(), 1);
}

#[tokio::test]
async fn write_continues_when_its_caller_disconnects() {
    let shop = Shop::open().await;
    // Locks the row that the write needs, so that the caller disconnects before the write continues.
    let row = shop.category("Tea").await;
    let holder = shop.lock_rows("categories").await;
    let request = shop
        .request(reqwest::Method::PATCH, &path("categories", &row))
        .header("content-type", "application/json")
        .body(r#"{"name": "Teas"}"#);
    let caller = tokio::spawn(request.send());
    shop.sees_a_wait().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    holder.commit().await.unwrap();
    let reported = "select count(*) from changes where op = 'update'";
    while sqlx::query_scalar::<_, i64>(reported)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
        == 0
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        shop.get(&path("categories", &row)).await.ok(200)["name"],
        "Teas"
    );
}
