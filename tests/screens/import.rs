//! Importing a file: named, previewed, then written or cancelled.

use crossterm::event::KeyCode;
use serde_json::{Value, json};

use crate::{SIZES, driver::Driver, id, picture, with_orders};

fn refused(line: u64, pointer: &str, message: &str) -> Value {
    json!({
        "line": line, "outcome": "failed",
        "problem": {
            "type": "urn:stockroom:problem:invalid", "title": "The document breaks a rule", "status": 422,
            "detail": message,
            "errors": [{"pointer": pointer, "code": "x", "message": message}],
        },
    })
}

fn report(refused: Vec<Value>) -> Value {
    json!({
        "created": 1_204, "updated": 3, "unchanged": 12, "failed": refused.len(),
        "refused": refused,
    })
}

/// The job that such an import becomes.
fn job(state: &str, is_dry_run: bool, report: &Value) -> Value {
    let mut job = json!({
        "id": id(9, 1), "state": state, "created_at": "2024-10-28T10:00:00Z", "actor": "ada",
        "request": {
            "kind": "import", "resource": "orders", "name": "orders.csv.gz", "format": "csv",
            "mode": "apply", "on_error": "reject_failed", "dry_run": is_dry_run,
        },
        "progress": [
            {"step": "reading", "done": 1_219, "total": 1_219, "rows_per_second": 9_000.0, "eta_seconds": 0.0},
            {"step": "writing", "done": 1_219, "total": 1_219, "rows_per_second": 3_000.0, "eta_seconds": 0.0},
        ],
        "file_bytes": is_dry_run.then_some(4_711),
    });
    if state == "done" {
        job["report"] = report.clone();
    }
    job
}

/// Runs the started job to its end with this report.
fn ends(driver: &mut Driver, is_dry_run: bool, report: &Value) {
    driver.event(&json!([job("running", is_dry_run, report)]));
    let mut listed = job("done", is_dry_run, report);
    listed["report"]["refused"] = json!([]);
    driver.event(&json!([listed]));
    driver.answer(
        &format!("/v1/jobs/{}", id(9, 1)),
        &job("done", is_dry_run, report),
    );
}

/// Sends the file and lets the dry run end with this report; returns the path of the upload.
fn preview(driver: &mut Driver, report: &Value) -> String {
    let path = driver.uploaded(&job("queued", true, report));
    ends(driver, true, report);
    path
}

/// A client that was asked to import this file into orders.
fn importing(size: (u16, u16), file: &str) -> Driver {
    let mut driver = with_orders(size);
    driver.press(KeyCode::Char('i'));
    driver.type_text(file);
    driver.press(KeyCode::Enter);
    driver
}

fn is_applied(driver: &mut Driver) -> bool {
    let calls = driver.calls();
    calls.iter().any(|call| call.path.ends_with("/apply"))
}

#[test]
fn import_previews_a_file_before_writing_it() {
    let faults = vec![
        refused(7, "/items/0/quantity", "only 3 left in stock"),
        refused(19, "/customer_id", "there is no such customer"),
        refused(
            1_205,
            "",
            "has 4 cells, and the header has 5: \u{1b}[31mred",
        ),
    ];
    for size in SIZES {
        let mut driver = importing(size, "~/shop/orders.csv.gz");
        let screen = driver.screen();
        assert!(screen.contains("Nothing is written yet"), "{screen}");
        let path = preview(&mut driver, &report(faults.clone()));
        assert_eq!(
            path,
            "/v1/orders/import?format=csv&on_error=reject_failed&dry_run=true&name=orders.csv.gz"
        );
        picture("import_preview", size, &driver);
        driver.press(KeyCode::Enter);
        assert!(
            !is_applied(&mut driver),
            "it takes a key that means nothing else"
        );
        driver.press(KeyCode::Char('y'));
        assert!(!driver.sends_a_file(), "the server has it");
        let none = report(Vec::new());
        let path = format!("/v1/jobs/{}/apply", id(9, 1));
        driver.answer(&path, &job("queued", false, &none));
        ends(&mut driver, false, &report(faults.clone()));
        picture("imported", size, &driver);
        assert!(
            driver
                .calls()
                .iter()
                .any(|call| call.path.starts_with("/v1/orders?")),
            "the list is read again"
        );
        driver.press(KeyCode::Esc);
        assert!(!driver.screen().contains("Imported"));
    }
}

#[test]
fn import_writes_nothing_when_the_preview_is_closed() {
    let mut driver = importing((80, 24), "orders.ndjson");
    preview(&mut driver, &report(Vec::new()));
    let screen = driver.screen();
    assert!(screen.contains("y imports them; Esc cancels."), "{screen}");
    driver.press(KeyCode::Esc);
    assert!(!is_applied(&mut driver));
    // If no row can be written, confirming writes nothing either.
    let mut driver = importing((80, 24), "orders.ndjson");
    let nothing = json!({"created": 0, "updated": 0, "unchanged": 0, "failed": 1,
        "refused": [refused(1, "/note", "is too long")]});
    preview(&mut driver, &nothing);
    let screen = driver.screen();
    assert!(screen.contains("No row can be imported."), "{screen}");
    driver.press(KeyCode::Char('y'));
    assert!(!is_applied(&mut driver));
}

#[test]
fn import_preview_scrolls_through_all_refused_rows() {
    let mut driver = importing((80, 24), "orders.csv");
    let faults = (1..=60)
        .map(|n| refused(n, "/note", &format!("fault {n}")))
        .collect();
    preview(&mut driver, &report(faults));
    assert!(driver.screen().contains("More below"));
    assert!(!driver.screen().contains("fault 60"));
    for _ in 0..10 {
        driver.press(KeyCode::PageDown);
    }
    assert!(driver.screen().contains("fault 60"));
    assert!(!driver.screen().contains("More below"));
    for _ in 0..100 {
        driver.press(KeyCode::Up);
    }
    assert!(driver.screen().contains("note: fault 1 "));
}

#[test]
fn import_report_does_not_interrupt_typing() {
    let mut driver = importing((80, 24), "orders.csv");
    driver.press(KeyCode::Char('n'));
    preview(&mut driver, &report(Vec::new()));
    assert!(driver.screen().contains("shows when this is closed"));
    driver.press(KeyCode::Esc);
    assert!(driver.screen().contains("Import orders?"));
}

#[test]
fn import_refuses_an_unknown_file_type_at_once() {
    let driver = importing((80, 24), "orders.xlsx");
    assert!(!driver.sends_a_file());
    let screen = driver.screen();
    assert!(screen.contains("must end in .csv or .ndjson"), "{screen}");
}
