//! Lists: pages in both directions, cursors, totals, and rows by id.

use serde_json::{Value, json};
use stockroom_server::{MIN_CONNECTIONS, Options};
use stockroom_tests::{Shop, connect, fresh_database, path};

async fn shop_of(categories: usize) -> Shop {
    let shop = Shop::open().await;
    for n in 0..categories {
        // Creates names in another order than ids.
        shop.category(&format!("Name {:03}", n * 37 % 101)).await;
    }
    shop
}

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_contain_every_row_once_in_both_directions() {
    let shop = shop_of(23).await;
    for sort in ["name", "-name", "created_at", "-created_at"] {
        let whole = names(
            &shop
                .get(&format!("/v1/categories?limit=200&sort={sort}"))
                .await
                .ok(200),
        );
        assert_eq!(whole.len(), 23);
        let mut forth = Vec::new();
        let mut path = format!("/v1/categories?limit=5&sort={sort}");
        let last = loop {
            let page = shop.get(&path).await;
            let next = page.link("next");
            let body = page.ok(200);
            assert_eq!(body["next"].is_null(), next.is_none());
            forth.extend(names(&body));
            match next {
                Some(next) => path = next,
                None => break path,
            }
        };
        assert_eq!(forth, whole);
        let mut back: Vec<String> = Vec::new();
        let mut path = last;
        loop {
            let page = shop.get(&path).await;
            let prev = page.link("prev");
            let mut rows = names(&page.ok(200));
            rows.append(&mut back);
            back = rows;
            match prev {
                Some(prev) => path = prev,
                None => break,
            }
        }
        assert_eq!(back, whole);
    }
}

#[tokio::test]
async fn list_links_to_its_last_page() {
    let shop = shop_of(12).await;
    let first = shop.get("/v1/categories?limit=5").await;
    assert_eq!(
        first.link("first").as_deref(),
        Some("/v1/categories?limit=5")
    );
    assert_eq!(first.link("prev"), None);
    let last = shop.get(&first.link("last").unwrap()).await;
    assert_eq!(
        (last.link("next"), last.link("prev").is_some()),
        (None, true)
    );
    let all = names(&shop.get("/v1/categories").await.ok(200));
    assert_eq!(names(&last.ok(200)), all[7..]);
}

#[tokio::test]
async fn page_is_stable_while_rows_before_it_change() {
    let shop = shop_of(12).await;
    let first = shop.get("/v1/categories?limit=5").await.ok(200);
    let next = format!(
        "/v1/categories?limit=5&cursor={}",
        first["next"].as_str().unwrap()
    );
    let second = names(&shop.get(&next).await.ok(200));
    shop.category("Name 000 and a half").await;
    assert_eq!(names(&shop.get(&next).await.ok(200)), second);
}

#[tokio::test]
async fn cursor_is_valid_for_its_own_query_only() {
    let shop = shop_of(12).await;
    let first = shop.get("/v1/categories?limit=5&sort=name").await.ok(200);
    let cursor = first["next"].as_str().unwrap();
    for query in ["sort=-name", "sort=created_at", "sort=name&q=name"] {
        let refused = shop
            .get(&format!("/v1/categories?{query}&cursor={cursor}"))
            .await;
        refused.refused_at(400, "?cursor", "invalid_cursor");
    }
    shop.get(&format!("/v1/products?cursor={cursor}"))
        .await
        .refused_at(400, "?cursor", "invalid_cursor");
    // The page size may change between pages.
    shop.get(&format!("/v1/categories?limit=3&sort=name&cursor={cursor}"))
        .await
        .ok(200);
    for index in 0..cursor.len() {
        let mut altered = cursor.to_owned().into_bytes();
        altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let refused = shop
            .get(&format!("/v1/categories?sort=name&cursor={altered}"))
            .await;
        refused.refused_at(400, "?cursor", "invalid_cursor");
    }
}

