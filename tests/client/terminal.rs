//! The terminal: given back however the client ends, and few bytes written to it.

use super::{CTRL_C, CTRL_Z};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::{Duration, Instant};
use stockroom_tests::{Shop, Terminal, binary, temp_dir};

#[tokio::test(flavor = "multi_thread")]
async fn terminal_is_restored_however_the_client_ends() {
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
        // Bracketed paste off, main screen restored, cursor shown.
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
async fn ctrl_z_suspends_the_client_and_fg_resumes_it() {
    let shop = Shop::open().await;
    let home = temp_dir("suspend");
    // Only a shell can resume a stopped job.
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

/// Waits until the client stops writing; returns the number of bytes written so far.
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

/// Every byte counts over SSH.
#[tokio::test(flavor = "multi_thread")]
async fn key_press_costs_few_bytes() {
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
async fn idle_client_writes_nothing() {
    let shop = Shop::open().await;
    let home = temp_dir("idle");
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], home.path());
    terminal.sees("No orders yet");
    terminal.sees("connected");
    // The last frame may still be in transit, so the test waits for three seconds without output.
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
fn wrong_settings_are_reported_in_one_sentence() {
    let home = temp_dir("settings");
    let mut terminal = Terminal::open(80, 24, &["--server", "shop"], home.path());
    assert!(!terminal.wait());
    let screen = terminal.screen();
    assert!(
        screen.contains("`shop` is not a server; write a URL like http://127.0.0.1:7878"),
        "{screen}"
    );
}
