//! The client in a real pty, against a real server: what a person types and sees.

mod commands;
mod faults;
mod jobs;
mod newcomer;
mod surroundings;

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use stockroom_tests::{Shop, Terminal, binary, eventually, temp_dir};

const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const DOWN: &str = "\x1b[B";
const END: &str = "\x1b[F";
const HOME: &str = "\x1b[H";
const SAVE: &str = "\x13";
const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

#[test]
fn a_newcomer_fills_a_shop_of_their_own() {
    let home = temp_dir("newcomer");
    let data_dir = home.path().join("shop");
    let mut terminal = Terminal::open(
        100,
        30,
        &["--create", "--data-dir", data_dir.to_str().unwrap()],
        home.path(),
    );
    terminal.sees("Waiting for the server");
    terminal.sees("No orders yet");
    let postgres = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();

    terminal.send("4");
    terminal.sees("No categories yet");
    terminal.send("n");
    terminal.sees("New category");
    terminal.send(SAVE);
    terminal.sees("must not be empty");
    terminal.send("Tea\t");
    terminal.send("Leaves to infuse");
    terminal.send(SAVE);
    terminal.sees("Created Tea.");

    terminal.send("3n");
    terminal.sees("New product");
    terminal.send(ENTER);
    terminal.sees("Choose from categories");
    terminal.send("te");
    terminal.sees("› Tea");
    terminal.send(ENTER);
    terminal.sees("(Tea");
    terminal.send("GREEN-1\tGreen tea\t\t-4.50\t20");
    terminal.sees("it must be from 0");
    terminal.send("\x1b[A\x154.50");
    terminal.send(SAVE);
    terminal.sees("Created Green tea.");
    terminal.sees("4.50");

    terminal.send("2n");
    terminal.sees("New customer");
    terminal.send("Ada Lovelace\tada");
    terminal.sees("is not an e-mail address");
    terminal.send("@example.org");
    terminal.loses("is not an e-mail address");
    terminal.send(SAVE);
    terminal.sees("Created Ada Lovelace.");

    place_order(&mut terminal);

    terminal.send("3");
    // The order has taken three.
    terminal.sees("  17  ");
    terminal.send("d");
    terminal.sees("Delete product Green tea?");
    terminal.send("n");
    terminal.loses("Delete product");
    terminal.send("dy");
    terminal.sees("order lines that name it: 1");

    seed(&mut terminal);
    terminal.send("q");
    assert!(terminal.wait());
    let pid = Pid::from_raw(postgres.lines().next().unwrap().parse().unwrap()).unwrap();
    eventually("the end of PostgreSQL", || {
        rustix::process::test_kill_process(pid)
            .is_err()
            .then_some(())
    });
}

/// Orders what there is too little of, then less of it, and has it paid.
fn place_order(terminal: &mut Terminal) {
    terminal.send("1n");
    terminal.sees("New order");
    terminal.send(ENTER);
    terminal.sees("ada@example.org");
    terminal.send(ENTER);
    terminal.sees("(Ada Lovelace");
    terminal.send("\t\t\t");
    terminal.send(ENTER);
    terminal.sees("GREEN-1 · 4.50");
    terminal.send(ENTER);
    terminal.sees("(Green tea");
    terminal.send("\x1530");
    terminal.send(SAVE);
    terminal.sees("only 20 left in stock");
    terminal.send("\x153");
    terminal.send(SAVE);
    terminal.sees("Created ");
    terminal.sees("13.50");

    terminal.send("e");
    terminal.sees("Edit order");
    terminal.send(DOWN);
    terminal.send("\x1b[C");
    terminal.sees("‹paid");
    terminal.send(SAVE);
    terminal.sees("Saved ");
    terminal.sees("paid");
}

/// Seeds a small shop from the tab, and scrolls through what came of it.
fn seed(terminal: &mut Terminal) {
    terminal.send("5n");
    terminal.sees("Fill the shop");
    terminal.send("\t\t\x1550\t\x15100\t\x15700");
    terminal.send(SAVE);
    // Rows of one's own are there already.
    terminal.sees("into a shop in use?");
    terminal.send("870\r");
    let screen = terminal.sees("seed 1 is done.");
    assert!(screen.contains("700 of 700"), "{screen}");
    terminal.send("1");
    terminal.sees("1 of 701");
    terminal.send(END);
    terminal.sees("near the end");
    terminal.send(HOME);
    terminal.sees("1 of 701");
    scroll(terminal, "\x1b[6~", "701 of");
    scroll(terminal, "\x1b[5~", " 1 of");
    let screen = terminal.sees("1 of 701");
    assert!(screen.contains("13.50"), "{screen}");
}

