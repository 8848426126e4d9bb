//! Pictures of the screens at three sizes, from answers that are written down here: no server, no
//! clock, no pty.

mod arranged;
mod dashboard;
mod driver;
mod filling;
mod import;
mod jobs;
mod keys;
mod live;
mod look;
mod marks;
mod pairs;
mod partitions;
mod past;
mod sizes;

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use stockroom_common::{Kind, Problem};
use stockroom_tui::messages::{
    call::{Precondition, Source},
    event::Link,
};

use self::driver::Driver;

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];
const USUAL: (u16, u16) = (80, 24);

fn id(kind: u32, number: usize) -> String {
    format!("0192d3f0-{kind:04x}-7000-8000-{number:012x}")
}

fn page(items: Vec<Value>, total: i64) -> Value {
    json!({
        "items": items, "next": "n", "prev": null,
        "total": {"value": total, "exact": false},
    })
}

fn order(number: usize) -> Value {
    let status = [
        "pending",
        "paid",
        "shipped",
        "delivered",
        "cancelled",
        "returned",
    ][number % 6];
    json!({
        "id": id(0, number),
        "number": format!("241028-1{:03}-0{:03}", number % 60, number % 1_000),
        "version": 1,
        "created_at": "2024-10-28T10:00:00Z",
        "updated_at": "2024-10-28T11:30:00Z",
        "placed_at": format!("2024-10-28T10:{:02}:00Z", 59 - number % 60),
        "customer_id": id(1, number % 5),
        "status": status,
        "items": [
            {"line_no": 1, "product_id": id(2, number), "quantity": 2, "unit_price_minor": 1_250},
            {"line_no": 2, "product_id": id(2, number + 1), "quantity": 1, "unit_price_minor": 99},
        ],
        "total_minor": 2_599 * (number as i64 + 1) * 37,
        "note": if number == 3 { "Ring twice" } else { "" },
    })
}

fn customer(number: usize) -> Value {
    let name = match number {
        0 => "Ada Lovelace".to_owned(),
        1 => "東京都 株式会社".to_owned(),
        2 => "A name so long that it does not fit into any column of this world, not even here"
            .to_owned(),
        3 => "\u{1b}[31mRed\u{202e}\u{7}".to_owned(),
        n => format!("Customer {n}"),
    };
    json!({
        "id": id(1, number), "version": 1,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
        "name": name, "email": format!("customer{number}@example.org"), "phone": "",
        "address": {"line1": "", "line2": "", "city": "London", "postal_code": "", "country": "GB"},
    })
}

fn product(number: usize) -> Value {
    json!({
        "id": id(2, number), "version": 3,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
        "category_id": id(3, 0), "sku": format!("POT-{number}"), "name": format!("Sturdy Pot {number}"),
        "description": "A pot.", "price_minor": 1_250, "stock": 12_345, "active": number != 4,
    })
}

/// A client that shows a page of orders.
fn with_orders(size: (u16, u16)) -> Driver {
    let mut driver = Driver::new(size);
    driver.link(Link::Up);
    driver.answer(
        "/v1/orders",
        &page((0..100).map(order).collect(), 1_234_567),
    );
    driver.answer(
        "/v1/customers?id=",
        &page((0..5).map(customer).collect(), 5),
    );
    driver
}

fn picture(name: &str, size: (u16, u16), driver: &Driver) {
    assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), driver.screen());
}

#[test]
fn before_anything_is_known() {
    for size in SIZES {
        picture("connecting", size, &Driver::new(size));
    }
}

#[test]
fn without_a_server() {
    let mut driver = Driver::new((80, 24));
    driver.link(Link::Down(
        "The server cannot be reached: Connection refused (os error 111).".into(),
    ));
    picture("offline", (80, 24), &driver);
}

#[test]
fn a_list_of_orders() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Down);
        picture("orders", size, &driver);
    }
}

#[test]
fn an_order_in_detail() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Enter);
        driver.answer("/v1/products?id=", &page((0..2).map(product).collect(), 2));
        picture("order_detail", size, &driver);
    }
}

#[test]
fn a_new_order_with_refusals() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Char('n'));
        driver.control('n');
        driver.control('s');
        picture("order_form", size, &driver);
    }
}

#[test]
fn a_refusal_of_the_server_stands_at_its_field() {
    let mut driver = Driver::new((80, 24));
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('2'));
    driver.answer("/v1/customers", &page((0..5).map(customer).collect(), 5));
    driver.press(KeyCode::Char('e'));
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::End);
    driver.type_text("x");
    driver.control('s');
    let call = driver.refuse(&json!({
        "type": "urn:stockroom:problem:conflict", "title": "It conflicts", "status": 409,
        "detail": "/email: another customer has this e-mail address",
        "errors": [{
            "pointer": "/email", "code": "duplicate",
            "message": "another customer has this e-mail address",
        }],
    }));
    assert_eq!(call.path, format!("/v1/customers/{}", id(1, 0)));
    assert_eq!(call.body, Some(json!({"email": "customer0@example.orgx"})));
    assert_eq!(call.precondition, Precondition::Version(1));
    picture("customer_refused", (80, 24), &driver);
}

