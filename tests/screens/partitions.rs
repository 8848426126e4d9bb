//! The Partitions tab.

use crossterm::event::KeyCode;
use serde_json::{Value, json};
use stockroom_tui::messages::event::Link;

use super::{Driver, SIZES, USUAL, id, page, picture};

fn partition(family: &str, year: i32, month: u32, state: &str, rows: i64) -> Value {
    let next = (year + i32::from(month == 12), month % 12 + 1);
    let mut partition = json!({
        "name": format!("{family}_{year}_{month:02}"), "family": family,
        "from": format!("{year}-{month:02}-01T00:00:00Z"),
        "to": format!("{}-{:02}-01T00:00:00Z", next.0, next.1),
        "state": state, "rows": rows, "lines": rows * 2, "bytes": rows * 300,
        "index_bytes": rows * 200,
    });
    if state == "archived" {
        partition["archived_at"] = json!("2024-10-28T10:00:00Z");
    }
    partition
}

/// The Partitions tab with ten months of orders, the oldest archived, and one month of the change log.
fn partitions_tab(size: (u16, u16)) -> Driver {
    let mut driver = Driver::new(size);
    driver.link(Link::Up);
    driver.answer("/v1/orders", &page(vec![], 0));
    driver.press(KeyCode::Char('6'));
    let months = (1..=10).rev().map(|month| {
        let state = if month == 1 { "archived" } else { "attached" };
        partition(
            "orders",
            2024,
            month,
            state,
            i64::from(month) * i64::from(month) * 123_456,
        )
    });
    let log = partition("changes", 2024, 10, "attached", 40);
    let partitions: Vec<Value> = months.chain([log]).collect();
    driver.answer(
        "/v1/partitions",
        &json!({"items": partitions, "next": null, "prev": null}),
    );
    driver
}

/// The job that archives these partitions.
fn archiving(names: &[&str], state: &str, done: i64) -> Value {
    json!({
        "id": id(9, 1), "state": state, "created_at": "2024-10-28T10:00:00Z", "actor": "ada",
        "request": {"kind": "partitions", "action": "archive", "names": names},
        "progress": [{
            "step": "partitions", "done": done, "total": names.len(), "rows_per_second": 0.0,
            "eta_seconds": null,
        }],
    })
}

#[test]
fn partitions_are_shown_as_bars() {
    for size in SIZES {
        let mut driver = partitions_tab(size);
        driver.press(KeyCode::Down);
        picture("partitions", size, &driver);
    }
}

#[test]
fn old_months_are_archived_one_by_one_after_a_confirmation() {
    let mut driver = partitions_tab(USUAL);
    for _ in 0..7 {
        driver.press(KeyCode::Down);
    }
    driver.press(KeyCode::Char('A'));
    picture("partitions_confirm", USUAL, &driver);
    assert!(
        driver.calls().is_empty(),
        "nothing happens before the answer"
    );
    driver.press(KeyCode::Char('y'));
    let names = ["orders_2024_03", "orders_2024_02"];
    let call = driver.answer("/v1/partitions/archive", &archiving(&names, "queued", 0));
    assert_eq!(call.body.unwrap(), json!({"names": names}));
    driver.event(&json!([archiving(&names, "running", 0)]));
    let screen = driver.screen();
    assert!(
        screen.contains("Archiving orders_2024_03 · 1 of 2"),
        "{screen}"
    );
    driver.event(&json!([archiving(&names, "running", 1)]));
    let screen = driver.screen();
    assert!(
        screen.contains("Archiving orders_2024_02 · 2 of 2"),
        "{screen}"
    );
    driver.event(&json!([archiving(&names, "done", 2)]));
    let screen = driver.screen();
    assert!(screen.contains("Archived 2 partitions."), "{screen}");
    driver.answer("/v1/partitions", &page(Vec::new(), 0));
}

#[test]
fn partition_is_deleted_only_after_its_name_is_typed() {
    let mut driver = partitions_tab(USUAL);
    for _ in 0..9 {
        driver.press(KeyCode::Down);
    }
    driver.press(KeyCode::Char('d'));
    picture("partitions_delete", USUAL, &driver);
    driver.type_text("orders_2024_10");
    driver.press(KeyCode::Enter);
    assert!(driver.calls().is_empty(), "another name is not enough");
    driver.control('u');
    driver.type_text("orders_2024_01");
    driver.press(KeyCode::Enter);
    let names = json!({"names": ["orders_2024_01"]});
    assert_eq!(driver.calls()[0].path, "/v1/partitions/delete");
    assert_eq!(driver.calls()[0].body.as_ref(), Some(&names));
}

#[test]
fn refusal_ends_a_partition_job_and_is_reported() {
    let mut driver = partitions_tab(USUAL);
    driver.press(KeyCode::Char('u'));
    let screen = driver.screen();
    assert!(
        screen.contains("Only an archived partition can be restored."),
        "{screen}"
    );
    driver.press(KeyCode::Char('a'));
    driver.press(KeyCode::Char('y'));
    let names = ["orders_2024_10"];
    driver.answer("/v1/partitions/archive", &archiving(&names, "queued", 0));
    let mut failed = archiving(&names, "failed", 0);
    failed["problem"] = json!({
        "type": "urn:stockroom:problem:conflict", "title": "", "status": 409,
        "detail": "orders_2024_10 still receives rows; it can be archived from 2024-11-01 on.",
    });
    driver.event(&json!([failed]));
    let screen = driver.screen();
    assert!(
        screen.contains("orders_2024_10 still receives rows; it can be"),
        "{screen}"
    );
}
