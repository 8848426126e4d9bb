//! Local mode with the real binaries: the private PostgreSQL starts, stays and stops with its server, however the
//! server ends, and no acknowledged write is lost.

mod folders;
mod redis;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use stockroom_tests::{Answer, Deadline, ServerProcess, binary, eventually, temp_dir};
use tempfile::TempDir;

const BASE: &str = "http://localhost";

async fn get(client: &Client, path: &str) -> Value {
    let response = client.get(format!("{BASE}{path}")).send().await.unwrap();
    Answer::read(response).await.ok(200)
}

async fn post(client: &Client, path: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
    let request = client.post(format!("{BASE}{path}"));
    request
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
}

async fn create(client: &Client, path: &str, body: Value) -> Value {
    Answer::read(post(client, path, &body).await.unwrap())
        .await
        .ok(201)
}

/// The process id in the first line of a file.
fn pid_in(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

fn postmaster(dir: &TempDir) -> Pid {
    pid_in(&dir.path().join("postgres/postmaster.pid")).unwrap()
}

fn wait_gone(pid: Pid) {
    eventually("the end of the process", || {
        test_kill_process(pid).is_err().then_some(())
    });
}

#[tokio::test]
async fn postgres_stops_with_its_server_and_keeps_the_data() {
    let dir = temp_dir("stop");
    for (round, signal) in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL]
        .into_iter()
        .enumerate()
    {
        // To a server that is not local, SIGHUP means to read its files again.
        let local = usize::from(signal == Signal::HUP);
        let mut server = ServerProcess::start(dir.path(), &["--local"][..local]);
        let client = server.client();
        assert_eq!(
            get(&client, "/v1/categories").await["items"]
                .as_array()
                .unwrap()
                .len(),
            round
        );
        create(
            &client,
            "/v1/categories",
            json!({"name": format!("Round {round}")}),
        )
        .await;
        let postgres = postmaster(&dir);
        drop(client);
        server.signal(signal);
        assert_eq!(server.wait(), signal != Signal::KILL);
        wait_gone(postgres);
    }
    // The guard process releases its lock last.
    eventually("the guard's lock", || {
        fs::File::open(dir.path().join("postgres.lock"))
            .unwrap()
            .try_lock()
            .ok()
    });
}

#[tokio::test]
async fn second_server_on_the_same_folder_is_refused() {
    let dir = temp_dir("twice");
    let server = ServerProcess::start(dir.path(), &[]);
    let output = Command::new(binary("stockroom-server"))
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path())
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "another stockroom-server (process {}) already serves",
        server.child.id()
    );
    assert!(words.contains(&expected), "{words}");
    assert_eq!(get(&server.client(), "/readyz").await["status"], "ready");
    end(server, &dir);
}

#[tokio::test]
async fn dead_postmaster_is_restarted_under_a_running_server() {
    let dir = temp_dir("postmaster");
    let server = ServerProcess::start(dir.path(), &[]);
    let client = server.client();
    create(&client, "/v1/categories", json!({"name": "Tea"})).await;
    let first = postmaster(&dir);
    kill_process(first, Signal::KILL).unwrap();
    wait_gone(first);
    let deadline = Deadline::new("the loop to end", 120);
    loop {
        deadline.check();
        let response = client
            .get(format!("{BASE}/v1/categories"))
            .send()
            .await
            .unwrap();
        let answer = Answer::read(response).await;
        if answer.status == 200 {
            assert_eq!(answer.body["items"][0]["name"], "Tea");
            break;
        }
        answer.refused(503);
        tokio::task::yield_now().await;
    }
    assert_ne!(postmaster(&dir), first);
    end(server, &dir);
}

#[tokio::test]
async fn server_cleans_up_after_a_killed_guard() {
    let dir = temp_dir("leftover");
    let mut server = ServerProcess::start(dir.path(), &[]);
    create(&server.client(), "/v1/categories", json!({"name": "Tea"})).await;
    let (postgres, guard) = (postmaster(&dir), guard_of(&server));
    kill_process(guard, Signal::KILL).unwrap();
    server.signal(Signal::KILL);
    server.wait();
    // Nothing stops PostgreSQL now, so the next server takes it over.
    assert!(test_kill_process(postgres).is_ok());
    let mut server = ServerProcess::start(dir.path(), &[]);
    assert_ne!(postmaster(&dir), postgres);
    assert_eq!(
        get(&server.client(), "/v1/categories").await["items"][0]["name"],
        "Tea"
    );

    // The process id of a dead postmaster, which another program uses now.
    let pid_file = dir.path().join("postgres/postmaster.pid");
    let stale = fs::read_to_string(&pid_file).unwrap();
    server.signal(Signal::TERM);
    assert!(server.wait());
    eventually("the end of PostgreSQL", || {
        (!pid_file.exists()).then_some(())
    });
    let pid = stale.lines().next().unwrap();
    fs::write(
        &pid_file,
        stale.replacen(pid, &std::process::id().to_string(), 1),
    )
    .unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    assert_eq!(
        get(&server.client(), "/v1/categories").await["items"][0]["name"],
        "Tea"
    );
    end(server, &dir);
}

/// The guard is the server's only child, started by one of its threads.
fn guard_of(server: &ServerProcess) -> Pid {
    let threads = fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
    let children = threads
        .flatten()
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap())
        .find(|children| !children.is_empty());
    let pid = children.unwrap().trim().parse().unwrap();
    Pid::from_raw(pid).unwrap()
}

/// Stops the server and waits until PostgreSQL has ended, before the folder is removed.
fn end(mut server: ServerProcess, dir: &TempDir) {
    let postgres = postmaster(dir);
    server.signal(Signal::TERM);
    assert!(server.wait());
    wait_gone(postgres);
}

