//! The Seed tab.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::event::Link;

use super::{Driver, SIZES, USUAL, id, page, picture};

/// A seed job whose orders are that far.
fn seed_job(seed: i64, state: &str, done: i64) -> Value {
    let progress = |entity: &str, done: i64, total: i64, eta: Option<f64>| {
        json!({
            "entity": entity, "done": done, "total": total,
            "rows_per_second": if done > 0 { 41_234.0 } else { 0.0 }, "eta_seconds": eta,
        })
    };
    json!({
        "id": id(9, seed as usize), "state": state, "created_at": "2024-10-28T10:00:00Z",
        "request": {
            "seed": seed, "categories": 20, "products": 1_000, "customers": 10_000,
            "orders": 100_000, "months": 24,
        },
        "progress": [
            progress("categories", 20, 20, Some(0.0)),
            progress("products", 1_000, 1_000, Some(0.0)),
            progress("customers", 10_000, 10_000, Some(0.0)),
            progress("orders", done, 100_000, Some(2.0)),
        ],
    })
}

/// The Seed tab of a shop without jobs.
fn seed_tab(size: (u16, u16)) -> Driver {
    let mut driver = Driver::new(size);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('5'));
    driver.answer("/v1/seed-jobs", &page(vec![], 0));
    driver
}

#[test]
fn a_running_seed_job() {
    for size in SIZES {
        let mut driver = seed_tab(size);
        driver.press(KeyCode::Enter);
        let call = driver.answer("/v1/seed-jobs", &seed_job(1, "queued", 0));
        assert_eq!(call.body.unwrap()["orders"], 100_000);
        let path = driver.event(&seed_job(1, "running", 45_000));
        assert_eq!(path, format!("/v1/seed-jobs/{}/events", id(9, 1)));
        picture("seed", size, &driver);
    }
}

#[test]
fn a_job_that_waits_for_its_turn_is_followed_once_it_has_it() {
    let mut driver = seed_tab(USUAL);
    driver.press(KeyCode::Enter);
    driver.answer("/v1/seed-jobs", &seed_job(1, "running", 0));
    driver.press(KeyCode::Enter);
    let call = driver.answer("/v1/seed-jobs", &seed_job(2, "queued", 0));
    assert_eq!(call.body.unwrap()["seed"], 2, "the next seed that is free");
    driver.event(&seed_job(1, "running", 45_000));
    let screen = driver.screen();
    assert!(
        screen.contains("The job with seed 1 is running"),
        "{screen}"
    );
    assert!(
        screen.contains("More jobs that wait for their turn: 1."),
        "{screen}"
    );
    driver.event(&seed_job(1, "done", 100_000));
    let jobs = vec![seed_job(2, "running", 0), seed_job(1, "done", 100_000)];
    driver.answer("/v1/seed-jobs", &page(jobs, 2));
    let path = driver.event(&seed_job(2, "running", 5_000));
    assert_eq!(path, format!("/v1/seed-jobs/{}/events", id(9, 2)));
    let screen = driver.screen();
    assert!(
        screen.contains("The job with seed 2 is running"),
        "{screen}"
    );
    assert!(!screen.contains("More jobs"), "{screen}");
}