#[test]
fn a_choice_among_products() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('n'));
    for _ in 0..4 {
        driver.press(KeyCode::Tab);
    }
    driver.press(KeyCode::Enter);
    driver.answer("/v1/products", &page((0..8).map(product).collect(), 8));
    driver.press(KeyCode::Down);
    picture("picker", (80, 24), &driver);
}

#[test]
fn what_was_mistyped_is_found_by_likeness_and_said_to_be_so() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('n'));
    driver.press(KeyCode::Enter);
    driver.answer("/v1/customers", &page((0..3).map(customer).collect(), 3));
    driver.type_text("lovelcae");
    driver.wait(std::time::Duration::from_secs(1));
    // What is alike may not be what was meant: it is not taken unseen.
    driver.press(KeyCode::Enter);
    driver.answer("/v1/customers?limit=50&q=lovelcae", &page(vec![], 0));
    driver.answer(
        "/v1/customers/similar?limit=50&q=lovelcae",
        &page(vec![customer(2), customer(1)], 2),
    );
    picture("alike", (80, 24), &driver);
    driver.press(KeyCode::Enter);
    assert!(
        !driver.screen().contains("Similar names"),
        "{}",
        driver.screen()
    );
}

#[test]
fn a_question_before_a_deletion() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('d'));
    picture("confirm", (80, 24), &driver);
    driver.press(KeyCode::Char('d'));
    driver.press(KeyCode::Enter);
    assert!(driver.calls().is_empty(), "only y deletes");
    driver.press(KeyCode::Char('y'));
    let call = driver.calls().pop().unwrap();
    assert_eq!(call.method, "DELETE");
    assert_eq!(call.precondition, Precondition::Version(1));
}

#[test]
fn the_filters_of_orders() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('f'));
    driver.press(KeyCode::Tab);
    driver.press(KeyCode::Right);
    driver.press(KeyCode::Right);
    for _ in 0..2 {
        driver.press(KeyCode::Tab);
    }
    driver.type_text("2024-10-01");
    picture("filter", (80, 24), &driver);
    driver.control('s');
    let call = driver.calls().pop().unwrap();
    let expected = "/v1/orders?limit=100&count=estimated&status=paid\
        &placed_from=2024-10-01T00%3A00%3A00.000Z";
    assert_eq!(call.path, expected);
}

#[test]
fn the_help_and_the_orders_to_sort_by() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('?'));
    picture("help", (80, 24), &driver);
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Char('s'));
    picture("sort", (80, 24), &driver);
}

#[test]
fn the_list_is_exported_as_it_is_shown() {
    let mut driver = with_orders(USUAL);
    driver.press(KeyCode::Char('/'));
    driver.type_text("241028-1000-0000");
    driver.press(KeyCode::Enter);
    driver.press(KeyCode::Char('x'));
    let screen = driver.screen();
    assert!(
        screen.contains("Export to (.csv or .ndjson): orders.csv"),
        "{screen}"
    );
    driver.type_text("x");
    driver.press(KeyCode::Enter);
    let screen = driver.screen();
    assert!(
        screen.contains("End the file name in .csv or .ndjson."),
        "{screen}"
    );
    driver.press(KeyCode::Backspace);
    driver.press(KeyCode::Enter);
    let export = jobs::export(1, "queued", None);
    let call = driver.answer("/v1/orders/export", &export);
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        (
            "POST",
            "/v1/orders/export?q=241028-1000-0000&format=csv&name=orders.csv"
        )
    );
    assert!(driver.follows_jobs());
    driver.event(&json!([jobs::export(1, "running", None)]));
    driver.event(&json!([jobs::export(1, "done", Some(12_345))]));
    let (path, file) = driver.downloaded(12_345);
    assert_eq!(path, format!("/v1/jobs/{}/file", id(9, 1)));
    assert!(
        file.starts_with('/') && file.ends_with("/orders.csv"),
        "{file}"
    );
    let screen = driver.screen();
    assert!(screen.contains("/orders.csv: 12.1 KiB."), "{screen}");
}

#[test]
fn a_terminal_that_is_too_small() {
    picture("too_small", (38, 9), &with_orders((38, 9)));
}

#[test]
fn paging_holds_few_rows_and_asks_for_one_page_at_a_time() {
    let mut driver = with_orders((80, 24));
    for page_number in 1..40 {
        for _ in 0..100 {
            driver.press(KeyCode::Down);
        }
        let calls = driver.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert!(calls[0].path.contains("cursor=n"), "{calls:?}");
        let rows = (page_number * 100..page_number * 100 + 100).map(order);
        driver.answer_last(&page(rows.collect(), 1_234_567));
        driver.settle();
        assert!(driver.app.screens.orders.window.len() <= 500);
    }
    let position = driver.app.screens.orders.window.position();
    assert!(
        position.is_some_and(|position| position > 3_800),
        "{position:?}"
    );
}

