//! Live changes by other users.

use std::time::Duration;

use crossterm::event::KeyCode;
use ratatui::style::Color;
use serde_json::{Value, json};

use crate::{Driver, USUAL, id, order, page, picture, product, with_orders};

fn change(entity: &str, op: &str, row: &Value) -> Value {
    json!({
        "position": 7, "at": "2024-10-28T12:00:00Z", "actor": "grace", "entity": entity,
        "entity_id": row["id"], "op": op, "version": row["version"],
        "changed": ["/status"], "row": if op == "delete" { &Value::Null } else { row }, "touched": [],
    })
}

/// A client that has loaded all orders, so it requests nothing more.
fn few_orders() -> Driver {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('r'));
    let orders: Vec<Value> = (0..30).map(order).collect();
    let page = json!({"items": orders, "next": null, "prev": null});
    driver.answer("/v1/orders", &page);
    driver.settle();
    driver
}

/// Answers the latest request for the list of orders.
fn read_again(driver: &mut Driver, rows: &[Value]) {
    let mut calls = driver.calls().into_iter().rev();
    let list = calls
        .find(|call| call.path.starts_with("/v1/orders?limit"))
        .unwrap();
    driver.reply(&list, &json!({"items": rows, "next": null, "prev": null}));
}

#[test]
fn detail_stays_with_its_row_and_closes_without_it() {
    let mut driver = few_orders();
    driver.press(KeyCode::Down);
    driver.press(KeyCode::Enter);
    let shown = order(1)["number"].as_str().unwrap().to_owned();
    assert!(driver.screen().contains(&shown), "{}", driver.screen());
    // Rows arrive above it while another tab is shown, and the list is reloaded.
    driver.press(KeyCode::Char('4'));
    driver.answer("/v1/categories", &page(vec![], 0));
    driver.change(&change("order", "create", &order(40)));
    driver.press(KeyCode::Char('1'));
    let rows: Vec<Value> = [40, 41, 0, 1, 2].into_iter().map(order).collect();
    read_again(&mut driver, &rows);
    driver.press(KeyCode::Char('e'));
    let screen = driver.screen();
    assert!(screen.contains(&format!("Edit order {shown}")), "{screen}");
    driver.press(KeyCode::Esc);
    // If its row is no longer on the page, the detail closes instead of showing another row.
    driver.press(KeyCode::Char('r'));
    let rows: Vec<Value> = [40, 41, 0].into_iter().map(order).collect();
    read_again(&mut driver, &rows);
    driver.press(KeyCode::Char('q'));
    assert!(
        driver.has_quit(),
        "the detail is closed: {}",
        driver.screen()
    );
}

#[test]
fn row_changed_by_others_is_highlighted_in_place() {
    let mut driver = few_orders();
    let mut paid = order(6);
    assert_eq!(paid["status"], "pending");
    paid["status"] = json!("shipped");
    paid["version"] = json!(2);
    driver.change(&change("order", "update", &paid));
    driver.change(&change("order", "delete", &order(8)));
    picture("live", USUAL, &driver);
    assert_eq!(
        driver.style_of("•2024-10-28 10:53").fg,
        Some(Color::LightMagenta)
    );
    assert!(driver.calls().is_empty(), "the change says all");
    // The highlight ends, but the deletion mark stays. A change to an older version is ignored.
    driver.wait(Duration::from_secs(7));
    assert!(
        !driver.screen().contains('•') && driver.screen().contains('✗'),
        "{}",
        driver.screen()
    );
    assert_eq!(
        driver.app.deadline(),
        None,
        "nothing wakes the client any more"
    );
    driver.change(&change("order", "update", &order(6)));
    assert!(
        driver
            .screen()
            .contains("241028-1006-0006  東京都 株式会社    shipped"),
        "{}",
        driver.screen()
    );
}