#[tokio::test]
async fn list_total_is_returned_on_request() {
    let shop = shop_of(12).await;
    assert!(
        shop.get("/v1/categories?limit=5")
            .await
            .ok(200)
            .get("total")
            .is_none()
    );
    let exact = shop.get("/v1/categories?limit=5&count=exact").await.ok(200);
    assert_eq!(exact["total"], json!({"value": 12, "exact": true}));
    let exact = shop
        .get("/v1/categories?count=exact&q=name+0")
        .await
        .ok(200);
    assert_eq!(
        exact["total"]["value"],
        exact["items"].as_array().unwrap().len()
    );
    sqlx::raw_sql("analyze categories")
        .execute(&shop.pool)
        .await
        .unwrap();
    let estimated = shop
        .get("/v1/categories?limit=5&count=estimated")
        .await
        .ok(200);
    assert_eq!(estimated["total"], json!({"value": 12, "exact": true}));
}

#[tokio::test]
async fn similar_finds_misspelt_names_and_is_never_stale() {
    let shop = Shop::open().await;
    for (name, email) in [
        ("Ada Lovelace", "ada@example.org"),
        ("Grace Hopper", "grace@example.org"),
        ("Sam Smith", "sam@example.org"),
    ] {
        let customer = json!({"name": name, "email": email});
        shop.post("/v1/customers", &customer).await.ok(201);
    }
    let similar = async |path: &str| {
        let found = shop.get(&format!("/v1/{path}")).await.ok(200);
        let found = found["items"].as_array().unwrap().iter();
        let names = found.map(|row| row["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    for (typed, meant) in [
        ("lovelcae", "Ada Lovelace"),
        ("gracehoper", "Grace Hopper"),
        ("smtih", "Sam Smith"),
        ("Ádá lovelase", "Ada Lovelace"),
    ] {
        let found = similar(&format!("customers/similar?q={typed}")).await;
        assert_eq!(found.first().map(String::as_str), Some(meant), "{typed}");
    }
    assert_eq!(similar("customers/similar?q=zzzz").await, [""; 0]);
    let johnson = json!({"name": "Zzzza Johnson", "email": "z@example.org"});
    shop.post("/v1/customers", &johnson).await.ok(201);
    assert_eq!(similar("customers/similar?q=zzzz").await, ["Zzzza Johnson"]);

    let product = shop.product("TEA-1", 9).await;
    let found = similar("products/similar?q=prodcut&active=true&limit=1").await;
    assert_eq!(found, ["Product TEA-1"]);
    shop.patch(&path("products", &product), &json!({"active": false}))
        .await
        .ok(200);
    assert_eq!(
        similar("products/similar?q=prodcut&active=true").await,
        [""; 0]
    );

    let refused = async |query: &str, at: &str, code: &str| {
        let path = format!("/v1/customers/similar?{query}");
        shop.get(&path).await.refused_at(400, at, code);
    };
    refused("", "?q", "required").await;
    refused("q=%00", "?q", "required").await;
    refused("q=x&sort=name", "?sort", "unknown_parameter").await;
    refused("q=x&limit=0", "?limit", "out_of_range").await;
    shop.get("/v1/orders/similar?q=x").await.refused(400);
    // The old path still works for older clients.
    assert_eq!(similar("customers/alike?q=zzzz").await, ["Zzzza Johnson"]);
}

#[tokio::test]
async fn rows_are_read_by_a_list_of_ids() {
    let shop = shop_of(3).await;
    let page = shop.get("/v1/categories").await.ok(200);
    let ids: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    let gone = "0192d3f0-0000-7000-8000-000000000000";
    let found = shop
        .get(&format!("/v1/categories?id={},{gone},{}", ids[0], ids[2]))
        .await
        .ok(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&found["next"], &found["prev"]),
        (&Value::Null, &Value::Null)
    );
    let many = vec![gone; 201].join(",");
    shop.get(&format!("/v1/categories?id={many}"))
        .await
        .refused_at(400, "?id", "out_of_range");
    shop.get("/v1/categories?id=x").await.refused(400);
    shop.get(&format!("/v1/categories?id={gone}&limit=3"))
        .await
        .refused_at(400, "?limit", "unknown_parameter");
}

#[tokio::test]
async fn seek_starts_a_page_at_a_value_with_links_both_ways() {
    let shop = Shop::open().await;
    for name in ["Apple", "banana", "Cherry", "damson", "Elder"] {
        shop.category(name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let page = shop.get("/v1/categories?seek=C&limit=2").await.ok(200);
    assert_eq!(names(&page), ["Cherry", "damson"]);
    let around = |cursor: &str| {
        let cursor = page[cursor].as_str().unwrap();
        format!("/v1/categories?limit=2&cursor={cursor}")
    };
    assert_eq!(names(&shop.get(&around("next")).await.ok(200)), ["Elder"]);
    let before = shop.get(&around("prev")).await.ok(200);
    assert_eq!(
        (names(&before), &before["prev"]),
        (vec!["Apple".to_owned(), "banana".to_owned()], &Value::Null)
    );
    let page = shop
        .get("/v1/categories?sort=-name&seek=cherry&limit=2")
        .await
        .ok(200);
    assert_eq!(names(&page), ["Cherry", "banana"]);
    // A page beyond the last row still links back to the rows before it.
    let beyond = shop.get("/v1/categories?seek=zzz&limit=2").await.ok(200);
    assert_eq!((names(&beyond), &beyond["next"]), (vec![], &Value::Null));
    let back = format!(
        "/v1/categories?limit=2&cursor={}",
        beyond["prev"].as_str().unwrap()
    );
    assert_eq!(names(&shop.get(&back).await.ok(200)), ["damson", "Elder"]);
    let links = shop.get("/v1/categories?seek=C&limit=2").await;
    assert_eq!(
        links.link("first").as_deref(),
        Some("/v1/categories?limit=2")
    );

    shop.get(&format!(
        "/v1/categories?seek=a&cursor={}",
        page["next"].as_str().unwrap_or("x")
    ))
    .await
    .refused_at(400, "?seek", "repeated");
}

#[tokio::test]
async fn seek_takes_a_time_for_orders_and_the_sort_field_for_other_lists() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 9).await;
    let customer = shop.customer("ada@example.org").await;
    for day in [3, 5, 5, 9] {
        let order = json!({
            "customer_id": customer["id"], "placed_at": format!("2026-02-{day:02}T12:00:00Z"),
            "items": [{"product_id": product["id"], "quantity": 1}],
        });
        shop.post("/v1/orders", &order).await.ok(201);
    }
    let days = |page: Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|row| row["placed_at"].as_str().unwrap()[8..10].to_owned())
            .collect()
    };
    let at = |seek: &str| format!("/v1/orders?seek={seek}");
    assert_eq!(
        days(shop.get(&at("2026-02-05T12:00:00Z")).await.ok(200)),
        ["05", "05", "03"]
    );
    assert_eq!(days(shop.get(&at("2026-02-05")).await.ok(200)), ["03"]);
    assert_eq!(
        days(
            shop.get(&format!("{}&sort=placed_at", at("2026-02-05")))
                .await
                .ok(200)
        ),
        ["05", "05", "09"]
    );
    for wrong in ["yesterday", "-200000-01-01", "%2B10000-01-01"] {
        shop.get(&at(wrong))
            .await
            .refused_at(400, "?seek", "wrong_type");
    }
    shop.get("/v1/products?sort=stock&seek=few")
        .await
        .refused_at(400, "?seek", "wrong_type");
}

#[tokio::test]
async fn pages_of_all_sizes_share_a_few_prepared_statements() {
    let pool = connect(fresh_database().await, MIN_CONNECTIONS)
        .await
        .unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    for number in 0..12 {
        shop.category(&format!("Tea {number:02}")).await;
    }
    for limit in 1..=200 {
        let page = shop
            .get(&format!("/v1/categories?limit={limit}"))
            .await
            .ok(200);
        let rows = page["items"].as_array().unwrap();
        assert_eq!(rows.len(), limit.min(12));
        assert_eq!(page["next"].is_null(), limit >= 12, "{limit}");
    }
    let mut statements = 0;
    for pool in shop.database.pools() {
        let prepared = "select count(*) from pg_prepared_statements
            where statement like '%from categories%limit%' and statement not like '%pg_prepared%'";
        let mut connection = pool.acquire().await.unwrap();
        let prepared = sqlx::query_scalar::<_, i64>(prepared).fetch_one(&mut *connection);
        statements += prepared.await.unwrap();
    }
    assert_eq!(statements, 8, "1, 2, 5, 10, 20, 50, 100, 200");
}
