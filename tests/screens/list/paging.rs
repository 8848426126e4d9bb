//! Pages of a list: few rows held, one request at a time, late and failed ones.

use crate::{order, page, with_orders};
use crossterm::event::KeyCode;
use stockroom_tui::messages::event::Link;

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
fn late_response_is_dropped() {
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
fn failed_search_is_repeated_without_the_previous_cursor() {
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
