//! The past: the history of a row, and undo.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::messages::{call::Precondition, event::Link};

use crate::{Driver, SIZES, USUAL, id, order, page, picture, product, with_orders};

fn history() -> Value {
    let change = |pointer: &str, before: Value, after: Value| json!({"pointer": pointer, "before": before, "after": after});
    let entry = |version: i64, op: &str, changes: Value| {
        json!({
            "at": format!("2024-10-28T10:{version:02}:00Z"), "actor": "grace\u{1b}[31m", "op": op,
            "version": version, "changes": changes, "before": null, "after": null,
        })
    };
    json!({
        "items": [
            entry(3, "update", json!([
                change("/note", json!(""), json!("Ring twice\u{7}")),
                change("/total_minor", json!(100), json!(200)),
                change("/items/0/unit_price_minor", json!(50), json!(125_000)),
            ])),
            entry(2, "update", json!([
                change("/customer_id", json!(id(1, 0)), json!(id(1, 4))),
                change("/items", json!([1]), json!([1, 2, 3])),
            ])),
            entry(1, "create", json!([])),
        ],
        "next": null, "begins_at": "2024-08-01T00:00:00Z",
    })
}

#[test]
fn detail_shows_the_history_of_its_row() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Enter);
        driver.answer("/v1/orders/", &history());
        driver.settle();
        for _ in 0..3 {
            driver.press(KeyCode::PageDown);
        }
        picture("history", size, &driver);
    }
}

#[test]
fn unreadable_history_is_reported_and_the_row_stays() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Enter);
    driver.settle();
    driver.fail();
    let screen = driver.screen();
    assert!(
        screen.contains("The connection to the server broke."),
        "{screen}"
    );
    assert!(screen.contains("Ada Lovelace"), "{screen}");
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Enter);
    driver.answer(
        "/v1/orders/",
        &json!({"items": [], "next": null, "begins_at": null}),
    );
    assert!(
        driver.screen().contains("No changes are recorded."),
        "{}",
        driver.screen()
    );
}

/// A client that shows exactly two products.
fn products() -> Driver {
    let mut driver = Driver::new(USUAL);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('3'));
    let products = json!({"items": [product(1), product(2)], "next": null, "prev": null});
    driver.answer("/v1/products", &products);
    driver.settle();
    driver
}

fn save_as_pan(driver: &mut Driver) {
    driver.press(KeyCode::Char('e'));
    for _ in 0..2 {
        driver.press(KeyCode::Tab);
    }
    driver.type_text(" and pan");
    for _ in 0..3 {
        driver.press(KeyCode::Tab);
    }
    driver.control('u');
    driver.type_text("7");
    driver.control('s');
    let mut row = product(1);
    row["name"] = json!("Sturdy Pot 1 and pan");
    row["stock"] = json!(7);
    row["version"] = json!(4);
    driver.answer("/v1/products/", &row);
    let products = json!({"items": [row, product(2)], "next": null, "prev": null});
    driver.answer("/v1/products?", &products);
    driver.settle();
}

#[test]
fn undo_of_a_save_leaves_the_stock() {
    let mut driver = products();
    driver.press(KeyCode::Char('u'));
    assert!(driver.screen().contains("There is nothing to undo."));
    save_as_pan(&mut driver);
    assert!(
        driver
            .screen()
            .contains("Saved Sturdy Pot 1 and pan. u undoes it."),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Char('u'));
    let mut row = product(1);
    row["version"] = json!(5);
    let call = driver.answer("/v1/products/", &row);
    assert_eq!(
        (call.method.as_str(), &call.body),
        ("PATCH", &Some(json!({"name": "Sturdy Pot 1"})))
    );
    assert_eq!(call.precondition, Precondition::Version(4));
    assert!(
        driver
            .screen()
            .contains("Sturdy Pot 1 and pan is as it was, except its stock."),
        "{}",
        driver.screen()
    );
}

#[test]
fn undo_leaves_a_row_that_has_changed_since() {
    let mut driver = products();
    save_as_pan(&mut driver);
    driver.press(KeyCode::Char('u'));
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:precondition-failed", "title": "The row has changed",
        "status": 412, "detail": "The product is at version 6 by now.",
    }));
    assert!(
        driver
            .screen()
            .contains("Not undone: Sturdy Pot 1 and pan has changed since."),
        "{}",
        driver.screen()
    );
}

