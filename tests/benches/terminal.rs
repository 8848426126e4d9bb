//! Responsiveness of the terminal client: start, keys, frames, bytes and memory, in a real pty of 200×60 on a shop of
//! five million orders.

use std::{
    fmt::Write,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use ratatui::{Terminal as Screen, backend::TestBackend};
use serde_json::{Value, json};
use stockroom_server::Options;
use stockroom_tests::{
    Shop, Terminal, connect,
    figures::{cpu_seconds, median, percentile, write_section},
    fresh_database, path,
    proxy::{Flow, Proxy, answering},
    say, temp_dir,
};
use stockroom_tui::{
    app::state::App,
    messages::{
        call::{Answer, Reply},
        event::{Effect, Event, Link},
    },
    model::text::Zone,
    settings::preferences::Preferences,
    view::frame,
};

const SIZE: (u16, u16) = (200, 60);
const ORDERS: i64 = 5_000_000;
const STARTS: usize = 21;
const KEYS: usize = 300;
const FRAMES: usize = 2_000;
const PAGED: u64 = 100_000;
const IDLE: Duration = Duration::from_secs(30);
const PAGE_DOWN: &str = "\x1b[6~";

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let orders = std::env::var("STOCKROOM_BENCH_ORDERS").ok();
    let orders: i64 = orders.map_or(ORDERS, |orders| orders.parse().unwrap());
    let shop = Shop::serve(
        connect(fresh_database().await, 16).await.unwrap(),
        Options::default(),
    )
    .await;
    let job = json!({
        "seed": 1, "categories": 20, "products": 1_000, "customers": 100_000, "orders": orders,
        "months": 24,
    });
    assert_eq!(shop.seed(&job).await["state"], "done");
    let home = temp_dir("terminal-bench");
    let mut table = String::from("| what | goal | measured |\n|---|---|---|\n");
    let mut row = |what: &str, goal: &str, measured: String| {
        let _ = writeln!(table, "| {what} | {goal} | {measured} |");
    };
    let (frame, rows) = starts(&shop, home.path());
    row("start → first frame", "15 ms", format!("{frame:.1} ms"));
    row(
        &format!("start → first rows, {orders} orders"),
        "100 ms",
        format!("{rows:.1} ms"),
    );
    for (what, times) in keys(&shop, home.path()).await {
        let (p50, p95) = (percentile(times.clone(), 50), percentile(times, 95));
        row(
            &format!("key → frame, {what}"),
            "p50 5 ms, p95 16 ms",
            format!("{p50:.2} ms, {p95:.2} ms"),
        );
    }
    for (what, times, longest) in faults(&shop).await {
        let (p50, p95) = (percentile(times.clone(), 50), percentile(times, 95));
        row(
            &format!("a server that {what}: key → frame; longest turn of the loop"),
            "p50 5 ms, p95 16 ms; 50 ms",
            format!("{p50:.2} ms, {p95:.2} ms; {longest:.2} ms"),
        );
    }
    let [few, many] = [1_000, 10_000_000].map(frames);
    row("one frame of the list", "1 ms", format!("{many:.3} ms"));
    row(
        "the same, 10⁷ rows ÷ 10³ rows",
        "1.2",
        format!("{:.2}", many / few),
    );
    for (what, goal, measured) in session(&shop, home.path()) {
        row(what, goal, measured);
    }
    let text = format!(
        "Release build, a pty of {}×{}, server and client on the same 2 cores; {STARTS} starts (the first \
         left out), {KEYS} keys of each kind, {FRAMES} frames. Times of keys are from the write into the pty to \
         the first byte that comes back.\n\n{table}",
        SIZE.0, SIZE.1
    );
    say(&text);
    write_section("terminal", text.trim_end());
}

fn open(base: &str, home: &Path) -> Terminal {
    Terminal::open(SIZE.0, SIZE.1, &["--server", base], home)
}

/// Milliseconds until the first frame and until the first rows.
fn starts(shop: &Shop, home: &Path) -> (f64, f64) {
    let mut times = [Vec::new(), Vec::new()];
    for start in 0..STARTS {
        let arguments = ["--server", shop.base.as_str()];
        let (mut terminal, took) = Terminal::time(SIZE, &arguments, home, &["1 Orders", "1 of ~"]);
        if start > 0 {
            for (times, took) in times.iter_mut().zip(took) {
                times.push(millis(took));
            }
        }
        terminal.send("q");
        assert!(terminal.wait());
    }
    let [frame, rows] = times.map(median);
    (frame, rows)
}