#[test]
fn a_late_answer_is_dropped() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('r'));
    let late = driver.calls().pop().unwrap();
    driver.press(KeyCode::Char('r'));
    let newer = driver.calls().pop().unwrap();
    driver.reply(&newer, &page(vec![order(1)], 1));
    driver.reply(&late, &page((0..9).map(order).collect(), 9));
    assert_eq!(driver.app.screens.orders.window.len(), 1);
}

#[test]
fn a_failed_search_is_asked_again_and_not_with_the_cursor_of_the_old_one() {
    let mut driver = with_orders((80, 24));
    for _ in 0..80 {
        driver.press(KeyCode::Down);
    }
    driver.answer(
        "/v1/orders",
        &page((100..200).map(order).collect(), 1_234_567),
    );
    for _ in 0..90 {
        driver.press(KeyCode::Down);
    }
    driver.answer(
        "/v1/orders",
        &page((200..300).map(order).collect(), 1_234_567),
    );
    driver.press(KeyCode::Char('/'));
    driver.type_text("241028-1003-0003");
    driver.press(KeyCode::Enter);
    driver.fail();
    driver.link(Link::Down("gone".into()));
    driver.link(Link::Up);
    let call = driver
        .calls()
        .into_iter()
        .find(|call| call.path.starts_with("/v1/orders?"))
        .unwrap();
    assert!(
        call.path.contains("q=241028") && !call.path.contains("cursor"),
        "{call:?}"
    );
}

/// A client that has sent a new category and waits for the answer.
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
fn a_save_that_the_server_knows_nothing_of_is_not_called_unsaved_and_a_refused_one_is() {
    for (kind, told) in [
        (Kind::OutcomeUnknown, "it may have been saved"),
        (Kind::Unavailable, "Nothing was saved."),
    ] {
        let mut driver = saving_a_category();
        let problem = Problem::new(kind, "A row was in use.");
        driver.refuse(&serde_json::to_value(problem).unwrap());
        // The message may be broken into two lines.
        let screen = driver
            .screen()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(screen.contains(told), "{screen}");
        assert!(screen.contains("Tea"), "what was typed stays: {screen}");
    }
}

#[test]
fn a_save_without_an_answer_is_not_called_unsaved() {
    let mut driver = saving_a_category();
    driver.fail();
    assert!(
        driver.screen().contains("it may have been saved"),
        "{}",
        driver.screen()
    );
}

#[test]
fn the_answer_to_a_save_finds_its_form_under_a_question() {
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
fn rows_stay_on_the_screen_when_a_jump_fails() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::End);
    driver.fail();
    let screen = driver.screen();
    assert!(screen.contains("Ada Lovelace"), "{screen}");
    assert!(
        screen.contains("The connection to the server broke."),
        "{screen}"
    );
}

#[test]
fn a_row_read_again_for_a_form_that_was_left_is_not_called_saved() {
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

#[test]
fn the_status_line_says_where_a_page_came_from_and_one_key_reads_past_the_cache() {
    let mut driver = with_orders((80, 24));
    let status = |driver: &Driver| driver.screen().lines().last().unwrap().to_owned();
    let whole = json!({"items": [order(0), order(1)], "next": null, "prev": null});
    driver.source = Some(Source::Hit);
    driver.press(KeyCode::Char('r'));
    let call = driver.answer("/v1/orders", &whole);
    assert!(!call.bypass_cache);
    assert!(
        status(&driver).ends_with("local shop · 7 ms hit"),
        "{}",
        status(&driver)
    );
    driver.source = Some(Source::Bypass);
    driver.press(KeyCode::Char('R'));
    let call = driver.answer("/v1/orders", &whole);
    assert!(call.bypass_cache);
    // What the page shows by name is asked for as well, and takes nothing from what is said of it.
    driver.settle();
    assert!(
        status(&driver).ends_with("local shop · 7 ms bypass"),
        "{}",
        status(&driver)
    );
    driver.press(KeyCode::Char('r'));
    assert!(!driver.answer("/v1/orders", &whole).bypass_cache);
}

#[test]
fn the_status_line_of_the_smallest_terminal_has_room_for_where_a_page_came_from() {
    let mut driver = with_orders((40, 10));
    driver.source = Some(Source::Bypass);
    driver.press(KeyCode::Char('R'));
    let whole = json!({"items": [order(0)], "next": null, "prev": null});
    driver.answer("/v1/orders", &whole);
    driver.settle();
    let screen = driver.screen();
    let status = screen.lines().last().unwrap();
    assert_eq!(status, " ● connected   local shop · 7 ms bypass");
}