#[test]
fn undo_restores_a_deleted_row() {
    let mut driver = products();
    driver.press(KeyCode::Char('d'));
    driver.press(KeyCode::Char('y'));
    driver.answer("/v1/products/", &Value::Null);
    assert!(
        driver
            .screen()
            .contains("Deleted Sturdy Pot 1. u undoes it."),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Char('u'));
    let call = driver.answer("/v1/products/", &product(1));
    assert_eq!(
        (call.method.as_str(), call.precondition),
        ("PUT", Precondition::Absent)
    );
    let document = call.body.unwrap();
    assert_eq!(
        (&document["sku"], &document["stock"]),
        (&json!("POT-1"), &json!(12_345))
    );
    assert!(
        driver.screen().contains("Sturdy Pot 1 is back."),
        "{}",
        driver.screen()
    );
}

#[test]
fn undo_can_be_repeated_after_a_lost_connection() {
    let mut driver = products();
    save_as_pan(&mut driver);
    driver.press(KeyCode::Char('u'));
    driver.fail();
    assert!(
        driver.screen().contains("Not undone: The connection"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Char('u'));
    assert_eq!(driver.calls().pop().unwrap().method, "PATCH");
}

#[test]
fn order_detail_links_to_its_customer() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Enter);
    driver.answer("/v1/orders/", &history());
    driver.press(KeyCode::Enter);
    let path = format!(
        "/v1/customers?id={}",
        order(0)["customer_id"].as_str().unwrap()
    );
    let calls = driver.calls();
    assert!(calls.iter().any(|call| call.path == path), "{calls:?}");
}

#[test]
fn navigation_goes_back_along_links_and_forward_again() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Enter);
    driver.press(KeyCode::Enter);
    let first = driver.calls().pop().unwrap();
    assert!(
        first.path.starts_with("/v1/customers?id="),
        "{}",
        first.path
    );
    driver.answer(&first.path, &page(vec![crate::customer(0)], 1));
    driver.press(KeyCode::Esc);
    assert!(
        driver.screen().contains("┌ order 241028-1000-0000"),
        "{}",
        driver.screen()
    );
    driver.alt(KeyCode::Right);
    let again = driver.calls().pop().unwrap();
    assert_eq!(again.path, first.path);
    assert!(driver.screen().contains("‹ Orders"), "{}", driver.screen());
    driver.press(KeyCode::Esc);
    driver.type_text("3");
    driver.alt(KeyCode::Right);
    assert!(
        driver
            .screen()
            .contains("There is nothing to go forward to.")
    );
}

#[test]
fn undo_reverts_several_changes_of_a_row_one_by_one() {
    let mut driver = products();
    let row = |name: &str, version: i64| {
        let mut row = product(1);
        row["name"] = json!(name);
        row["version"] = json!(version);
        row
    };
    let shows = |driver: &mut Driver, row: &Value| {
        let products = json!({"items": [row, product(2)], "next": null, "prev": null});
        driver.answer("/v1/products?", &products);
        driver.settle();
    };
    for (name, version) in [("A", 4), ("AB", 5)] {
        driver.press(KeyCode::Char('e'));
        driver.press(KeyCode::Tab);
        driver.press(KeyCode::Tab);
        driver.control('u');
        driver.type_text(name);
        driver.control('s');
        driver.answer("/v1/products/", &row(name, version));
        shows(&mut driver, &row(name, version));
    }
    driver.press(KeyCode::Char('u'));
    let call = driver.answer("/v1/products/", &row("A", 6));
    assert_eq!(
        (call.precondition, call.body),
        (Precondition::Version(5), Some(json!({"name": "A"})))
    );
    shows(&mut driver, &row("A", 6));
    driver.press(KeyCode::Char('u'));
    let call = driver.answer("/v1/products/", &row("Sturdy Pot 1", 7));
    assert_eq!(
        call.precondition,
        Precondition::Version(6),
        "from the version that the undo made"
    );
    assert_eq!(call.body, Some(json!({"name": "Sturdy Pot 1"})));
}
