//! The client in a real pty with a real server: what a user types and sees.

mod about;
mod commands;
mod faults;
mod jobs;
mod lists;
mod login;
mod newcomer;
mod runner;
mod surroundings;
mod terminal;

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use stockroom_tests::{Shop, Terminal, eventually, temp_dir};

pub(crate) const ENTER: &str = "\r";
pub(crate) const ESC: &str = "\x1b";
pub(crate) const DOWN: &str = "\x1b[B";
pub(crate) const END: &str = "\x1b[F";
pub(crate) const HOME: &str = "\x1b[H";
pub(crate) const SAVE: &str = "\x13";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_Z: &str = "\x1a";

#[test]
fn new_user_fills_a_new_shop() {
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
    // The order has taken three pieces.
    terminal.sees("  17  ");
    terminal.send("d");
    terminal.sees("Delete product Green tea?");
    terminal.send("n");
    terminal.loses("Delete product");
    terminal.send("dy");
    terminal.sees("order lines with it: 1");

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

/// Orders more than there is in stock, then less, and marks the order as paid.
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

/// Seeds a small shop from the Jobs tab and scrolls through the result.
pub(crate) fn seed(terminal: &mut Terminal) {
    terminal.send("5n");
    terminal.sees("Fill the shop");
    terminal.send("\t\t\x1550\t\x15100\t\x15700");
    terminal.send(SAVE);
    // The shop already has rows that the user created.
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

/// Presses a key until the screen shows this text. Keys are repeated because a page that is still loading ignores
/// them.
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
async fn links_lead_from_customer_to_orders_to_product_and_back_again() {
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
    // The first `q` closes the detail.
    terminal.send("qq");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_data_reaches_the_terminal_as_text_only() {
    let shop = Shop::open().await;
    let evil = "evil\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{9b}31m";
    shop.category("Tea").await;
    // As an older server stored it.
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
    // The only title sequence must be the client's own.
    let title = format!("\u{1b}]0;Stockroom · {}\u{7}", shop.base);
    assert_eq!(text.matches(&title).count(), 1);
    let text = text.replace(&title, "");
    for control in ["\u{7}", "\u{202e}", "\u{9b}", "\u{1b}]0"] {
        assert!(!text.contains(control), "{control:?} reached the terminal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_reconnects_to_a_lost_server() {
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
    // The client stays usable and restarts the server by itself.
    terminal.send("4");
    terminal.sees("Description");
    terminal.sees("connected");
    terminal.sees("No categories yet");
    terminal.send("q");
    assert!(terminal.wait());
    // PostgreSQL of both servers must have ended before the folder is removed.
    eventually("the guard's lock", || {
        let lock = std::fs::File::open(data_dir.join("postgres.lock")).unwrap();
        let server = std::fs::File::open(data_dir.join("server.lock")).unwrap();
        (lock.try_lock().is_ok() && server.try_lock().is_ok()).then_some(())
    });
}

#[test]
fn client_stays_usable_while_the_server_hangs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Accepts every connection but only answers requests for the session.
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
