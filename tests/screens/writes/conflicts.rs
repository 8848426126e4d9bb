//! Two users, one row: overlapping changes are shown side by side, others are merged.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::messages::{call::Precondition, event::Link};

use crate::{Driver, SIZES, USUAL, customer, page, picture};

fn newer() -> Value {
    json!({
        "type": "urn:stockroom:problem:precondition-failed", "title": "The row has changed",
        "status": 412, "detail": "The customer is at version 2 by now.",
    })
}

/// A form on a customer with changed name, phone and city that is not saved yet.
fn changed(size: (u16, u16)) -> Driver {
    let mut driver = Driver::new(size);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('2'));
    driver.answer(
        "/v1/customers",
        &json!({"items": [customer(0)], "next": null, "prev": null}),
    );
    driver.press(KeyCode::Char('e'));
    driver.type_text(" King");
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Tab);
    driver.type_text("555-1");
    driver
}

fn theirs() -> Value {
    let mut row = customer(0);
    row["version"] = json!(2);
    row["name"] = json!("Countess of Lovelace");
    row["address"]["city"] = json!("Ockham");
    row
}

#[test]
fn conflict_is_shown_side_by_side_and_resolved_by_field() {
    for size in SIZES {
        let mut driver = changed(size);
        driver.control('s');
        driver.refuse(&newer());
        let mut row = theirs();
        row["phone"] = json!("555-2");
        driver.answer("/v1/customers/", &row);
        assert!(driver.calls().is_empty(), "nothing is written unseen");
        picture("conflict", size, &driver);
        driver.control('s');
        assert!(driver.calls().is_empty());
        driver.press(KeyCode::Char('t'));
        driver.press(KeyCode::Char('m'));
        driver.control('s');
        let call = driver.calls().pop().unwrap();
        // The body omits the name, where the other user's value was chosen, and the city, which only the other user
        // changed.
        assert_eq!(call.body, Some(json!({"phone": "555-1"})));
        assert_eq!(call.precondition, Precondition::Version(2));
    }
}

#[test]
fn changes_that_do_not_overlap_are_merged() {
    let mut driver = changed(USUAL);
    driver.control('s');
    driver.refuse(&newer());
    let mut row = theirs();
    row["name"] = customer(0)["name"].clone();
    driver.answer("/v1/customers/", &row);
    let call = driver.calls().pop().unwrap();
    assert_eq!(
        call.body,
        Some(json!({"name": "Ada Lovelace King", "phone": "555-1"}))
    );
    assert_eq!(call.precondition, Precondition::Version(2));
}

#[test]
fn conflict_without_a_choice_is_shown_again_by_the_next_save() {
    let mut driver = changed(USUAL);
    driver.control('s');
    driver.refuse(&newer());
    driver.answer("/v1/customers/", &theirs());
    driver.press(KeyCode::Esc);
    let screen = driver.screen();
    assert!(
        screen.contains("Ada Lovelace King") && screen.contains("Nothing is saved yet"),
        "{screen}"
    );
    // A field that is edited now counts as the user's own choice.
    for _ in 0..2 {
        driver.press(KeyCode::BackTab);
    }
    driver.press(KeyCode::End);
    driver.type_text("-Noel");
    driver.control('s');
    assert!(
        driver.calls().is_empty(),
        "nothing goes over theirs unchosen"
    );
    let screen = driver.screen();
    assert!(
        screen.contains("King-Noel") && screen.contains("Countess"),
        "{screen}"
    );
    driver.press(KeyCode::Char('m'));
    driver.control('s');
    let call = driver.calls().pop().unwrap();
    assert_eq!(
        call.body,
        Some(json!({"name": "Ada Lovelace King-Noel", "phone": "555-1"}))
    );
    // Text typed while the save is in progress would be lost, so the form ignores it.
    driver.type_text("x");
    assert!(
        driver.screen().contains("saving…") && !driver.screen().contains("Noelx"),
        "{}",
        driver.screen()
    );
}
