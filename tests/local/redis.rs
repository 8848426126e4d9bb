//! The private Redis: it starts and stops with its server and is restarted if it dies. On a machine without Redis the
//! server caches in memory.

use std::{fs, path::PathBuf, process::Stdio};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stockroom_tests::{Deadline, ServerProcess, binary, eventually, temp_dir};
use tempfile::TempDir;

use crate::{BASE, create, end, get, guard_of, wait_gone};

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("sockets/redis.sock")
}

/// The process that listens on the private socket, if there is one.
fn redis_of(dir: &TempDir) -> Option<Pid> {
    let url = format!("unix://{}", socket(dir).display());
    let mut connection = redis::Client::open(url).unwrap().get_connection().ok()?;
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query(&mut connection)
        .ok()?;
    let id = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"))?;
    Pid::from_raw(id.trim().parse().ok()?)
}

/// Reads a row until the response is a cache hit.
async fn hits(client: &Client, path: &str) -> Value {
    let deadline = Deadline::new("the loop to end", 120);
    loop {
        deadline.check();
        let answer = client.get(format!("{BASE}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        if answer.headers()["cache-status"]
            .as_bytes()
            .starts_with(b"stockroom; hit")
        {
            return serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        }
        tokio::task::yield_now().await;
    }
}

fn path(row: &Value) -> String {
    format!("/v1/categories/{}", row["id"].as_str().unwrap())
}

#[tokio::test]
async fn redis_is_restarted_under_its_server_and_stops_with_it() {
    let dir = temp_dir("private-redis");
    let server = ServerProcess::start(dir.path(), &[]);
    let client = server.client();
    let path = path(&create(&client, "/v1/categories", json!({"name": "Tea"})).await);
    hits(&client, &path).await;
    assert_eq!(get(&client, "/v1/stats").await["cache"]["store"], "redis");
    let first = redis_of(&dir).unwrap();
    kill_process(first, Signal::KILL).unwrap();
    wait_gone(first);
    let second = eventually("another Redis", || redis_of(&dir));
    assert_ne!(first, second);
    assert_eq!(hits(&client, &path).await["name"], "Tea");
    end(server, &dir);
    wait_gone(second);
}

#[tokio::test]
async fn redis_left_by_a_killed_guard_is_replaced() {
    let dir = temp_dir("left-redis");
    let mut server = ServerProcess::start(dir.path(), &[]);
    let path = path(&create(&server.client(), "/v1/categories", json!({"name": "Tea"})).await);
    hits(&server.client(), &path).await;
    let (left, guard) = (redis_of(&dir).unwrap(), guard_of(&server));
    kill_process(guard, Signal::KILL).unwrap();
    server.signal(Signal::KILL);
    server.wait();
    assert_eq!(redis_of(&dir), Some(left), "somebody stopped it");
    let server = ServerProcess::start(dir.path(), &[]);
    wait_gone(left);
    assert_eq!(hits(&server.client(), &path).await["name"], "Tea");
    end(server, &dir);
}

#[tokio::test]
async fn server_without_redis_caches_in_memory() {
    let dir = temp_dir("no-redis");
    let listen = dir.path().join("test.sock");
    // Hides the programs: mounts a device over them, so none of them is a regular file.
    let hide = "for program in redis-server valkey-server; do
            path=$(command -v $program) && mount --bind /dev/null \"$path\"
        done; exec \"$0\" \"$@\"";
    let child = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", hide])
        .arg(binary("stockroom-server"))
        .arg("--data-dir")
        .arg(dir.path())
        .arg("--listen")
        .arg(format!("unix:{}", listen.display()))
        .env_remove("DATABASE_URL")
        .env("STOCKROOM_LOG", "warn")
        .stdin(Stdio::null())
        .spawn();
    if !rustix::process::geteuid().is_root() {
        // Only root may hide files from a process.
        return;
    }
    let mut server = ServerProcess {
        child: child.unwrap(),
        socket: listen,
    };
    eventually("listening", || {
        assert_eq!(server.child.try_wait().unwrap(), None, "the server ended");
        std::os::unix::net::UnixStream::connect(&server.socket).ok()
    });
    let client = server.client();
    let path = path(&create(&client, "/v1/categories", json!({"name": "Tea"})).await);
    hits(&client, &path).await;
    assert_eq!(get(&client, "/v1/stats").await["cache"]["store"], "memory");
    assert!(!fs::exists(socket(&dir)).unwrap());
    end(server, &dir);
}
