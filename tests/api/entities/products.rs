//! Products.

use serde_json::json;
use stockroom_tests::{Shop, path};

#[tokio::test]
async fn product_requires_its_category() {
    let shop = Shop::open().await;
    let product = json!({
        "category_id": "0192d3f0-0000-7000-8000-000000000000",
        "sku": "A-1",
        "name": "Pot",
        "price_minor": 1,
    });
    shop.post("/v1/products", &product)
        .await
        .refused_at(422, "/category_id", "not_found");
}

#[tokio::test]
async fn sku_is_unique() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 0).await;
    let twin = json!({
        "category_id": product["category_id"],
        "sku": "A-1",
        "name": "Twin",
        "price_minor": 1,
    });
    shop.post("/v1/products", &twin)
        .await
        .refused_at(409, "/sku", "duplicate");
}

#[tokio::test]
async fn products_are_found_by_text_category_and_activity() {
    let shop = Shop::open().await;
    let pot = shop.product("POT-1", 0).await;
    let pan = shop.product("PAN-1", 0).await;
    shop.patch(&path("products", &pan), &json!({"active": false}))
        .await
        .ok(200);
    let skus = async |query: String| -> Vec<String> {
        let page = shop.get(&format!("/v1/products?{query}")).await.ok(200);
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|row| row["sku"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(skus("q=pot".into()).await, ["POT-1"]);
    assert_eq!(skus("q=product".into()).await, ["PAN-1", "POT-1"]);
    assert_eq!(skus("q=%25".into()).await, [""; 0]);
    assert_eq!(skus("active=false".into()).await, ["PAN-1"]);
    let category = pot["category_id"].as_str().unwrap();
    assert_eq!(skus(format!("category_id={category}")).await, ["POT-1"]);
    assert_eq!(
        skus(format!("category_id={category}&active=false")).await,
        [""; 0]
    );
}

#[tokio::test]
async fn ordered_product_is_not_deleted() {
    let shop = Shop::open().await;
    let product = shop.product("A-1", 5).await;
    let customer = shop.customer("ada@example.org").await;
    shop.order(&customer, &product, 1).await;
    let detail = shop.delete(&path("products", &product)).await.refused(409);
    assert!(
        detail.contains("order lines with it: 1; set it inactive"),
        "{detail}"
    );
}
