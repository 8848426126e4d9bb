//! Every screen that one key opens, at every size: nothing necessary may be cut off, and a lack of space must not
//! cause a panic.

use crossterm::event::KeyCode;
use stockroom_tui::messages::event::Link;

use super::{Driver, SIZES, picture, with_orders};

/// The keys that lead from a list of orders to the screen of a snapshot.
type Way = fn(&mut Driver);

const SCREENS: &[(&str, Way)] = &[
    ("at_help", |driver| driver.type_text("?")),
    ("at_palette", |driver| driver.type_text(":sort")),
    ("at_sort", |driver| driver.type_text("s")),
    ("at_filter", |driver| driver.type_text("f")),
    ("at_search", |driver| {
        driver.type_text("/a long search that goes on and on")
    }),
    ("at_goto", |driver| driver.type_text("t2026-11-24")),
    ("at_export", |driver| driver.type_text("x")),
    ("at_import", |driver| driver.type_text("i")),
    ("at_marked", |driver| driver.type_text("   ")),
    ("at_bulk", |driver| driver.type_text("   b")),
    ("at_delete_many", |driver| driver.type_text("      d")),
    ("at_views", |driver| driver.type_text("w")),
    ("at_picker", |driver| {
        driver.type_text("n");
        driver.press(KeyCode::Enter);
    }),
    ("at_discard", |driver| {
        driver.type_text("e");
        driver.press(KeyCode::Tab);
        driver.press(KeyCode::Right);
        driver.press(KeyCode::Esc);
    }),
    ("at_offline", |driver| {
        driver.link(Link::Down(
            "The server cannot be reached: Connection refused.".into(),
        ));
    }),
    ("at_copy", |driver| driver.type_text("y")),
];

#[test]
fn screens_at_every_size() {
    for size in SIZES {
        for (name, get_there) in SCREENS {
            let mut driver = with_orders(size);
            get_there(&mut driver);
            picture(name, size, &driver);
        }
    }
}

#[test]
fn screens_do_not_panic_at_odd_sizes() {
    for columns in [1, 2, 3, 5, 8, 13, 21, 39, 40, 41, 43, 79, 110, 111, 300] {
        for rows in [1, 2, 3, 9, 10, 11, 80] {
            for (_, get_there) in SCREENS {
                let mut driver = with_orders((columns, rows));
                get_there(&mut driver);
                driver.screen();
            }
        }
    }
}
