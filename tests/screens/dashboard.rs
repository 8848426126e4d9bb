//! The dashboard.

use std::time::Duration;

use crossterm::event::KeyCode;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::{Driver, SIZES, USUAL, id, order, page, picture, product, with_orders};

fn stats() -> Value {
    let month = |back: i64| {
        let orders = 5_000 - 37 * back * back;
        json!({
            "month": format!("2024-{:02}", 12 - back), "orders": orders,
            "revenue_minor": orders * 12_345,
            "statuses": {"pending": 10, "delivered": orders - 10},
            "top_products": if back == 0 { json!([
                {"product_id": id(2, 1), "pieces": 1_234, "revenue_minor": 9_876_543},
                {"product_id": id(2, 2), "pieces": 5, "revenue_minor": 6_250},
            ]) } else { json!([]) },
        })
    };
    let total = |value: i64, exact: bool| json!({"value": value, "exact": exact});
    json!({
        "counts": {"categories": total(20, true), "products": total(1_000, true),
            "customers": total(10_000, true), "orders": total(5_012_345, false)},
        "months": (0..12).map(month).collect::<Vec<_>>(),
        "cache": {"store": "redis", "is_up": true, "hits": 930, "misses": 70, "bypasses": 4, "fills": 70,
            "collapsed": 0, "loads": 70, "round_trips": 1_000, "invalidations": 9, "deferred": 0,
            "relay_repairs": 0},
    })
}

fn dashboard(size: (u16, u16)) -> Driver {
    let mut driver = with_orders(size);
    driver.press(KeyCode::Char('7'));
    driver.answer("/v1/stats?months=12", &stats());
    driver.answer("/v1/products?id=", &page(vec![product(1), product(2)], 2));
    driver
}

#[test]
fn dashboard_shows_the_shop_in_figures() {
    for size in SIZES {
        picture("dashboard", size, &dashboard(size));
    }
    let mut driver = dashboard(USUAL);
    assert_eq!(driver.style_of("███").fg, Some(Color::Cyan));
    driver.press(KeyCode::PageDown);
    driver.press(KeyCode::PageDown);
    picture("dashboard_below", USUAL, &driver);
}

#[test]
fn dashboard_reloads_after_changes_but_not_for_each_change() {
    let mut driver = dashboard(USUAL);
    let change = json!({
        "position": 7, "at": "2024-10-28T12:00:00Z", "actor": "grace", "entity": "order",
        "entity_id": id(0, 500), "op": "create", "version": 1, "changed": [], "row": order(500), "touched": [],
    });
    for _ in 0..5 {
        driver.change(&change);
        driver.wait(Duration::from_millis(300));
    }
    assert!(driver.calls().is_empty());
    driver.wait(Duration::from_secs(1));
    assert_eq!(driver.calls().len(), 1);
    driver.fail();
    // The previous figures stay on the screen.
    assert!(
        driver.screen().contains("~5,012,345 orders"),
        "{}",
        driver.screen()
    );
}
