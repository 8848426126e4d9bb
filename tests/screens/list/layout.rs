//! Customised lists: columns, sorting, views, going to a place, exact counts, the clipboard.

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use ratatui::style::Modifier;
use serde_json::{Value, json};

use crate::{Driver, USUAL, customer, order, page, picture, with_orders};
use stockroom_tui::{messages::event::Link, settings::preferences::Preferences};

fn whole(items: Vec<Value>) -> Value {
    json!({"items": items, "next": null, "prev": null})
}

fn titles(driver: &Driver) -> Vec<String> {
    let screen = driver.screen();
    let header = screen.lines().nth(2).unwrap();
    header.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn columns_are_hidden_moved_widened_and_remembered() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Right);
    assert!(
        driver
            .style_of("Number")
            .add_modifier
            .contains(Modifier::UNDERLINED)
    );
    driver.type_text("-");
    assert!(
        driver.screen().contains("Number is hidden"),
        "{}",
        driver.screen()
    );
    driver.type_text(">]]");
    assert_eq!(
        titles(&driver),
        ["Placed", "Status", "Customer", "Lines", "Total"]
    );
    picture("arranged", USUAL, &driver);
    let memory = driver.outside.remembered.clone().unwrap();
    let mut next = Driver::new(USUAL);
    next.app.restore(memory);
    next.link(Link::Up);
    next.answer("/v1/orders", &page(vec![order(1)], 1));
    assert_eq!(titles(&next), titles(&driver));
    next.type_text("+");
    assert_eq!(
        titles(&next),
        ["Placed", "Number", "Customer", "Status", "Total"]
    );
    assert!(
        next.outside.remembered.unwrap().lists["orders"]
            .columns
            .is_empty()
    );
}

#[test]
fn narrow_terminal_shows_the_selected_column() {
    let mut driver = with_orders((40, 10));
    for _ in 0..5 {
        driver.press(KeyCode::Right);
    }
    picture("narrow", (40, 10), &driver);
    assert!(titles(&driver).contains(&"Total".to_owned()));
}

#[test]
fn list_is_sorted_by_the_selected_column() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('2'));
    driver.answer(
        "/v1/customers?limit",
        &whole(vec![customer(0), customer(1)]),
    );
    driver.press(KeyCode::Right);
    driver.type_text("S");
    let call = driver.answer("/v1/customers?limit", &whole(vec![customer(1)]));
    assert!(call.path.contains("sort=email"), "{}", call.path);
    driver.type_text("S");
    let call = driver.answer("/v1/customers?limit", &whole(vec![customer(1)]));
    assert!(call.path.contains("sort=-email"), "{}", call.path);
    assert_eq!(
        driver.outside.remembered.as_ref().unwrap().lists["customers"].sort,
        "-email"
    );
    driver.press(KeyCode::Right);
    driver.type_text("S");
    assert!(
        driver
            .screen()
            .contains("is not a sort key; sort by name, email, created at."),
        "{}",
        driver.screen()
    );
}

#[test]
fn view_is_saved_shown_and_deleted() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('/'));
    driver.type_text("241028-1003");
    driver.press(KeyCode::Enter);
    driver.answer("/v1/orders", &whole(vec![order(3)]));
    driver.type_text("w");
    driver.press(KeyCode::Enter);
    driver.type_text("Monday");
    driver.press(KeyCode::Enter);
    assert!(driver.screen().contains("The view is saved."));
    driver.press(KeyCode::Esc);
    driver.answer("/v1/orders", &whole(vec![order(3)]));
    driver.type_text("w");
    picture("views", USUAL, &driver);
    driver.press(KeyCode::Enter);
    let call = driver.answer("/v1/orders", &whole(vec![order(3)]));
    assert!(call.path.contains("q=241028-1003"), "{}", call.path);
    let kept = serde_json::to_value(driver.outside.remembered.as_ref().unwrap()).unwrap();
    assert_eq!(kept["lists"]["orders"]["views"][0]["name"], "Monday");
    driver.type_text("wd");
    assert!(driver.screen().contains("The view is deleted."));
    assert!(
        driver.outside.remembered.as_ref().unwrap().lists["orders"]
            .views
            .is_empty()
    );
}

