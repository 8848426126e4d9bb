//! Lists over the network: search, filters, sorting, files and conflicts.

use super::{CTRL_C, DOWN, ENTER, ESC, SAVE};
use serde_json::json;
use stockroom_tests::{Shop, Terminal, temp_dir};

#[tokio::test(flavor = "multi_thread")]
async fn search_filter_and_sort_run_on_the_server() {
    let shop = Shop::open().await;
    for sku in ["POT-1", "PAN-1", "CUP-1"] {
        shop.product(sku, 1).await;
    }
    let home = temp_dir("search");
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.send("3");
    terminal.sees("POT-1");
    terminal.send("/pan\r");
    terminal.sees("search “pan”");
    let screen = terminal.sees("1 of 1");
    assert!(!screen.contains("POT-1"), "{screen}");
    terminal.send(ESC);
    terminal.sees("1 of 3");
    terminal.send("f");
    terminal.sees("Filter products");
    terminal.send(DOWN);
    terminal.send("\x1b[C\x1b[C");
    terminal.sees("‹false");
    terminal.send(SAVE);
    terminal.sees("No products match");
    terminal.send(ESC);
    terminal.sees("1 of 3");
    terminal.send("s");
    terminal.sees("Sort by");
    terminal.send("jj");
    terminal.send("j");
    terminal.send(ENTER);
    terminal.sees("by sku ↓");
    terminal.waits("the other order", |screen| {
        let at = |sku| screen.find(sku);
        at("POT-1") < at("PAN-1") && at("PAN-1") < at("CUP-1")
    });
    terminal.send("1/hello\r");
    terminal.sees("is not an order number");
    terminal.send("?");
    terminal.sees("Search");
    terminal.send(CTRL_C);
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn list_is_exported_edited_and_imported_again() {
    let shop = Shop::open().await;
    for sku in ["POT-1", "PAN-1", "CUP-1"] {
        shop.product(sku, 1).await;
    }
    let home = temp_dir("import");
    let file = home.path().join("products.csv");
    let file = file.to_str().unwrap();
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.send("3");
    terminal.sees("POT-1");
    terminal.send("x");
    terminal.sees("Export to");
    // Ctrl-U clears the proposed name.
    terminal.send("\x15");
    terminal.send(&format!("{file}\r"));
    terminal.sees("Exported to");
    let table = std::fs::read_to_string(file).unwrap();
    let table = table.replace("Product POT-1", "A pot");
    let broken = table.replace("Product PAN-1", "");
    std::fs::write(file, broken).unwrap();
    terminal.send("i");
    terminal.sees("Import products from");
    terminal.send(&format!("{file}\r"));
    terminal.sees("Import products?");
    let screen = terminal.sees("y imports the others");
    assert!(
        screen.contains("1 changed   1 unchanged   1 refused"),
        "{screen}"
    );
    assert!(screen.contains("name: "), "{screen}");
    let patch = shop.get("/v1/products?q=POT-1").await.ok(200);
    assert_eq!(
        patch["items"][0]["name"], "Product POT-1",
        "nothing is written yet"
    );
    terminal.send("y");
    terminal.sees("Imported products");
    terminal.send(ENTER);
    terminal.loses("Imported products");
    terminal.sees("A pot");
    terminal.send("i");
    terminal.send("nowhere.csv\r");
    terminal.sees("nowhere.csv cannot be read");
    terminal.send(CTRL_C);
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_change_is_never_overwritten_unseen() {
    let shop = Shop::open().await;
    let row = shop.customer("ada@example.org").await;
    let path = stockroom_tests::path("customers", &row);
    let home = temp_dir("conflict");
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.send("2");
    terminal.sees("Ada Lovelace");
    terminal.send("e");
    terminal.sees("Edit customer");
    // The client reapplies a change that does not overlap to the newer version.
    shop.patch(&path, &json!({"phone": "555"})).await.ok(200);
    terminal.send(" King");
    terminal.send(SAVE);
    terminal.sees("Saved Ada Lovelace King.");
    terminal.sees("› Ada Lovelace King");
    let saved = shop.get(&path).await.ok(200);
    assert_eq!(
        (&saved["name"], &saved["phone"]),
        (&json!("Ada Lovelace King"), &json!("555"))
    );

    terminal.send("e");
    terminal.sees("Edit customer");
    shop.patch(&path, &json!({"name": "Countess"}))
        .await
        .ok(200);
    terminal.send("-Noel");
    terminal.send(SAVE);
    let screen = terminal.sees("Somebody else changed the same");
    for version in ["Ada Lovelace King", "Countess", "King-Noel"] {
        assert!(screen.contains(version), "{screen}");
    }
    terminal.send(SAVE);
    terminal.sees("Choose theirs or mine");
    assert_eq!(shop.get(&path).await.ok(200)["name"], "Countess");
    terminal.send("m");
    terminal.send(SAVE);
    terminal.sees("Saved Ada Lovelace King-Noel.");
    terminal.sees("› Ada Lovelace King-Noel");

    terminal.send("e");
    terminal.sees("Edit customer");
    terminal.send("x");
    terminal.send(ESC);
    terminal.sees("Close without saving?");
    terminal.send("n");
    terminal.loses("Close without saving?");
    terminal.sees("King-Noelx");
    terminal.send(ESC);
    terminal.sees("Close without saving?");
    terminal.send("y");
    terminal.loses("Edit customer");
    terminal.send(CTRL_C);
    assert!(terminal.wait());
}
