//! Throughput of a cached response: requests per second, compared with a fixed body of the same size that passes
//! through the same layers in the same process. `wrk` drives both from a separate process. Rounds of all kinds are
//! interleaved, so other load on the machine affects them all equally.

use std::{fmt::Write, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use stockroom_tests::{
    Node, RedisProcess, database_url,
    figures::{cpu_seconds, family, median, write_section},
    fresh_database, http_client, say,
};

const ROUNDS: usize = 7;
const SECONDS: u32 = 3;
const ROWS: usize = 10_000;

/// The `wrk` script: requests a random id each time. `PREFIX` holds the path before the id, `IDS` the file of ids.
const AT_RANDOM: &str = r#"
local ids = {}
for line in io.lines(os.getenv("IDS")) do ids[#ids + 1] = line end
local prefix = os.getenv("PREFIX")
request = function() return wrk.format("GET", prefix .. ids[math.random(#ids)]) end
"#;

/// The processes whose CPU time is measured separately.
struct Rig {
    server: Node,
    redis: RedisProcess,
    postgres: u32,
    scratch: tempfile::TempDir,
}

/// A kind of request.
#[derive(Clone, Debug)]
struct Kind {
    name: &'static str,
    path: String,
    is_random: bool,
    past_cache: bool,
    connections: u32,
}

/// The measurements of all rounds of one kind; the report shows their medians.
#[derive(Debug, Default)]
struct Measured {
    rate: Vec<f64>,
    p99_millis: Vec<f64>,
    /// CPU microseconds per request: server, Redis, PostgreSQL.
    cpu: [Vec<f64>; 3],
}

#[tokio::main]
async fn main() {
    // `cargo test` also builds and runs benchmarks, but with this flag.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (rig, hot, bytes) = start().await;
    let kind = |name, path: String, is_random, past_cache, connections| Kind {
        name,
        path,
        is_random,
        past_cache,
        connections,
    };
    let row = format!("/v1/products/{hot}");
    let list = "/v1/products?limit=50".to_owned();
    let kinds = [
        kind("fixed body", format!("/fixed/{hot}"), false, false, 32),
        kind(
            "fixed body, path at random",
            "/fixed/".into(),
            true,
            false,
            32,
        ),
        kind(
            "fixed body, no layers",
            format!("/bare/{hot}"),
            false,
            false,
            32,
        ),
        kind("cached, one hot row", row.clone(), false, false, 32),
        kind(
            "cached, at random over 10,000",
            "/v1/products/".into(),
            true,
            false,
            32,
        ),
        kind("cached, a page of 50", list.clone(), false, false, 32),
        kind("past the cache, one row", row.clone(), false, true, 32),
        kind("past the cache, a page of 50", list, false, true, 32),
        kind(
            "fixed body, 1 connection",
            format!("/fixed/{hot}"),
            false,
            false,
            1,
        ),
        kind("cached, 1 connection", row.clone(), false, false, 1),
        kind(
            "fixed body, 128 connections",
            format!("/fixed/{hot}"),
            false,
            false,
            128,
        ),
        kind("cached, 128 connections", row.clone(), false, false, 128),
    ];
    let mut measured: Vec<Measured> = kinds.iter().map(|_| Measured::default()).collect();
    for round in 0..ROUNDS {
        for (kind, measured) in kinds.iter().zip(&mut measured) {
            measure(&rig, kind, measured);
        }
        say(&format!("round {} of {ROUNDS}", round + 1));
    }
    let mut stopped = Measured::default();
    let hot_row = kind("cached, one hot row", row, false, false, 32);
    for _ in 0..3 {
        rig.redis.signal(Signal::STOP);
        measure(&rig, &hot_row, &mut stopped);
        rig.redis.signal(Signal::CONT);
        std::thread::sleep(Duration::from_secs(1));
    }
    let text = report(&kinds, &measured, &stopped, bytes);
    say(&text);
    write_section("cache", &text);
}

/// Starts the server on a shop of ten thousand products, each read once to fill the cache.
async fn start() -> (Rig, String, usize) {
    let database = fresh_database().await;
    let pid_file = database
        .get_socket()
        .unwrap()
        .join("../postgres/postmaster.pid");
    let postmaster = std::fs::read_to_string(pid_file).unwrap();
    let redis = RedisProcess::start();
    let environment = vec![
        ("DATABASE_URL", database_url(&database)),
        ("REDIS_URL", redis.url()),
        ("STOCKROOM_FIXED_BYTES", "345".to_owned()),
    ];
    let server = Node::start("testbed", environment);
    let client = http_client();
    let get = async |path: String| -> Value {
        let answer = client.get(server.url(&path)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let job = json!({"seed": 1, "categories": 10, "products": ROWS});
    let job = client
        .post(server.url("/v1/seed-jobs"))
        .header("content-type", "application/json")
        .body(job.to_string());
    let job = job.send().await.unwrap().text().await.unwrap();
    let job: Value = serde_json::from_str(&job).unwrap();
    let job = format!("/v1/seed-jobs/{}", job["id"].as_str().unwrap());
    while get(job.clone()).await["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    while ids.len() < ROWS {
        let page = get(format!("/v1/products?limit=200{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        ids.extend(
            items
                .iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        cursor = format!("&cursor={}", page["next"].as_str().unwrap_or_default());
    }
    for id in &ids {
        get(format!("/v1/products/{id}")).await;
    }
    let bytes = client.get(server.url(&format!("/v1/products/{}", ids[0])));
    let bytes = bytes.send().await.unwrap().bytes().await.unwrap().len();
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("ids"), ids.join("\n")).unwrap();
    std::fs::write(scratch.path().join("random.lua"), AT_RANDOM).unwrap();
    let rig = Rig {
        server,
        redis,
        postgres: postmaster.lines().next().unwrap().parse().unwrap(),
        scratch,
    };
    (rig, ids[0].clone(), bytes)
}

fn measure(rig: &Rig, kind: &Kind, measured: &mut Measured) {
    let processes = [
        vec![rig.server.pid()],
        vec![rig.redis.pid()],
        family(rig.postgres),
    ];
    let before = processes.clone().map(|pids| cpu_seconds(&pids));
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "--latency", &format!("-d{SECONDS}")])
        .arg(format!("-c{}", kind.connections))
        .env("IDS", rig.scratch.path().join("ids"))
        .env("PREFIX", &kind.path);
    if kind.past_cache {
        wrk.args(["-H", "Cache-Control: no-cache"]);
    }
    if kind.is_random {
        wrk.arg("-s").arg(rig.scratch.path().join("random.lua"));
    }
    let path = if kind.is_random { "" } else { &kind.path };
    let output = wrk
        .arg(rig.server.url(path))
        .output()
        .expect("wrk; run this with `make bench`");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let after = processes.map(|pids| cpu_seconds(&pids));
    let field = |prefix: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no {prefix} in {text}"))
            .trim()
            .to_owned()
    };
    let rate: f64 = field("Requests/sec:").parse().unwrap();
    measured.rate.push(rate);
    measured.p99_millis.push(millis(&field("99%")));
    let requests = rate * f64::from(SECONDS);
    for ((cpu, before), after) in measured.cpu.iter_mut().zip(before).zip(after) {
        cpu.push((after - before) * 1e6 / requests);
    }
}

/// Parses a `wrk` duration such as `950.00us`, `1.23ms` or `1.20s` into milliseconds.
fn millis(text: &str) -> f64 {
    let (factor, number) = match text {
        text if text.ends_with("us") => (1e-3, text.trim_end_matches("us")),
        text if text.ends_with("ms") => (1.0, text.trim_end_matches("ms")),
        text => (1e3, text.trim_end_matches('s')),
    };
    factor * number.parse::<f64>().unwrap()
}

fn report(kinds: &[Kind], measured: &[Measured], stopped: &Measured, bytes: usize) -> String {
    let of = |name: &str| {
        let index = kinds.iter().position(|kind| kind.name == name).unwrap();
        &measured[index]
    };
    // Compares round by round, because adjacent rounds ran under the same load on the machine.
    let ratio = |one: &str, other: &str| {
        let pairs = of(one).rate.iter().zip(&of(other).rate);
        median(pairs.map(|(one, other)| one / other).collect())
    };
    let mut text = format!(
        "A GET by id of a product ({bytes} bytes), {ROUNDS} rounds of {SECONDS} s of each kind, \
         interleaved; `wrk` with one thread on the same 2 cores as the server, Redis and PostgreSQL. \
         Medians.\n\n\
         | request | requests/s | p99 | CPU µs: server | Redis | PostgreSQL |\n|---|---|---|---|---|---|\n"
    );
    for (kind, measured) in kinds.iter().zip(measured) {
        let cpu = measured.cpu.clone().map(median);
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} ms | {:.1} | {:.1} | {:.1} |",
            kind.name,
            median(measured.rate.clone()),
            median(measured.p99_millis.clone()),
            cpu[0],
            cpu[1],
            cpu[2],
        );
    }
    let _ = write!(
        text,
        "\n| ratio | goal | measured |\n|---|---|---|\n\
         | hot row ÷ fixed body | 0.65 | {:.2} |\n\
         | at random ÷ fixed body | 0.60 | {:.2} |\n\
         | 128 connections: hot row ÷ fixed body | | {:.2} |\n\
         | 1 connection: hot row ÷ fixed body | | {:.2} |\n\
         | hot row ÷ past the cache | | {:.1} |\n\
         | page of 50 ÷ past the cache | | {:.1} |\n\n\
         With Redis stopped by a signal in mid-flight, the hot row at 32 connections: p99 {:.2} ms, \
         against {:.2} ms of reads past the cache with Redis well (budget of a command: 80 ms).\n",
        ratio("cached, one hot row", "fixed body"),
        ratio(
            "cached, at random over 10,000",
            "fixed body, path at random"
        ),
        ratio("cached, 128 connections", "fixed body, 128 connections"),
        ratio("cached, 1 connection", "fixed body, 1 connection"),
        ratio("cached, one hot row", "past the cache, one row"),
        ratio("cached, a page of 50", "past the cache, a page of 50"),
        median(stopped.p99_millis.clone()),
        median(of("past the cache, one row").p99_millis.clone()),
    );
    text
}
