//! Snapshots of the screens at several sizes, from responses that are defined here: no server, no clock, no pty.

mod dashboard;
mod driver;
mod import;
mod jobs;
mod keys;
mod look;
mod outside;
mod partitions;
mod sizes;

/// The lists of all tabs.
mod list {
    mod filling;
    mod layout;
    mod live;
    mod marks;
    mod paging;
}

/// Forms, and what happens to what they save.
mod writes {
    mod conflicts;
    mod history_and_undo;
    mod saving;
}

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use stockroom_tui::messages::{
    call::{Precondition, Source},
    event::Link,
};

use self::driver::Driver;

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];
const USUAL: (u16, u16) = (80, 24);

pub(crate) fn id(kind: u32, number: usize) -> String {
    format!("0192d3f0-{kind:04x}-7000-8000-{number:012x}")
}

pub(crate) fn page(items: Vec<Value>, total: i64) -> Value {
    json!({
        "items": items, "next": "n", "prev": null,
        "total": {"value": total, "exact": false},
    })
}

pub(crate) fn order(number: usize) -> Value {
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

pub(crate) fn customer(number: usize) -> Value {
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

pub(crate) fn product(number: usize) -> Value {
    json!({
        "id": id(2, number), "version": 3,
        "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
        "category_id": id(3, 0), "sku": format!("POT-{number}"), "name": format!("Sturdy Pot {number}"),
        "description": "A pot.", "price_minor": 1_250, "stock": 12_345, "active": number != 4,
    })
}

/// A client that shows a page of orders.
pub(crate) fn with_orders(size: (u16, u16)) -> Driver {
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

pub(crate) fn picture(name: &str, size: (u16, u16), driver: &Driver) {
    assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), driver.screen());
}

#[test]
fn screen_before_the_first_connection() {
    for size in SIZES {
        picture("connecting", size, &Driver::new(size));
    }
}

#[test]
fn screen_without_a_server() {
    let mut driver = Driver::new((80, 24));
    driver.link(Link::Down(
        "The server cannot be reached: Connection refused (os error 111).".into(),
    ));
    picture("offline", (80, 24), &driver);
}

#[test]
fn order_list() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Down);
        picture("orders", size, &driver);
    }
}

#[test]
fn order_detail() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Enter);
        driver.answer("/v1/products?id=", &page((0..2).map(product).collect(), 2));
        picture("order_detail", size, &driver);
    }
}

#[test]
fn order_form_shows_refused_fields() {
    for size in SIZES {
        let mut driver = with_orders(size);
        driver.press(KeyCode::Char('n'));
        driver.control('n');
        driver.control('s');
        picture("order_form", size, &driver);
    }
}

#[test]
fn form_shows_a_refusal_by_the_server_at_its_field() {
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
fn product_picker() {
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
fn picker_offers_similar_names_and_marks_them_as_such() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('n'));
    driver.press(KeyCode::Enter);
    driver.answer("/v1/customers", &page((0..3).map(customer).collect(), 3));
    driver.type_text("lovelcae");
    driver.wait(std::time::Duration::from_secs(1));
    // A similar row may not be what was meant, so Enter does not choose it before it is shown.
    driver.press(KeyCode::Enter);
    driver.answer("/v1/customers?limit=50&q=lovelcae", &page(vec![], 0));
    driver.answer(
        "/v1/customers/similar?limit=50&q=lovelcae",
        &page(vec![customer(2), customer(1)], 2),
    );
    picture("similar_names", (80, 24), &driver);
    driver.press(KeyCode::Enter);
    assert!(
        !driver.screen().contains("Similar names"),
        "{}",
        driver.screen()
    );
}

#[test]
fn search_in_the_picker_aborts_the_read_that_it_replaces() {
    let mut driver = with_orders(USUAL);
    driver.settle();
    driver.press(KeyCode::Char('n'));
    driver.press(KeyCode::Enter);
    for letter in ["a", "d"] {
        driver.type_text(letter);
        driver.wait(std::time::Duration::from_secs(1));
    }
    let paths: Vec<String> = driver.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/v1/customers?limit=50&q=ad"]);
}

#[test]
fn deletion_asks_for_confirmation() {
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
fn order_filter_form() {
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
fn help_and_sort_menu() {
    let mut driver = with_orders((80, 24));
    driver.press(KeyCode::Char('?'));
    picture("help", (80, 24), &driver);
    driver.press(KeyCode::Esc);
    driver.press(KeyCode::Char('s'));
    picture("sort", (80, 24), &driver);
}

#[test]
fn list_export_uses_the_displayed_search() {
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
fn terminal_that_is_too_small() {
    picture("too_small", (38, 9), &with_orders((38, 9)));
}

#[test]
fn status_line_shows_the_cache_status_and_a_key_bypasses_the_cache() {
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
    // The page also loads names; their responses must not change the reported source of the page.
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
fn status_line_of_the_smallest_terminal_shows_the_cache_status() {
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
