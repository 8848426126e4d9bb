//! Two people, one row: what overlaps is shown side by side, what does not is put together.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::messages::{call::Precondition, event::Link};

use super::{Driver, SIZES, USUAL, customer, page, picture};

fn newer() -> Value {
    json!({
        "type": "urn:stockroom:problem:precondition-failed", "title": "The row has changed",
        "status": 412, "detail": "The customer is at version 2 by now.",
    })
}

/// A form on a customer whose name, phone and city are changed, and not saved yet.
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
fn what_both_changed_is_shown_side_by_side_and_chosen_field_by_field() {
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
        // Their name is theirs already, and their city nobody here has touched.
        assert_eq!(call.body, Some(json!({"phone": "555-1"})));
        assert_eq!(call.precondition, Precondition::Version(2));
    }
}

#[test]
fn what_does_not_overlap_is_saved_on_top_of_theirs() {
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
fn whoever_does_not_choose_is_asked_again_by_the_next_save() {
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
    // What is typed now counts as mine.
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
    // What is typed while it is on its way would be lost: it is not taken.
    driver.type_text("x");
    assert!(
        driver.screen().contains("saving…") && !driver.screen().contains("Noelx"),
        "{}",
        driver.screen()
    );
}
