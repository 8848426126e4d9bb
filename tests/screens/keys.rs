//! Keys: the palette, the generated key reference, and what keys must not do.

use crossterm::event::KeyCode;
use stockroom_tui::{
    messages::event::Link,
    settings::{
        keys::{self, Keymap, Keys},
        preferences::Preferences,
    },
};

use super::{Driver, USUAL, order, page, picture, with_orders};

#[test]
fn palette_finds_a_command_by_some_of_its_letters() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char(':'));
    driver.type_text("exprt");
    picture("palette", USUAL, &driver);
    driver.press(KeyCode::Enter);
    assert!(driver.screen().contains("Export to"), "{}", driver.screen());
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Char(':'));
    driver.type_text("qqqzzz");
    assert!(driver.screen().contains("No command matches"));
    driver.press(KeyCode::Enter);
    assert!(!driver.screen().contains("Commands"));
}

#[test]
fn screen_names_the_keys_that_are_configured() {
    let changes = [("jobs", "f9"), ("new", "a")];
    let changes = changes.map(|(name, key)| (name.to_owned(), Keys::One(key.to_owned())));
    let preferences = Preferences {
        keys: Keymap::with(&changes.into()).unwrap(),
        ..Preferences::default()
    };
    let mut driver = Driver::with((120, 40), preferences);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    let screen = driver.screen();
    assert!(screen.contains(" 4 Categories  F9 Jobs  6 "), "{screen}");
    let advice = "No orders yet: a creates one, F9 offers test data.";
    assert!(screen.contains(advice), "{screen}");
}

#[test]
fn read_only_client_changes_nothing() {
    let preferences = Preferences {
        is_read_only: true,
        ..Preferences::default()
    };
    let mut driver = Driver::with(USUAL, preferences);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page((0..3).map(order).collect(), 3));
    driver.settle();
    for key in ['n', 'e', 'd', 'i'] {
        driver.press(KeyCode::Char(key));
        let screen = driver.screen();
        assert!(
            screen.contains("This client is read-only"),
            "{key}:\n{screen}"
        );
        assert!(driver.app.overlays.is_empty());
    }
    // Read-only clients do not offer actions that they refuse.
    let screen = driver.screen();
    let hints = screen.lines().rev().nth(1).unwrap();
    assert!(
        hints.contains("Enter open") && !hints.contains("delete"),
        "{hints}"
    );
    driver.press(KeyCode::Char(':'));
    assert!(!driver.screen().contains("Create a row"));
    driver.press(KeyCode::Esc);
    // Bulk actions must not bypass the restriction.
    driver.type_text("  b");
    assert!(
        !driver.screen().contains("make paid"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Esc);
    driver.type_text("d5");
    driver.press(KeyCode::Enter);
    let calls = driver.calls();
    assert!(calls.iter().all(|call| call.method == "GET"), "{calls:?}");
}

#[test]
fn key_reference_matches_the_key_map() {
    let page = include_str!("../../docs/keys.md");
    let printed = keys::markdown(&Keymap::default());
    assert!(
        page == printed,
        "run: stockroom keys --markdown > docs/keys.md"
    );
}