/// How long keys wait for their frame: on an idle client, while a request hangs, and while a seed job streams.
async fn keys(shop: &Shop, home: &Path) -> Vec<(&'static str, Vec<f64>)> {
    let mut terminal = open(&shop.base, home);
    terminal.sees("1 of ~");
    let peace = press(&mut terminal);
    terminal.send("q");
    assert!(terminal.wait());

    let address: SocketAddr = shop.base.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(address).await;
    let mut terminal = open(&format!("http://{}", proxy.address), home);
    terminal.sees("1 of ~");
    proxy.set(|faults| faults.replies = Flow::Held);
    terminal.send("r");
    terminal.sees("loading");
    let hanging = press(&mut terminal);
    terminal.send("q");
    assert!(terminal.wait());

    let mut terminal = open(&shop.base, home);
    terminal.sees("1 of ~");
    let more = json!({
        "seed": 2, "categories": 1, "products": 10, "customers": 100, "orders": 400_000, "months": 12,
        "rate": 20_000,
    });
    let job = shop.post("/v1/seed-jobs", &more).await.ok(202);
    terminal.send("5");
    terminal.sees("rows/s");
    terminal.send("1");
    terminal.sees("Customer");
    let seeding = press(&mut terminal);
    shop.delete(&path("seed-jobs", &job)).await.ok(202);
    shop.ended(&job).await;
    terminal.send("q");
    assert!(terminal.wait());
    vec![
        ("in peace", peace),
        ("while a request hangs", hanging),
        ("while a seed job streams its progress", seeding),
    ]
}

