//! Saving a form: what is reported when the outcome is clear, and when it is not.

use crate::{Driver, customer, id, page};
use crossterm::event::KeyCode;
use serde_json::json;
use stockroom_common::{Kind, Problem};
use stockroom_tui::messages::event::Link;

/// A client that has sent a new category and waits for the response.
fn saving_a_category() -> Driver {
    let mut driver = Driver::new((80, 24));
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('4'));
    driver.answer("/v1/categories", &page(vec![], 0));
    driver.press(KeyCode::Char('n'));
    driver.type_text("Tea");
    driver.control('s');
    driver
}

#[test]
fn save_with_an_unknown_outcome_is_not_reported_as_unsaved() {
    for (kind, reported) in [
        (Kind::OutcomeUnknown, "it may have been saved"),
        (Kind::Unavailable, "Nothing was saved."),
    ] {
        let mut driver = saving_a_category();
        let problem = Problem::new(kind, "A row was in use.");
        driver.refuse(&serde_json::to_value(problem).unwrap());
        // The message may wrap onto two lines.
        let screen = driver
            .screen()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(screen.contains(reported), "{screen}");
        assert!(screen.contains("Tea"), "what was typed stays: {screen}");
    }
}

#[test]
fn save_without_a_response_is_not_reported_as_unsaved() {
    let mut driver = saving_a_category();
    driver.fail();
    assert!(
        driver.screen().contains("it may have been saved"),
        "{}",
        driver.screen()
    );
}

#[test]
fn save_response_reaches_a_form_under_a_confirmation() {
    let mut driver = saving_a_category();
    driver.press(KeyCode::Esc);
    assert!(
        driver.screen().contains("Close without saving?"),
        "{}",
        driver.screen()
    );
    let category = json!({
        "id": id(3, 1), "version": 1, "name": "Tea", "description": "",
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    });
    driver.answer("/v1/categories", &category);
    assert!(driver.app.overlays.is_empty(), "{}", driver.screen());
    assert!(
        driver.screen().contains("Created Tea."),
        "{}",
        driver.screen()
    );
}

#[test]
fn row_reloaded_for_a_closed_form_is_not_reported_as_saved() {
    let mut driver = Driver::new((80, 24));
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('2'));
    driver.answer("/v1/customers", &page((0..5).map(customer).collect(), 5));
    driver.press(KeyCode::Char('e'));
    driver.type_text("x");
    driver.control('s');
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:precondition-failed", "title": "The row has changed",
        "status": 412, "detail": "The customer is at version 2 by now.",
    }));
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Char('y'));
    driver.answer("/v1/customers/", &customer(0));
    assert!(!driver.screen().contains("saved"), "{}", driver.screen());
}
