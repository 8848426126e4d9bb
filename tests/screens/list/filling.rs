//! Filling in forms: choosing rows, creating them from the choice, and the user's own editor.

use std::time::Duration;

use crossterm::event::KeyCode;
use serde_json::json;

use stockroom_tui::messages::event::Link;

use crate::{Driver, USUAL, customer, page, picture, product, with_orders};

fn choosing_a_customer() -> Driver {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('n'));
    driver.press(KeyCode::Enter);
    driver.answer(
        "/v1/customers?limit=50",
        &page((0..5).map(customer).collect(), 5),
    );
    driver
}

#[test]
fn picker_lists_the_best_match_first() {
    let mut driver = choosing_a_customer();
    driver.type_text("ada l");
    assert!(
        driver
            .calls()
            .iter()
            .all(|call| !call.path.contains("q=ada")),
        "typing must rest first"
    );
    driver.wait(Duration::from_millis(150));
    let named = |number: usize, name: &str| {
        let mut row = customer(number);
        row["name"] = json!(name);
        row
    };
    let rows = vec![named(7, "Lisa Radatz"), named(8, "Ada Lovelace")];
    let call = driver.answer("/v1/customers?limit=50&q=ada+l", &page(rows, 2));
    assert!(call.path.ends_with("q=ada+l"));
    let screen = driver.screen();
    assert!(screen.contains("› Ada Lovelace"), "{screen}");
}

#[test]
fn picker_creates_a_missing_row() {
    let mut driver = choosing_a_customer();
    driver.type_text("Zoe Quist");
    driver.wait(Duration::from_millis(150));
    driver.answer("/v1/customers?limit=50&q=Zoe", &page(vec![], 0));
    driver.answer("/v1/customers/similar?limit=50&q=Zoe", &page(vec![], 0));
    picture("nothing_to_choose", USUAL, &driver);
    driver.control('n');
    assert!(driver.screen().contains("Zoe Quist"), "{}", driver.screen());
    driver.press(KeyCode::Tab);
    driver.type_text("zoe@example.org");
    driver.control('s');
    let mut row = customer(9);
    row["name"] = json!("Zoe Quist");
    let call = driver.answer("/v1/customers", &row);
    assert_eq!(call.body.unwrap()["name"], "Zoe Quist");
    // Back in the order form, with the new customer filled in.
    let screen = driver.screen();
    assert!(
        screen.contains("New order") && screen.contains("(Zoe Quist"),
        "{screen}"
    );
    assert_eq!(driver.app.overlays.len(), 1);
}

#[test]
fn picker_reappears_when_creating_is_cancelled() {
    let mut driver = choosing_a_customer();
    driver.control('n');
    driver.press(KeyCode::Esc);
    assert!(
        driver.screen().contains("Choose from customers"),
        "{}",
        driver.screen()
    );
}

#[test]
fn editor_opens_a_text_field_and_returns_the_text() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('e'));
    driver.control('o');
    assert!(
        driver
            .screen()
            .contains("Only text fields open in an editor")
    );
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Tab);
    driver.type_text("Ring");
    driver.control('o');
    assert_eq!(
        driver.edits(Ok("Ring twice\u{1b}[2J\nat the back".into())),
        "Ring"
    );
    let screen = driver.screen();
    assert!(screen.contains("Ring twice^[[2J at the back"), "{screen}");
    driver.control('s');
    let call = driver.calls().pop().unwrap();
    assert_eq!(
        call.body,
        Some(json!({"note": "Ring twice\u{1b}[2J\nat the back"}))
    );
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('e'));
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Tab);
    driver.control('o');
    driver.edits(Err("nano cannot be started: no such file.".into()));
    assert!(driver.screen().contains("nano cannot be started"));
}

#[test]
fn client_without_a_server_has_no_deadline() {
    let mut driver = choosing_a_customer();
    driver.type_text("x");
    // Opens a form over a choice whose search is still delayed; later, names that could not be loaded.
    driver.control('n');
    driver.wait(Duration::from_millis(150));
    assert_eq!(driver.app.deadline(), None);
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Char('3'));
    driver.answer("/v1/products?limit", &page(vec![crate::product(1)], 1));
    driver.fail_those("/v1/categories?id=");
    assert!(driver.app.deadline().is_some());
    driver.link(Link::Down("gone".into()));
    assert_eq!(
        driver.app.deadline(),
        None,
        "nothing is due until the link is back"
    );
}

#[test]
fn quitting_asks_before_it_discards_a_form() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('4'));
    driver.answer("/v1/categories", &page(vec![], 0));
    driver.press(KeyCode::Char('n'));
    driver.type_text("Tea");
    driver.control('c');
    assert!(!driver.has_quit() && driver.screen().contains("Quit without saving?"));
    driver.press(KeyCode::Char('n'));
    assert!(
        driver.screen().contains("New category"),
        "{}",
        driver.screen()
    );
    driver.control('c');
    driver.control('c');
    assert!(driver.has_quit(), "who insists may leave");
}

#[test]
fn q_closes_an_open_detail_and_quits_from_the_list() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Enter);
    assert!(driver.app.screens.orders.detail.is_some());
    driver.press(KeyCode::Char('q'));
    assert!(driver.app.screens.orders.detail.is_none() && !driver.has_quit());
    driver.press(KeyCode::Char('q'));
    assert!(driver.has_quit());
}

#[test]
fn typing_replaces_a_number_and_starts_a_search() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('n'));
    // A letter typed on a reference field searches for rows with that name.
    driver.type_text("l");
    driver.answer("/v1/customers?limit=50&q=l", &page(vec![customer(3)], 1));
    driver.press(KeyCode::Enter);
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Tab);
    assert!(
        driver.screen().contains("(Enter to choose"),
        "{}",
        driver.screen()
    );
    driver.type_text("p");
    driver.answer("/v1/products?limit=50&q=p", &page(vec![product(4)], 1));
    driver.press(KeyCode::Enter);
    driver.type_text("3");
    // The second line is empty and is not sent.
    driver.control('n');
    driver.control('s');
    let call = driver.calls().pop().unwrap();
    let body = call.body.unwrap();
    let items = body["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["quantity"]),
        (1, &json!(3)),
        "{body}"
    );
}

#[test]
fn sign_before_a_number_is_refused() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('3'));
    driver.answer("/v1/products", &page(vec![product(1)], 1));
    driver.press(KeyCode::Char('e'));
    for _ in 0..5 {
        driver.press(KeyCode::Tab);
    }
    driver.type_text("+50");
    let screen = driver.screen();
    assert!(screen.contains("without a sign"), "{screen}");
}