#[test]
fn new_rows_are_loaded_at_the_top_of_the_list_and_otherwise_counted() {
    let mut driver = few_orders();
    let new = order(31);
    driver.change(&change("order", "create", &new));
    assert!(driver.calls().is_empty(), "more may follow at once");
    driver.wait(Duration::from_millis(600));
    let mut orders = vec![new];
    orders.extend((0..30).map(order));
    driver.answer(
        "/v1/orders",
        &json!({"items": orders, "next": null, "prev": null}),
    );
    let screen = driver.screen();
    // The selection stays on its row, and the new row is highlighted.
    assert!(
        screen.contains("› 2024-10-28 10:59  241028-1000-0000"),
        "{screen}"
    );
    assert!(
        screen.contains(" •2024-10-28 10:28  241028-1031-0031"),
        "{screen}"
    );
    driver.press(KeyCode::End);
    driver.change(&change("order", "create", &order(40)));
    driver.change(&change("order", "create", &order(41)));
    driver.wait(Duration::from_secs(1));
    assert!(driver.calls().is_empty());
    assert!(
        driver.screen().contains("2 new (r refreshes)"),
        "{}",
        driver.screen()
    );
}

#[test]
fn stock_on_the_screen_is_reloaded_when_an_order_takes_it() {
    let mut driver = few_orders();
    driver.press(KeyCode::Char('3'));
    let products = json!({"items": [product(1), product(2)], "next": null, "prev": null});
    driver.answer("/v1/products?limit", &products);
    driver.settle();
    let mut placed = change("order", "create", &order(50));
    placed["touched"] = json!([
        {"entity": "product", "id": id(2, 2)}, {"entity": "product", "id": id(2, 99)},
    ]);
    driver.change(&placed);
    driver.change(&placed);
    driver.wait(Duration::from_millis(300));
    let mut sold = product(2);
    sold["stock"] = json!(7);
    sold["version"] = json!(4);
    let call = driver.answer("/v1/products?id=", &page(vec![sold], 1));
    assert_eq!(call.path, format!("/v1/products?id={}", id(2, 2)));
    let screen = driver.screen();
    let row = screen.lines().find(|line| line.contains("POT-2")).unwrap();
    assert!(row.starts_with(" •") && row.contains(" 7 "), "{row}");
    assert!(driver.calls().is_empty());
}

#[test]
fn form_reports_what_others_did_to_its_row() {
    let mut driver = few_orders();
    driver.press(KeyCode::Char('e'));
    let mut paid = order(0);
    paid["version"] = json!(2);
    driver.change(&change("order", "update", &paid));
    assert!(
        driver.screen().contains("grace has just changed: status."),
        "{}",
        driver.screen()
    );
    driver.change(&change("order", "delete", &paid));
    assert!(driver.screen().contains("grace has just deleted this row."));
}

#[test]
fn bulk_load_is_reported_by_its_number_of_rows() {
    let mut driver = few_orders();
    driver.press(KeyCode::End);
    let mut seeded = change("order", "seed", &json!({"version": null}));
    seeded["entity_id"] = Value::Null;
    seeded["row"] = json!({"rows": 5_000});
    driver.change(&seeded);
    assert!(driver.screen().contains("5,000 new"), "{}", driver.screen());
}

#[test]
fn new_rows_do_not_replace_a_running_request() {
    let mut driver = few_orders();
    driver.type_text("t2024-10-24");
    driver.press(KeyCode::Enter);
    for number in 40..60 {
        driver.change(&change("order", "create", &order(number)));
        driver.wait(Duration::from_millis(600));
    }
    let calls = driver.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].path.contains("seek="));
}

#[test]
fn stock_that_moves_during_a_reload_is_reloaded_once_more() {
    let mut driver = few_orders();
    driver.press(KeyCode::Char('3'));
    let products = json!({"items": [product(1), product(2)], "next": null, "prev": null});
    driver.answer("/v1/products?limit", &products);
    driver.settle();
    let mut placed = change("order", "create", &order(50));
    placed["touched"] = json!([{"entity": "product", "id": id(2, 2)}]);
    driver.change(&placed);
    driver.wait(Duration::from_millis(300));
    driver.change(&placed);
    driver.wait(Duration::from_millis(300));
    assert_eq!(driver.calls().len(), 1);
    driver.answer("/v1/products?id=", &page(vec![product(2)], 1));
    driver.wait(Duration::from_millis(300));
    assert_eq!(driver.calls().len(), 1);
    // Hidden tabs are not reloaded.
    driver.answer("/v1/products?id=", &page(vec![product(2)], 1));
    driver.press(KeyCode::Char('1'));
    driver.answer("/v1/orders", &page(vec![order(0)], 1));
    driver.settle();
    driver.change(&placed);
    driver.wait(Duration::from_millis(300));
    assert!(
        driver
            .calls()
            .iter()
            .all(|call| !call.path.contains("products")),
        "{:?}",
        driver.calls()
    );
}