/// Presses a key until the screen shows this: a page that is still on its way takes no keys.
fn scroll(terminal: &mut Terminal, key: &str, until: &str) {
    for _ in 0..400 {
        if terminal.screen().contains(until) {
            return;
        }
        terminal.send(key);
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.sees(until);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_from_customer_to_orders_to_product_and_back() {
    let shop = Shop::open().await;
    let (product, customer) = (
        shop.product("A-1", 9).await,
        shop.customer("ada@example.org").await,
    );
    shop.order(&customer, &product, 2).await;
    let other = shop
        .post(
            "/v1/customers",
            &json!({"name": "Grace", "email": "g@example.org"}),
        )
        .await
        .ok(201);
    shop.order(&other, &product, 1).await;
    let home = temp_dir("links");
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("Grace");
    terminal.send("2");
    terminal.sees("ada@example.org");
    terminal.send(ENTER);
    terminal.sees("of this customer");
    terminal.send(ENTER);
    terminal.sees("[Ada Lovelace]");
    let orders = terminal.sees("1 of 1");
    assert!(!orders.contains("Grace"), "{orders}");
    terminal.send(ENTER);
    terminal.sees("2 × Product A-1 at 12.50");
    terminal.send(DOWN);
    terminal.send(ENTER);
    terminal.sees("one product");
    terminal.sees("‹ Customers › Orders");
    terminal.send(ESC);
    terminal.sees("2 × Product A-1");
    terminal.send(ESC);
    terminal.loses("2 × Product A-1");
    terminal.send(ESC);
    terminal.sees("of this customer");
    // The first closes the detail.
    terminal.send("qq");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn search_filter_and_sort_are_done_by_the_server() {
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
    terminal.sees("is no order number");
    terminal.send("?");
    terminal.sees("Search");
    terminal.send(CTRL_C);
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_to_a_file_and_comes_back_edited() {
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
    // The name that is proposed is taken away first.
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
async fn a_change_of_another_is_never_overwritten_unseen() {
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
    // What does not overlap is made again on the newer version.
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

#[tokio::test(flavor = "multi_thread")]
async fn hostile_data_reaches_the_terminal_as_text_only() {
    let shop = Shop::open().await;
    let evil = "evil\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{9b}31m";
    shop.category("Tea").await;
    // As an older server has stored it.
    sqlx::query("update categories set name = $1")
        .bind(evil)
        .execute(&shop.pool)
        .await
        .unwrap();
    let home = temp_dir("hostile");
    let mut terminal = Terminal::open(104, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.send("4");
    let screen = terminal.sees("evil^[]0;title^G^[[2J<U+202E><U+009B>31m");
    assert!(screen.contains("1 Orders"), "{screen}");
    terminal.send("d");
    terminal.sees("Delete category");
    terminal.send("nq");
    assert!(terminal.wait());
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    // The client's own title is all that says anything to the frame.
    let title = format!("\u{1b}]0;Stockroom · {}\u{7}", shop.base);
    assert_eq!(text.matches(&title).count(), 1);
    let text = text.replace(&title, "");
    for control in ["\u{7}", "\u{202e}", "\u{9b}", "\u{1b}]0"] {
        assert!(!text.contains(control), "{control:?} reached the terminal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_is_found_again() {
    let home = temp_dir("reconnect");
    let data_dir = home.path().join("shop");
    let mut terminal = Terminal::open(
        100,
        24,
        &["--create", "--data-dir", data_dir.to_str().unwrap()],
        home.path(),
    );
    terminal.sees("This is a new shop. Its data is in");
    terminal.send("\x1b");
    terminal.sees("connected");
    terminal.sees("No orders yet");
    let server = std::fs::read_to_string(data_dir.join("server.lock")).unwrap();
    let server = Pid::from_raw(server.parse().unwrap()).unwrap();
    kill_process(server, Signal::KILL).unwrap();
    terminal.sees("offline");
    // It stays usable meanwhile, and starts the server again by itself.
    terminal.send("4");
    terminal.sees("Description");
    terminal.sees("connected");
    terminal.sees("No categories yet");
    terminal.send("q");
    assert!(terminal.wait());
    // Both servers' PostgreSQL must be gone before the folder is.
    eventually("the guard's lock", || {
        let lock = std::fs::File::open(data_dir.join("postgres.lock")).unwrap();
        let server = std::fs::File::open(data_dir.join("server.lock")).unwrap();
        (lock.try_lock().is_ok() && server.try_lock().is_ok()).then_some(())
    });
}

#[test]
fn a_server_that_hangs_does_not_stop_the_client() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Takes every connection, answers the session, and nothing else.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 2048];
            let count = std::io::Read::read(&mut stream, &mut request).unwrap_or_default();
            if request[..count].starts_with(b"GET /v1/session") {
                let hello = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n:hi\n\n\r\n";
                std::io::Write::write_all(&mut stream, hello.as_bytes()).unwrap();
            }
            open.push(stream);
        }
    });
    let home = temp_dir("hang");
    let mut terminal = Terminal::open(80, 24, &["--server", &url], home.path());
    terminal.sees("loading…");
    terminal.send("2");
    terminal.sees("E-mail");
    terminal.send("n");
    terminal.sees("New customer");
    terminal.send("Ada");
    terminal.sees("[Ada");
    terminal.send(ESC);
    terminal.sees("Close without saving?");
    terminal.send("yq");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_however_the_client_ends() {
    let shop = Shop::open().await;
    let home = temp_dir("leave");
    for leave in ["q", CTRL_C] {
        let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
        terminal.sees("No orders yet");
        assert!(terminal.is_taken());
        terminal.send(leave);
        assert!(terminal.wait());
        assert!(!terminal.is_taken());
        let bytes = terminal.bytes();
        let text = String::from_utf8_lossy(&bytes);
        // Bracketed paste off, the shell's screen, the cursor.
        for end in ["\x1b[?2004l", "\x1b[?1049l", "\x1b[?25h"] {
            assert!(text.contains(end), "{end:?} was not written");
        }
        assert!(
            !text[text.rfind("\x1b[?25").unwrap()..].contains("25l"),
            "the cursor is hidden"
        );
    }
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
        terminal.sees("No orders yet");
        kill_process(Pid::from_raw(terminal.pid()).unwrap(), signal).unwrap();
        assert!(terminal.wait());
        assert!(!terminal.is_taken());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back() {
    let shop = Shop::open().await;
    let home = temp_dir("suspend");
    // Only a shell can take a job back.
    let mut terminal = Terminal::shell(80, 24, home.path());
    terminal.sees("prompt>");
    terminal.send(&format!(
        "{} --server {}\n",
        binary("stockroom").display(),
        shop.base
    ));
    terminal.sees("No orders yet");
    terminal.send(CTRL_Z);
    terminal.sees("Stopped");
    assert!(!terminal.is_taken());
    terminal.send("echo still $((6 * 7))\n");
    terminal.sees("still 42");
    terminal.send("fg\n");
    terminal.sees("No orders yet");
    assert!(terminal.is_taken());
    terminal.send("2");
    terminal.sees("No customers yet");
    terminal.send("q");
    terminal.sees("Stopped");
    terminal.send("exit\n");
    assert!(terminal.wait());
}

/// Waits until the client has nothing more to write.
fn settled(terminal: &Terminal) -> usize {
    let mut written = terminal.written();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        if terminal.written() != written {
            (written, since) = (terminal.written(), Instant::now());
        }
        std::thread::yield_now();
    }
    written
}

/// Over SSH each byte counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_costs_few_bytes() {
    let shop = Shop::open().await;
    let sizes = json!({"seed": 1, "categories": 3, "products": 50, "customers": 200, "orders": 2_000, "months": 3});
    shop.seed(&sizes).await;
    let home = temp_dir("bytes");
    let mut terminal = Terminal::open(200, 60, &["--server", &shop.base], home.path());
    terminal.sees("1 of ~2,0");
    let mut cost = |keys: &str, seen: &str| {
        let before = settled(&terminal);
        terminal.send(keys);
        terminal.sees(seen);
        settled(&terminal) - before
    };
    let moved = cost("j", "2 of ~2,0");
    assert!(moved <= 1_024, "a move of the cursor: {moved} bytes");
    let page = cost("\x1b[6~", "56 of ~2,0");
    assert!(page <= 10_240, "a page: {page} bytes");
    let scrolled = cost("j", "57 of ~2,0");
    assert!(scrolled <= 10_240, "a line that scrolls: {scrolled} bytes");
    terminal.send("q");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_writes_nothing() {
    let shop = Shop::open().await;
    let home = temp_dir("idle");
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.sees("connected");
    // The last frame may still be on its way: it has come once a while passes without a byte.
    let mut written = terminal.written();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(10));
        if terminal.written() != written {
            assert!(terminal.written() < 100_000, "it never rests");
            (written, since) = (terminal.written(), Instant::now());
        }
    }
    terminal.resize(30, 8);
    terminal.sees("Stockroom needs 40×10.");
    terminal.resize(200, 60);
    terminal.sees("No orders yet");
    terminal.send("q");
    assert!(terminal.wait());
}

#[test]
fn wrong_settings_are_told_in_a_sentence() {
    let home = temp_dir("settings");
    let mut terminal = Terminal::open(80, 24, &["--server", "shop"], home.path());
    assert!(!terminal.wait());
    let screen = terminal.screen();
    assert!(
        screen.contains("`shop` is not a server; write a URL like http://127.0.0.1:7878"),
        "{screen}"
    );
}