#[test]
fn list_jumps_to_a_day_and_continues_both_ways() {
    let mut driver = with_orders(USUAL);
    driver.type_text("t");
    assert!(
        driver.screen().contains("Go to placed at (2026-11-24):"),
        "{}",
        driver.screen()
    );
    driver.type_text("24.10.2024");
    driver.press(KeyCode::Enter);
    assert!(driver.screen().contains("Write a day like 2026-11-24"));
    driver.type_text("t2024-10-24");
    driver.press(KeyCode::Enter);
    let there = json!({
        "items": (0..100).map(order).collect::<Vec<_>>(), "next": "n", "prev": "p",
        "total": {"value": 1_234_567, "exact": false},
    });
    let call = driver.answer("/v1/orders", &there);
    // The list is in descending order, so the day starts with its latest moment.
    assert!(
        call.path.contains("seek=2024-10-25T00%3A00%3A00%2B00%3A00"),
        "{}",
        call.path
    );
    assert!(
        driver.screen().contains("somewhere in ~1,234,567"),
        "{}",
        driver.screen()
    );
    let before = driver.calls().pop().unwrap();
    assert!(before.path.contains("cursor=p"), "{}", before.path);
    driver.type_text("r");
    let again = driver.calls().pop().unwrap();
    assert!(again.path.contains("seek=2024"), "{}", again.path);
}

#[test]
fn rows_are_counted_on_request_and_the_count_can_be_cancelled() {
    let mut driver = with_orders(USUAL);
    driver.type_text("#");
    assert!(
        driver.screen().contains("1 of … counting"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Esc);
    assert!(driver.screen().contains("1 of ~1,234,567"));
    assert!(
        driver
            .calls()
            .iter()
            .all(|call| !call.path.contains("exact")),
        "it is not waited for"
    );
    driver.type_text("#");
    let counted = json!({
        "items": [order(0)], "next": "n", "prev": null, "total": {"value": 1_234_321, "exact": true},
    });
    let call = driver.answer("/v1/orders?limit=1&", &counted);
    assert!(call.path.contains("count=exact"));
    assert!(
        driver.screen().contains("1 of 1,234,321"),
        "{}",
        driver.screen()
    );
}

#[test]
fn displayed_values_can_be_copied() {
    let mut driver = with_orders(USUAL);
    driver.type_text("y");
    picture("copy", USUAL, &driver);
    driver.type_text("y");
    let row = "2024-10-28 10:59\t241028-1000-0000\tAda Lovelace\tpending\t2\t961.63\t";
    assert_eq!(driver.outside.copied.as_deref(), Some(row));
    driver.press(KeyCode::Right);
    driver.type_text("yc");
    assert_eq!(driver.outside.copied.as_deref(), Some("241028-1000-0000"));
    driver.type_text("yi");
    assert_eq!(driver.outside.copied.as_deref(), order(0)["id"].as_str());
    // A hostile name is copied in its displayed form.
    for _ in 0..3 {
        driver.press(KeyCode::Down);
    }
    driver.press(KeyCode::Right);
    driver.type_text("yc");
    assert_eq!(
        driver.outside.copied.as_deref(),
        Some("^[[31mRed<U+202E>^G")
    );
    // A key without a meaning here only closes the menu.
    driver.type_text("yq");
    assert!(driver.app.overlays.is_empty());
}

#[test]
fn changed_keys_work_and_appear_in_the_hints() {
    let changes =
        serde_json::from_value(json!({"delete": "D", "last": ["G", "g e"], "first": "g g"}));
    let keys = stockroom_tui::settings::keys::Keymap::with(&changes.unwrap()).unwrap();
    let preferences = Preferences {
        keys,
        ..Preferences::default()
    };
    let mut driver = Driver::with((120, 24), preferences);
    driver.link(Link::Up);
    driver.answer(
        "/v1/orders",
        &json!({"items": [order(0), order(1)], "next": null, "prev": null}),
    );
    driver.settle();
    assert!(driver.screen().contains("D delete"), "{}", driver.screen());
    driver.type_text("ge");
    assert!(driver.screen().contains("2 of 2"));
    driver.type_text("gg");
    assert!(driver.screen().contains("1 of 2"));
    driver.type_text("d");
    assert!(driver.app.overlays.is_empty());
    driver.type_text("D");
    assert!(driver.screen().contains("Delete order 241028-1000-0000?"));
}

#[test]
fn mouse_switches_tabs_selects_opens_and_scrolls() {
    let click = MouseEventKind::Down(MouseButton::Left);
    let mut driver = with_orders(USUAL);
    driver.mouse(click, (20, 6));
    assert!(
        driver.screen().contains("› 2024-10-28 10:56"),
        "{}",
        driver.screen()
    );
    driver.mouse(MouseEventKind::ScrollDown, (20, 6));
    assert!(
        driver.screen().contains("› 2024-10-28 10:53"),
        "{}",
        driver.screen()
    );
    driver.mouse(MouseEventKind::ScrollUp, (20, 6));
    driver.mouse(click, (20, 6));
    assert!(
        driver.screen().contains("┌ order 241028-1003-0003"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Esc);
    // Clicks below the rows and on the hints do nothing.
    driver.mouse(click, (20, 23));
    driver.mouse(click, (20, 22));
    assert!(driver.screen().contains("› 2024-10-28 10:56"));
    driver.mouse(click, (25, 0));
    assert!(
        driver
            .calls()
            .iter()
            .any(|call| call.path.starts_with("/v1/products")),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::F(2));
    assert!(driver.screen().contains("Stockroom uses the mouse"));
}

#[test]
fn refused_search_shows_the_reason_and_the_way_out() {
    let mut driver = with_orders(USUAL);
    driver.type_text("/denis");
    driver.press(KeyCode::Enter);
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:unreadable", "title": "No", "status": 400,
        "detail": "?q: `denis` is no order number; they look like 261124-0930-7K2F",
        "errors": [{"pointer": "?q", "code": "invalid",
            "message": "`denis` is no order number; they look like 261124-0930-7K2F"}],
    }));
    picture("refused_search", USUAL, &driver);
}

