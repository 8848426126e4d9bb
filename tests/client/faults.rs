//! Servers that hang, refuse, are slow or send garbage: the client still handles keys and reports the fault.

use std::{net::SocketAddr, time::Duration};

use stockroom_tests::{
    Shop, Terminal,
    proxy::{Flow, Proxy, answering},
    temp_dir,
};

const ESC: &str = "\x1b";

/// Visits help, palette, tabs and a form, then quits. Checks that the log ends with the turns of the event loop.
fn goes_on(terminal: &mut Terminal, home: &std::path::Path) {
    terminal.sees("1 Orders");
    terminal.send("?");
    terminal.sees("Show this help");
    terminal.send(ESC);
    terminal.loses("Show this help");
    terminal.send(":");
    terminal.sees("Commands");
    terminal.send("products\r");
    terminal.sees("Price");
    terminal.send("n");
    terminal.sees("New product");
    terminal.send(ESC);
    terminal.loses("New product");
    terminal.send("7");
    terminal.sees("7 Dashboard");
    terminal.send("1jjj");
    terminal.send("q");
    assert!(terminal.wait());
    let log = home.join(".local/state/stockroom/client.log");
    let log = std::fs::read_to_string(log).unwrap();
    let end = log.lines().last().unwrap().to_owned();
    assert!(end.contains("ends turns="), "{end}");
    assert!(!log.contains('\x1b'), "{log}");
}

fn open(base: &str, home: &std::path::Path) -> Terminal {
    Terminal::open(100, 30, &["--server", base], home)
}

#[tokio::test(flavor = "multi_thread")]
async fn client_survives_a_hanging_server() {
    let shop = Shop::open().await;
    let address: SocketAddr = shop.base.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(address).await;
    proxy.set(|faults| faults.replies = Flow::Held);
    let home = temp_dir("hangs");
    let mut terminal = open(&format!("http://{}", proxy.address), home.path());
    terminal.sees("Waiting for the server");
    goes_on(&mut terminal, home.path());
    // The client must also survive a server that hangs later.
    proxy.heal();
    let mut terminal = open(&format!("http://{}", proxy.address), home.path());
    terminal.sees("No orders yet");
    proxy.set(|faults| faults.replies = Flow::Held);
    terminal.send("r");
    terminal.sees("loading");
    goes_on(&mut terminal, home.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_survives_a_refusing_server() {
    let home = temp_dir("refuses");
    let mut terminal = open("http://127.0.0.1:1", home.path());
    terminal.sees("offline, reconnecting");
    goes_on(&mut terminal, home.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_survives_a_slow_server() {
    let shop = Shop::open().await;
    let address: SocketAddr = shop.base.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(address).await;
    proxy.set(|faults| faults.replies = Flow::Delayed(Duration::from_millis(700)));
    let home = temp_dir("slow");
    let mut terminal = open(&format!("http://{}", proxy.address), home.path());
    goes_on(&mut terminal, home.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_survives_a_server_that_sends_garbage() {
    for bytes in [
        b"\x1b]0;evil\x07\x00\xff\xfe garbage \x1b[2J\r\n\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n\x1b[2J{]{\x07",
        b"HTTP/1.1 500 \x1b[31mNo\r\ncontent-length: 3\r\n\r\nno!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\ntorn",
    ] {
        let (base, server) = answering(bytes).await;
        let home = temp_dir("garbage");
        let mut terminal = open(&base, home.path());
        goes_on(&mut terminal, home.path());
        let written = terminal.bytes();
        let text = String::from_utf8_lossy(&written);
        assert!(!text.contains("]0;evil") && !text.contains("\x1b[31mNo"), "it reached the terminal");
        server.abort();
    }
}