/// How long keys wait while the server misbehaves, and the longest turn of the event loop, during which no key is
/// handled.
async fn faults(shop: &Shop) -> Vec<(&'static str, Vec<f64>, f64)> {
    let address: SocketAddr = shop.base.trim_start_matches("http://").parse().unwrap();
    let (hangs, slow) = (Proxy::start(address).await, Proxy::start(address).await);
    hangs.set(|faults| faults.replies = Flow::Held);
    slow.set(|faults| faults.replies = Flow::Delayed(Duration::from_millis(300)));
    let garbage = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n\x1b[2J{]{\x07";
    let (garbage, server) = answering(garbage).await;
    let servers = [
        ("hangs", format!("http://{}", hangs.address)),
        ("refuses", "http://127.0.0.1:1".into()),
        ("answers slowly", format!("http://{}", slow.address)),
        ("sends garbage", garbage),
    ];
    let measure = |(what, base): (&'static str, String)| {
        let home = temp_dir("terminal-fault");
        let mut terminal = open(&base, home.path());
        terminal.sees("1 Orders");
        let times = (0..KEYS).map(|index| {
            // A request that stays in flight while the help opens over it.
            if index.is_multiple_of(10) {
                terminal.send("r");
            }
            std::thread::sleep(Duration::from_millis(20));
            millis(terminal.answers("?"))
        });
        let times = times.collect();
        terminal.send("q");
        assert!(terminal.wait());
        (what, times, longest_turn(home.path()))
    };
    let measured = servers.map(measure).into_iter().collect();
    server.abort();
    measured
}

/// Milliseconds of the longest turn of the event loop, as the client logs when it exits.
fn longest_turn(home: &Path) -> f64 {
    let log = home.join(".local/state/stockroom/client.log");
    let log = std::fs::read_to_string(log).unwrap();
    let (_, longest) = log.rsplit_once("longest_micros=").unwrap();
    longest.trim().parse::<f64>().unwrap() / 1_000.0
}

/// Moves the cursor down and up; each key waits for the frame of the previous one.
fn press(terminal: &mut Terminal) -> Vec<f64> {
    let press = |index: usize| {
        let key = if (index / 20).is_multiple_of(2) {
            "j"
        } else {
            "k"
        };
        std::thread::sleep(Duration::from_millis(5));
        millis(terminal.answers(key))
    };
    (0..KEYS).map(press).collect()
}

/// The median time to draw a frame of a list with `total` rows, in milliseconds.
fn frames(total: i64) -> f64 {
    let now = Instant::now();
    let mut app = App::new("bench".into(), Zone::Utc, SIZE, Preferences::default());
    let mut effects = Vec::new();
    app.update(Event::Link(Link::Up), now, &mut effects);
    let calls = effects.drain(..).filter_map(|effect| match effect {
        Effect::Send(call) => Some(call),
        _ => None,
    });
    let tickets: Vec<_> = calls.map(|call| call.ticket).collect();
    let page = json!({
        "items": (0..100).map(order).collect::<Vec<_>>(), "next": "n", "prev": null,
        "total": {"value": total, "exact": false},
    });
    let answer = Answer {
        body: page.to_string().into_bytes(),
        ..Answer::default()
    };
    let reply = Reply {
        ticket: tickets[0],
        took: Duration::from_millis(5),
        result: Ok(answer),
    };
    app.update(Event::Reply(reply), now, &mut effects);
    let mut screen = Screen::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap();
    let times = (0..FRAMES).map(|_| {
        let began = Instant::now();
        screen.draw(|frame| frame::draw(frame, &app)).unwrap();
        millis(began.elapsed())
    });
    median(times.collect())
}

fn order(number: usize) -> Value {
    let id = |kind: u32| format!("0192d3f0-{kind:04x}-7000-8000-{number:012x}");
    json!({
        "id": id(0), "number": format!("241028-1{:03}-0{number:03}", number % 60), "version": 1,
        "created_at": "2024-10-28T10:00:00Z", "updated_at": "2024-10-28T11:30:00Z",
        "placed_at": "2024-10-28T10:00:00Z", "customer_id": id(1), "status": "paid",
        "items": [{"line_no": 1, "product_id": id(2), "quantity": 2, "unit_price_minor": 1_250}],
        "total_minor": 2_500, "note": "Ring twice",
    })
}

/// Measures the bytes per key, an idle period, and the memory after each phase.
fn session(shop: &Shop, home: &Path) -> Vec<(&'static str, &'static str, String)> {
    let mut terminal = open(&shop.base, home);
    terminal.sees("1 of ~");
    let pid = u32::try_from(terminal.pid()).unwrap();
    settle(&terminal);
    let at_start = pss(pid);
    let mut bytes = |keys: &str| {
        let before = settle(&terminal);
        terminal.send(keys);
        std::thread::sleep(Duration::from_millis(100));
        settle(&terminal) - before
    };
    let (moved, page) = (bytes("j"), bytes(PAGE_DOWN));
    let before = settle(&terminal);
    let used = cpu_seconds(&[pid]);
    std::thread::sleep(IDLE);
    let (idle, cpu) = (terminal.written() - before, cpu_seconds(&[pid]) - used);
    let paged = page_down(&mut terminal);
    let after_paging = pss(pid);
    let asked = requests(shop);
    let held = Instant::now();
    // About the repeat rate of a keyboard.
    while held.elapsed() < Duration::from_secs(10) {
        terminal.send("j");
        std::thread::sleep(Duration::from_millis(33));
    }
    settle(&terminal);
    let after_holding = pss(pid);
    let pages = requests(shop) - asked;
    terminal.send("q");
    assert!(terminal.wait());
    vec![
        ("bytes for a move of the cursor", "1,024", moved.to_string()),
        ("bytes for a page", "10,240", page.to_string()),
        (
            "idle for 30 s",
            "0 bytes",
            format!("{idle} bytes, {cpu:.2} s of CPU"),
        ),
        (
            "memory (PSS) at the start",
            "15 MiB",
            format!("{at_start:.1} MiB"),
        ),
        (
            "memory after paging 100,000 rows",
            "30 MiB",
            format!("{after_paging:.1} MiB, {paged:.0} rows/s"),
        ),
        (
            "memory after the cursor was held down for 10 s",
            "30 MiB",
            format!("{after_holding:.1} MiB, {pages} answers of the server for some 300 rows"),
        ),
    ]
}

/// Pages down until `PAGED` rows have passed; returns the rows per second.
fn page_down(terminal: &mut Terminal) -> f64 {
    let began = Instant::now();
    let position = |terminal: &Terminal| -> u64 {
        let screen = terminal.screen();
        let title = screen.lines().nth(1).unwrap_or_default();
        let (before, _) = title.rsplit_once(" of ~").unwrap_or_default();
        let number = before.rsplit(' ').next().unwrap_or_default();
        number.replace(',', "").parse().unwrap_or_default()
    };
    while position(terminal) < PAGED {
        terminal.answers(PAGE_DOWN);
    }
    PAGED as f64 / began.elapsed().as_secs_f64()
}

/// Waits until the client stops writing; returns the number of bytes written so far.
fn settle(terminal: &Terminal) -> usize {
    let (mut written, mut since) = (terminal.written(), Instant::now());
    while since.elapsed() < Duration::from_millis(400) {
        if terminal.written() != written {
            (written, since) = (terminal.written(), Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    written
}

/// Number of list reads that the server has answered so far.
fn requests(shop: &Shop) -> u64 {
    let metrics = tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async {
            let response = shop
                .client
                .get(format!("{}/metrics", shop.base))
                .send()
                .await;
            response.unwrap().text().await.unwrap()
        })
    });
    let counts = metrics.lines().filter(|line| {
        line.starts_with("stockroom_cache_hits") || line.starts_with("stockroom_cache_misses")
    });
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

/// Proportional set size (PSS) of the process, in MiB.
fn pss(pid: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Pss:"))
        .unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