#[test]
fn long_reason_is_shown_completely() {
    let mut driver = with_orders(USUAL);
    driver.type_text("dy");
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:conflict", "title": "No", "status": 409,
        "detail": "The category cannot be deleted: products in it: 17; move or delete them first, or give \
            them another category, of which there are several.",
    }));
    let screen = driver.screen();
    assert!(screen.contains("of which there are several."), "{screen}");
    driver.press(KeyCode::Down);
    assert!(
        driver.screen().contains("? help"),
        "it goes with the next key"
    );
}

#[test]
fn choices_can_be_clicked() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('s'));
    let click = MouseEventKind::Down(MouseButton::Left);
    let at = |driver: &Driver, words: &str| {
        let screen = driver.screen();
        let row = screen.lines().position(|line| line.contains(words));
        let row = row.unwrap_or_else(|| panic!("no `{words}`: {screen}"));
        (40, row as u16)
    };
    // The first click selects a choice, the second click accepts it.
    let place = at(&driver, "placed at ↑");
    driver.mouse(click, place);
    assert!(
        driver.screen().contains("› placed at ↑"),
        "{}",
        driver.screen()
    );
    driver.mouse(click, place);
    assert!(driver.calls()[0].path.contains("sort=placed_at"));
    driver.press(KeyCode::Char('n'));
    driver.press(KeyCode::Enter);
    let customers = page((0..5).map(customer).collect(), 5);
    driver.answer("/v1/customers?limit=50", &customers);
    let place = at(&driver, "東京都");
    driver.mouse(click, place);
    driver.mouse(click, place);
    let screen = driver.screen();
    assert!(screen.contains("(東京都"), "{screen}");
    // A click outside the form does nothing.
    driver.mouse(click, (1, 1));
    assert_eq!(driver.screen(), screen);
}

#[test]
fn screen_can_be_redrawn_on_request() {
    let mut driver = with_orders(USUAL);
    driver.control('l');
    driver.press(KeyCode::Char('/'));
    driver.control('l');
    assert_eq!(driver.outside.repaints, 2);
}

#[test]
fn search_replaces_the_previous_search() {
    let mut driver = with_orders(USUAL);
    for words in ["ada", "bob"] {
        driver.type_text(&format!("/{words}"));
        driver.press(KeyCode::Enter);
        let list = driver.calls().pop().unwrap();
        assert!(
            list.path.contains(&format!("q={words}&")) || list.path.ends_with(words),
            "{}",
            list.path
        );
    }
}
