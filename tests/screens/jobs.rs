//! The Jobs tab.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::{messages::event::Link, settings::preferences::Preferences};

use super::{Driver, SIZES, USUAL, id, page, picture};

/// A job; a higher number means a later start.
fn job(number: usize, state: &str, request: Value, progress: Value) -> Value {
    json!({
        "id": id(9, number), "state": state, "actor": "ada", "request": request,
        "progress": progress, "created_at": format!("2024-10-28T10:{number:02}:00Z"),
    })
}

fn step(step: &str, done: i64, total: Option<i64>, eta: Option<f64>) -> Value {
    json!({
        "step": step, "done": done, "total": total,
        "rows_per_second": if done > 0 { 41_234.0 } else { 0.0 }, "eta_seconds": eta,
    })
}

/// A seed job that has loaded this many orders.
fn seed_job(seed: usize, state: &str, done: i64) -> Value {
    let request = json!({
        "kind": "seed", "seed": seed, "categories": 20, "products": 1_000, "customers": 10_000,
        "orders": 100_000, "months": 24,
    });
    let progress = json!([
        step("categories", 20, Some(20), Some(0.0)),
        step("products", 1_000, Some(1_000), Some(0.0)),
        step("customers", 10_000, Some(10_000), Some(0.0)),
        step("orders", done, Some(100_000), Some(2.0)),
    ]);
    job(seed, state, request, progress)
}

/// An export of orders, with its file size if it is done.
pub(crate) fn export(number: usize, state: &str, bytes: Option<i64>) -> Value {
    let request = json!({
        "kind": "export", "resource": "orders", "name": "orders.csv", "format": "csv",
    });
    let progress = json!([step("orders", 45_000, Some(123_456), Some(2.0))]);
    let mut job = job(number, state, request, progress);
    if let Some(bytes) = bytes {
        job["file_bytes"] = json!(bytes);
    }
    job
}

/// An import that was dry run, or that failed.
fn import(number: usize, state: &str, name: &str) -> Value {
    let request = json!({
        "kind": "import", "resource": "customers", "name": name, "format": "csv", "mode": "apply",
        "on_error": "reject_failed", "dry_run": true,
    });
    let progress = json!([
        step("reading", 1_219, Some(1_219), Some(0.0)),
        step("writing", 1_219, Some(1_219), Some(0.0)),
    ]);
    let mut job = job(number, state, request, progress);
    match state {
        "failed" => {
            job["problem"] = json!({
                "type": "urn:stockroom:problem:unreadable", "title": "", "status": 400,
                "detail": "line 1: there is no column \u{1b}[31mE-Mail; known are id, name, email, phone",
            });
        }
        _ => {
            job["report"] = json!({
                "created": 1_204, "updated": 3, "unchanged": 9, "failed": 3, "refused": [],
            });
            job["file_bytes"] = json!(48_211);
        }
    }
    job
}

/// The Jobs tab with these jobs.
fn jobs_tab(size: (u16, u16), jobs: &[Value]) -> Driver {
    let mut driver = Driver::new(size);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('5'));
    assert_eq!(driver.event(&json!(jobs)), "/v1/jobs/events");
    driver
}

#[test]
fn jobs_tab_shows_a_running_seed_job() {
    for size in SIZES {
        let mut driver = jobs_tab(size, &[]);
        picture("jobs_none", size, &driver);
        driver.press(KeyCode::Char('n'));
        driver.control('s');
        let call = driver.answer("/v1/seed-jobs", &seed_job(1, "queued", 0));
        assert_eq!(call.body.unwrap()["orders"], 100_000);
        driver.event(&json!([seed_job(1, "running", 45_000)]));
        picture("jobs_seed", size, &driver);
    }
}

#[test]
fn jobs_tab_shows_jobs_of_every_kind() {
    let long = "customers of the shop in Llanfairpwllgwyngyll, the new ones \u{202e}only.csv.gz";
    let jobs = [
        export(7, "running", None),
        import(6, "done", "new customers.csv"),
        import(5, "failed", long),
        export(4, "done", Some(48_000_000)),
        seed_job(3, "queued", 0),
        seed_job(2, "cancelled", 45_000),
        seed_job(1, "done", 100_000),
    ];
    for size in SIZES {
        let mut driver = jobs_tab(size, &jobs);
        picture("jobs_running", size, &driver);
        driver.press(KeyCode::Down);
        picture("jobs_tried", size, &driver);
        driver.press(KeyCode::Down);
        picture("jobs_failed", size, &driver);
        driver.press(KeyCode::Down);
        picture("jobs_exported", size, &driver);
    }
}

