//! Many rows at once: marked, then changed or deleted in one call, with a report of the refused rows.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::messages::call::{Call, Precondition};

use crate::{Driver, USUAL, id, order, picture, with_orders};

fn few_orders() -> Driver {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('r'));
    let orders: Vec<Value> = (0..30).map(order).collect();
    driver.answer(
        "/v1/orders",
        &json!({"items": orders, "next": null, "prev": null}),
    );
    driver.settle();
    driver
}

fn ids(body: &Option<Value>) -> Vec<String> {
    let rows = body.as_ref().unwrap().as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn marked_orders_get_a_status_in_one_call_and_refusals_are_listed() {
    let mut driver = few_orders();
    driver.type_text("  ");
    for _ in 0..3 {
        driver.press(KeyCode::Down);
    }
    driver.type_text("v");
    assert!(driver.screen().contains("6 marked"), "{}", driver.screen());
    picture("marked", USUAL, &driver);
    driver.type_text("b");
    picture("bulk_menu", USUAL, &driver);
    driver.press(KeyCode::Down);
    driver.press(KeyCode::Enter);
    // This change cannot be undone, so the client asks first.
    assert!(driver.calls().is_empty());
    let screen = driver.screen();
    assert!(screen.contains("Make 6 orders paid?"), "{screen}");
    driver.press(KeyCode::Char('y'));
    let outcome = |number: usize| match number {
        2 => json!({"outcome": "failed", "problem": {
            "type": "urn:stockroom:problem:conflict", "title": "No", "status": 409,
            "detail": "The order is shipped; from there it goes to delivered.\u{1b}[2J",
        }}),
        1 => json!({"outcome": "unchanged", "id": id(0, 1), "version": 1}),
        _ => json!({"outcome": "updated", "id": id(0, number), "version": 2}),
    };
    let report = json!({
        "created": 0, "updated": 4, "unchanged": 1, "deleted": 0, "failed": 1,
        "rows": (0..6).map(outcome).collect::<Vec<_>>(),
    });
    let call = driver.answer("/v1/orders/bulk?on_error=reject_failed", &report);
    assert_eq!(
        call.body.as_ref().unwrap()[0],
        json!({"id": id(0, 0), "version": 1, "status": "paid"})
    );
    assert_eq!(ids(&call.body).len(), 6);
    picture("bulk_report", USUAL, &driver);
    driver.press(KeyCode::Enter);
    assert!(!driver.screen().contains("marked"), "{}", driver.screen());
    // The undo is also one call. It covers only rows that are still at the version the change produced and whose
    // status may return.
    driver.type_text("u");
    let call = driver.calls().pop().unwrap();
    assert_eq!(call.path, "/v1/orders/bulk?on_error=reject_failed");
    let back = json!([{"id": id(0, 4), "version": 2, "status": "cancelled"}]);
    assert_eq!(call.body, Some(back));
    let refused = json!({"outcome": "failed", "problem": {
        "type": "urn:stockroom:problem:conflict", "title": "No", "status": 409, "detail": "It is paid.",
    }});
    let report = json!({
        "created": 0, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 1, "rows": [refused],
    });
    driver.reply(&call, &report);
    let screen = driver.screen();
    assert!(screen.contains("Not undone: It is paid."), "{screen}");
    assert!(
        !screen.contains("✓ Not undone"),
        "a failure looks like one: {screen}"
    );
}

#[test]
fn undo_does_not_skip_a_change_that_cannot_be_undone() {
    let mut driver = few_orders();
    // First a change that can be undone: the note of an order.
    driver.press(KeyCode::Char('e'));
    for _ in 0..2 {
        driver.press(KeyCode::Tab);
    }
    driver.type_text("Ring twice");
    driver.control('s');
    let mut row = order(0);
    (row["note"], row["version"]) = (json!("Ring twice"), json!(2));
    driver.answer("/v1/orders/", &row);
    // Then a change that cannot be undone.
    driver.type_text("b");
    driver.press(KeyCode::Down);
    driver.press(KeyCode::Enter);
    let paid = json!({
        "created": 0, "updated": 1, "unchanged": 0, "deleted": 0, "failed": 0,
        "rows": [{"outcome": "updated", "id": id(0, 0), "version": 3}],
    });
    driver.answer("/v1/orders/bulk?on_error=reject_failed", &paid);
    let screen = driver.screen();
    assert!(!screen.contains("undoes it"), "{screen}");
    driver.settle();
    driver.type_text("u");
    let is_write = |call: &Call| call.method != "GET";
    assert!(!driver.calls().iter().any(is_write), "{:?}", driver.calls());
    let screen = driver.screen();
    assert!(
        screen.contains("Not undone: 1 order: an order cannot return"),
        "{screen}"
    );
}

#[test]
fn undo_reports_what_it_leaves() {
    let mut driver = few_orders();
    driver.press(KeyCode::Char('e'));
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Right);
    driver.press(KeyCode::Tab);
    driver.type_text("Ring twice");
    driver.control('s');
    let call = driver.calls().pop().unwrap();
    assert_eq!(
        call.body,
        Some(json!({"status": "paid", "note": "Ring twice"}))
    );
    let mut row = order(0);
    (row["note"], row["status"], row["version"]) = (json!("Ring twice"), json!("paid"), json!(2));
    driver.answer("/v1/orders/", &row);
    driver.settle();
    driver.type_text("u");
    let call = driver.calls().pop().unwrap();
    assert_eq!(call.body, Some(json!({"note": ""})));
    driver.reply(&call, &row);
    let screen = driver.screen();
    assert!(
        screen.contains("is as it was, except its status."),
        "{screen}"
    );
}

