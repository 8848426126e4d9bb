//! How migrations change existing rows.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use stockroom_server::{Pooling, migrate};
use stockroom_tests::{Shop, path};

#[tokio::test]
async fn migration_normalises_old_rows_unless_another_row_has_their_key() {
    let shop = Shop::open().await;
    let customer = shop.customer("ada@example.org").await;
    let product = shop.product("A-1", 1).await;
    let taken = shop.category("Caf\u{e9}").await;
    let other = shop.category("Tea").await;
    let untouched = shop.customer("bob@example.org").await;
    // As older servers stored them.
    for sql in [
        "update customers set name = U&'Zoe\\0308', address = jsonb_set(address, '{city}', to_jsonb(U&'Nu\\0308rnberg'::text))
            where email = 'ada@example.org'",
        "update products set sku = U&'e\\0301-1'",
        "update categories set name = U&'Cafe\\0301' where name = 'Tea'",
        "delete from _sqlx_migrations where version = 13",
    ] {
        sqlx::query(sql).execute(&shop.pool).await.unwrap();
    }
    migrate(&shop.pool.connect_options(), Pooling::Session)
        .await
        .unwrap();
    let now = async |resource: &str, row: &Value| {
        let request = shop
            .request(Method::GET, &path(resource, row))
            .header("cache-control", "no-cache");
        shop.send(request).await.ok(200)
    };
    let ada = now("customers", &customer).await;
    assert_eq!(ada["name"], "Zo\u{eb}");
    assert_eq!(ada["address"]["city"], "N\u{fc}rnberg");
    assert_eq!(ada["version"], 2);
    assert_eq!(now("products", &product).await["sku"], "\u{e9}-1");
    assert_eq!(now("customers", &untouched).await["version"], 1);
    assert_eq!(now("categories", &taken).await["version"], 1);
    let kept = now("categories", &other).await;
    assert_eq!(
        (&kept["name"], &kept["version"]),
        (&json!("Cafe\u{301}"), &json!(1))
    );
    let logged: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select entity, tags from changes where actor = 'stockroom migrate' order by 1",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap();
    let entry = |entity: &str| (entity.to_owned(), vec!["epoch".to_owned()]);
    assert_eq!(logged, [entry("customers"), entry("products")]);
}

#[tokio::test]
async fn archived_partitions_of_the_change_log_get_its_new_columns() {
    let shop = Shop::open().await;
    let (name, bounds): (String, String) = sqlx::query_as(
        "select relname::text, pg_get_expr(relpartbound, oid) from pg_class
        where relname like 'changes\\_%' and relispartition and relkind = 'r'
        order by relname desc limit 1",
    )
    .fetch_one(&shop.pool)
    .await
    .unwrap();
    // As an older server archived it.
    for sql in [
        format!("alter table changes detach partition {name}"),
        format!("alter table {name} set schema archive"),
        format!("alter table archive.{name} drop column on_behalf_of"),
        "alter table changes drop column on_behalf_of".into(),
        "alter table jobs drop column on_behalf_of".into(),
        "drop table tokens, token_generation".into(),
        "delete from _sqlx_migrations where version = 14".into(),
    ] {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&shop.pool)
            .await
            .unwrap();
    }
    migrate(&shop.pool.connect_options(), Pooling::Session)
        .await
        .unwrap();
    let attach = format!("alter table changes attach partition archive.{name} {bounds}");
    sqlx::query(AssertSqlSafe(attach))
        .execute(&shop.pool)
        .await
        .unwrap();
}