#[test]
fn seed_form_proposes_a_free_seed_and_reports_a_taken_one() {
    let mut driver = jobs_tab(USUAL, &[seed_job(3, "done", 100_000)]);
    driver.press(KeyCode::Char('n'));
    driver.control('s');
    assert_eq!(driver.calls()[0].body.as_ref().unwrap()["seed"], 4);
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:conflict", "title": "", "status": 409, "detail": "",
        "errors": [{"pointer": "/seed", "code": "duplicate", "message": "the data of seed 4 is in the shop"}],
    }));
    let screen = driver.screen();
    assert!(
        screen.contains("the data of seed 4 is in the shop"),
        "{screen}"
    );
    assert!(
        screen.contains("Fill the shop"),
        "nothing typed is lost: {screen}"
    );
}

#[test]
fn seeding_a_shop_in_use_requires_typing_the_number_of_rows() {
    let mut driver = jobs_tab(USUAL, &[]);
    driver.press(KeyCode::Char('n'));
    driver.control('s');
    let call = driver.calls().remove(0);
    assert_eq!(call.path, "/v1/seed-jobs?unless_in_use=true");
    let sizes = call.body.clone().unwrap();
    let rows: i64 = ["orders", "customers", "products", "categories"]
        .iter()
        .map(|of| sizes[of].as_i64().unwrap())
        .sum();
    driver.refuse(&json!({
        "type": "urn:stockroom:problem:conflict", "title": "", "status": 409, "detail": "",
        "errors": [{"pointer": "?unless_in_use", "code": "in_use", "message": "this shop has rows"}],
    }));
    picture("seed_in_use", USUAL, &driver);
    driver.type_text("y");
    driver.press(KeyCode::Enter);
    assert!(driver.calls().is_empty(), "nothing is sent for a y");
    let screen = driver.screen();
    assert!(
        screen.contains(&format!("Type {rows} to go on")),
        "{screen}"
    );
    driver.press(KeyCode::Backspace);
    driver.type_text(&rows.to_string());
    driver.press(KeyCode::Enter);
    let call = driver.calls().remove(0);
    assert_eq!(
        (call.path.as_str(), call.body),
        ("/v1/seed-jobs", Some(sizes))
    );
    driver.answer("/v1/seed-jobs", &seed_job(1, "queued", 0));
    let screen = driver.screen();
    assert!(!screen.contains("Fill the shop"), "{screen}");
}

#[test]
fn finished_job_is_reported_and_lists_are_reloaded() {
    let mut driver = jobs_tab(USUAL, &[]);
    driver.press(KeyCode::Char('n'));
    driver.control('s');
    driver.answer("/v1/seed-jobs", &seed_job(1, "queued", 0));
    driver.press(KeyCode::Char('1'));
    driver.event(&json!([seed_job(1, "running", 5)]));
    assert!(driver.calls().is_empty());
    driver.event(&json!([seed_job(1, "done", 100_000)]));
    assert!(
        driver.screen().contains("Seed 1: done."),
        "{}",
        driver.screen()
    );
    driver.answer("/v1/orders", &page(vec![], 0));
}

#[test]
fn job_stream_is_followed_again_after_it_breaks() {
    let mut driver = jobs_tab(USUAL, &[seed_job(1, "running", 5)]);
    driver.break_stream();
    assert!(driver.screen().contains("running"), "what was known stays");
    driver.wait(std::time::Duration::from_secs(3));
    assert!(driver.follows_jobs());
    driver.event(&json!([
        export(2, "running", None),
        seed_job(1, "done", 100_000)
    ]));
    let screen = driver.screen();
    assert!(
        screen.contains("export orders.csv") && screen.contains("done"),
        "{screen}"
    );
}