#[test]
fn marked_rows_are_deleted_after_a_confirmation_that_lists_them() {
    let mut driver = few_orders();
    driver.type_text("   d");
    let screen = driver.screen();
    assert!(
        screen.contains("Delete 3 orders?") && screen.contains("241028-1000-0000"),
        "{screen}"
    );
    driver.type_text("n");
    assert!(driver.calls().is_empty());
    driver.type_text("dy");
    let deleted = |number: usize| json!({"outcome": "deleted", "id": id(0, number), "version": 1});
    let report = json!({
        "created": 0, "updated": 0, "unchanged": 0, "deleted": 3, "failed": 0,
        "rows": (0..3).map(deleted).collect::<Vec<_>>(),
    });
    let call = driver.answer("/v1/orders/bulk-delete", &report);
    assert_eq!(call.precondition, Precondition::None);
    assert_eq!(call.body.unwrap()[2], json!({"id": id(0, 2), "version": 1}));
    assert!(
        driver.screen().contains("3 deleted. u undoes it."),
        "{}",
        driver.screen()
    );
    driver.type_text("u");
    let call = driver.calls().pop().unwrap();
    let back = &call.body.unwrap()[0];
    assert_eq!(
        (&back["id"], &back["note"], &back["items"][0]["quantity"]),
        (&json!(id(0, 0)), &json!(""), &json!(2))
    );
}

#[test]
fn marks_are_cleared_by_escape_and_by_another_list() {
    let mut driver = few_orders();
    driver.control('a');
    assert!(driver.screen().contains("30 marked"), "{}", driver.screen());
    driver.press(KeyCode::Esc);
    assert!(!driver.screen().contains("marked"));
    driver.type_text(" /x");
    driver.press(KeyCode::Enter);
    assert!(!driver.screen().contains("1 marked"), "{}", driver.screen());
}

#[test]
fn marked_rows_can_be_exported() {
    let mut driver = few_orders();
    driver.type_text("  b");
    for _ in 0..6 {
        driver.press(KeyCode::Down);
    }
    driver.press(KeyCode::Enter);
    driver.press(KeyCode::Enter);
    let call = driver.calls().pop().unwrap();
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        ("POST", "/v1/orders/export?format=csv&name=orders.csv")
    );
    assert_eq!(call.body.unwrap(), json!({"ids": [id(0, 0), id(0, 1)]}));
}

#[test]
fn marked_row_that_changed_off_screen_is_not_overwritten() {
    let mut driver = few_orders();
    driver.type_text(" ");
    let newer = |number: usize| {
        let mut row = order(number);
        row["version"] = json!(2);
        json!({
            "position": 7, "at": "2024-10-28T12:00:00Z", "actor": "grace", "entity": "order",
            "entity_id": row["id"], "op": "update", "version": 2, "changed": ["/note"], "row": row, "touched": [],
        })
    };
    driver.press(KeyCode::End);
    driver.change(&newer(0));
    driver.type_text(" ");
    driver.change(&newer(29));
    driver.type_text("dy");
    let body = driver.calls().pop().unwrap().body.unwrap();
    let versions: Vec<_> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["version"].clone())
        .collect();
    // The first row keeps the version that was on the screen when it was marked, so the server refuses it.
    assert_eq!(versions, [1, 2]);
}

#[test]
fn bulk_report_does_not_interrupt_typing() {
    let mut driver = few_orders();
    driver.type_text(" dy/abc");
    let problem = json!({
        "type": "urn:stockroom:problem:conflict", "title": "No", "status": 409, "detail": "It is shipped.",
    });
    let report = json!({
        "created": 0, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 1,
        "rows": [{"outcome": "failed", "problem": problem}],
    });
    driver.answer("/v1/orders/bulk-delete", &report);
    driver.type_text("d");
    assert!(driver.screen().contains("abcd"), "{}", driver.screen());
    driver.press(KeyCode::Esc);
    assert!(
        driver.screen().contains("It is shipped."),
        "{}",
        driver.screen()
    );
}

#[test]
fn delete_in_a_detail_applies_to_its_row_and_not_to_marks() {
    let mut driver = few_orders();
    driver.type_text("  ");
    driver.press(KeyCode::Enter);
    driver.type_text("d");
    assert!(
        driver.screen().contains("Delete order 241028-1002-0002?"),
        "{}",
        driver.screen()
    );
}