// Waiting blocks one thread, so a second one must close the connections.
#[tokio::test(flavor = "multi_thread")]
async fn local_server_stops_with_its_last_client() {
    let dir = temp_dir("leave");
    let mut server = ServerProcess::start(dir.path(), &["--local"]);
    let client = server.client();
    let first = client
        .get(format!("{BASE}/v1/session"))
        .send()
        .await
        .unwrap();
    let second = client
        .get(format!("{BASE}/v1/session"))
        .send()
        .await
        .unwrap();
    drop(first);
    assert_eq!(get(&client, "/readyz").await["status"], "ready");
    let postgres = postmaster(&dir);
    drop(second);
    drop(client);
    assert!(server.wait());
    wait_gone(postgres);
}

#[test]
fn server_listens_beyond_this_machine_only_on_request() {
    let dir = temp_dir("remote");
    let output = Command::new(binary("stockroom-server"))
        .args(["--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("add --insecure-remote"), "{words}");
    assert!(
        fs::read_dir(dir.path()).unwrap().next().is_none(),
        "it began something"
    );
}

#[test]
fn missing_postgres_is_reported_with_the_install_command() {
    let dir = temp_dir("missing");
    let server = binary("stockroom-server");
    // PostgreSQL is neither on PATH nor in the usual places.
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "mount -t tmpfs none /usr/lib/postgresql && PATH={} exec {} --create --data-dir {}",
            fake_path(dir.path()),
            server.display(),
            dir.path().join("data").display(),
        ))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if words.contains("unshare:") || words.contains("mount:") {
        // Only root may hide folders from a process; a unit test covers the message otherwise.
        return;
    }
    assert!(!output.status.success());
    assert!(
        words.contains("PostgreSQL is not installed here; install it with: "),
        "{words}"
    );
    assert!(words.contains("apt-get install postgresql"), "{words}");
}

/// A PATH folder that contains only a package manager.
fn fake_path(dir: &Path) -> String {
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("apt-get"), "").unwrap();
    bin.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed_during_a_thousand_writes_keeps_every_acknowledged_write() {
    let dir = temp_dir("kill");
    let mut server = ServerProcess::start(dir.path(), &[]);
    let client = server.client();
    let category = create(&client, "/v1/categories", json!({"name": "Tea"})).await;
    let product = json!({
        "category_id": category["id"], "sku": "A-1", "name": "Green", "price_minor": 450,
        "stock": 1_000_000,
    });
    let product = create(&client, "/v1/products", product).await;
    let customer = json!({"name": "Ada", "email": "ada@example.org"});
    let customer = create(&client, "/v1/customers", customer).await;

    let order = json!({
        "customer_id": customer["id"],
        "items": [
            {"product_id": product["id"], "quantity": 2},
            {"product_id": product["id"], "quantity": 1},
        ],
    });
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..1_000)
        .map(|_| {
            let (client, order, acknowledge) = (client.clone(), order.clone(), acknowledge.clone());
            tokio::spawn(async move {
                let response = post(&client, "/v1/orders", &order).await.ok()?;
                if response.status() != 201 {
                    return None;
                }
                let row: Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
                acknowledge.send(row["id"].as_str()?.to_owned()).ok()
            })
        })
        .collect();
    let mut ids = Vec::new();
    let deadline = Deadline::new("200 rows", 120);
    while ids.len() < 200 {
        deadline.check();
        ids.push(acknowledged.recv().await.unwrap());
    }
    server.signal(Signal::KILL);
    server.wait();
    for writer in writers {
        writer.await.unwrap();
    }
    drop(acknowledge);
    while let Some(id) = acknowledged.recv().await {
        ids.push(id);
    }
    assert!(ids.len() < 1_000, "the server was not killed in the middle");

    let server = ServerProcess::start(dir.path(), &[]);
    let client = server.client();
    for id in &ids {
        assert_eq!(
            get(&client, &format!("/v1/orders/{id}")).await["total_minor"],
            1_350
        );
    }
    let mut conn = connect(&dir).await;
    let orders = count(&mut conn, "select count(*) from orders").await;
    assert!(orders >= ids.len() as i64);
    for broken in [
        "select count(*) from orders o where total_minor is distinct from
            (select sum(quantity * unit_price_minor) from order_items i
            where i.placed_at = o.placed_at and i.order_id = o.id)",
        "select count(*) from orders o where not exists
            (select from changes where entity = 'order' and entity_id = o.id and version = 1)",
        "select count(*) from changes where entity = 'order' and not exists
            (select from orders where id = entity_id)",
    ] {
        assert_eq!(count(&mut conn, broken).await, 0, "{broken}");
    }
    let stock = get(
        &client,
        &format!("/v1/products/{}", product["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(stock["stock"], 1_000_000 - 3 * orders);
    conn.close().await.unwrap();
    end(server, &dir);
}

async fn connect(dir: &TempDir) -> PgConnection {
    PgConnectOptions::new_without_pgpass()
        .socket(dir.path().join("sockets"))
        .username("stockroom")
        .database("stockroom")
        .connect()
        .await
        .unwrap()
}

async fn count(conn: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn private_server_and_database_are_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;

    let dir = temp_dir("private");
    let server = ServerProcess::start(dir.path(), &[]);
    let mode = fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let rules = fs::read_to_string(dir.path().join("postgres/pg_hba.conf")).unwrap();
    let mut rules = rules.lines().filter(|line| line.starts_with("host"));
    assert!(
        rules.all(|rule| rule.ends_with("reject")),
        "connections by TCP are refused"
    );
    end(server, &dir);
}