#[test]
fn export_outlives_the_client_that_requested_it() {
    let mut driver = super::with_orders(USUAL);
    driver.type_text("x");
    driver.press(KeyCode::Enter);
    driver.answer("/v1/orders/export", &export(1, "queued", None));
    assert!(
        driver.screen().contains("in the background"),
        "{}",
        driver.screen()
    );
    let exports = std::mem::take(&mut driver.outside.exports);
    // The next run, with the same home folder.
    let mut driver = Driver::new(USUAL);
    driver.app.track_exports(exports.into_iter().collect());
    driver.link(Link::Up);
    assert!(driver.follows_jobs());
    driver.event(&json!([export(1, "done", Some(99))]));
    // The export is saved once, however often its end is reported.
    driver.event(&json!([export(1, "done", Some(99))]));
    driver.download_breaks();
    assert!(
        driver.screen().contains("not saved yet"),
        "{}",
        driver.screen()
    );
    driver.link(Link::Down("gone".into()));
    driver.link(Link::Up);
    driver.event(&json!([export(1, "done", Some(99))]));
    let (path, file) = driver.downloaded(99);
    assert_eq!(path, format!("/v1/jobs/{}/file", id(9, 1)));
    assert!(file.ends_with("/orders.csv"), "{file}");
    driver.event(&json!([export(1, "done", Some(99))]));
    assert!(driver.has_no_download());
}

#[test]
fn expired_export_is_reported_and_forgotten() {
    let awaiting = || {
        let mut driver = Driver::new(USUAL);
        let job = id(9, 1).parse().unwrap();
        driver.outside.exports.insert(job, "/x/orders.csv".into());
        driver
            .app
            .track_exports(vec![(job, "/x/orders.csv".into())]);
        driver.link(Link::Up);
        driver
    };
    let mut driver = awaiting();
    driver.event(&json!([export(1, "done", None)]));
    assert!(
        driver.screen().contains("has expired"),
        "{}",
        driver.screen()
    );
    assert!(driver.outside.exports.is_empty());
    // The client requests an awaited job that is no longer listed.
    let mut driver = awaiting();
    driver.event(&json!([]));
    let path = format!("/v1/jobs/{}", id(9, 1));
    let call = driver.calls().into_iter().find(|call| call.path == path);
    assert!(call.is_some());
    driver.answer(&path, &export(1, "done", Some(7)));
    assert_eq!(driver.downloaded(7).1, "/x/orders.csv");
    assert!(driver.outside.exports.is_empty());
}

#[test]
fn job_event_that_precedes_the_response_is_not_lost() {
    let mut driver = jobs_tab(USUAL, &[]);
    driver.type_text("1x");
    driver.press(KeyCode::Enter);
    driver.event(&json!([export(1, "done", Some(99))]));
    driver.answer("/v1/orders/export", &export(1, "queued", None));
    driver.downloaded(99);
}

#[test]
fn finished_job_can_be_opened() {
    let jobs = [
        export(3, "done", Some(48_000_000)),
        import(2, "done", "new.csv"),
        seed_job(1, "done", 100_000),
    ];
    let mut driver = jobs_tab(USUAL, &jobs);
    driver.press(KeyCode::Enter);
    let screen = driver.screen();
    assert!(
        screen.contains("Save the export as: orders.csv"),
        "{screen}"
    );
    driver.press(KeyCode::Enter);
    driver.downloaded(48_000_000);
    driver.press(KeyCode::Down);
    driver.press(KeyCode::Enter);
    driver.answer(
        &format!("/v1/jobs/{}", id(9, 2)),
        &import(2, "done", "new.csv"),
    );
    assert!(
        driver.screen().contains("Import customers?"),
        "{}",
        driver.screen()
    );
    driver.press(KeyCode::Char('y'));
    let call = driver.calls().pop().unwrap();
    assert_eq!(call.path, format!("/v1/jobs/{}/apply", id(9, 2)));
}

#[test]
fn selected_job_can_be_cancelled() {
    let mut driver = jobs_tab(
        USUAL,
        &[seed_job(2, "queued", 0), seed_job(1, "running", 5)],
    );
    driver.type_text("jc");
    let call = driver.answer(
        &format!("/v1/jobs/{}", id(9, 1)),
        &seed_job(1, "running", 5),
    );
    assert_eq!(call.method.as_str(), "DELETE");
    driver.event(&json!([seed_job(1, "cancelled", 5)]));
    driver.type_text("c");
    assert!(
        driver.screen().contains("has already ended"),
        "{}",
        driver.screen()
    );
}

#[test]
fn read_only_client_may_only_export() {
    let preferences = Preferences {
        is_read_only: true,
        ..Preferences::default()
    };
    let mut driver = Driver::with(USUAL, preferences);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.type_text("5n");
    assert!(
        driver.screen().contains("This client is read-only"),
        "{}",
        driver.screen()
    );
    driver.type_text("1x");
    driver.press(KeyCode::Enter);
    driver.answer("/v1/orders/export", &export(1, "queued", None));
}
