//! Files that arrive slowly, in large numbers, or that unpack to hours of work.

use std::{io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use futures_util::StreamExt;
use reqwest::{Body, Method};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use stockroom_server::Options;
use stockroom_tests::{Answer, Deadline, SharedShop, Shop, admin_token};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const IMPORT: &str = "/v1/categories/import?format=ndjson&on_error=reject_failed";

fn gzipped(line: &[u8], lines: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..lines {
        packed.write_all(line).unwrap();
    }
    packed.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_file_that_unpacks_to_a_huge_one_is_refused_early() {
    let shop = Shop::open().await;
    for line in ["{}\n", "\n"] {
        // Unpacks to a thousand times its size, which is more than any file may have.
        let bomb = gzipped(line.as_bytes(), 15_000_000);
        let request = shop.request(Method::POST, IMPORT).body(bomb);
        let detail = shop.send(request).await.refused(400);
        assert!(
            detail.contains("more than a hundred times its size"),
            "{detail}"
        );
    }
    // Every row is invalid; the import gives up after a hundred errors.
    let request = shop
        .request(Method::POST, "/v1/categories/import?format=ndjson")
        .body(gzipped(b"{}\n", 4_000_000));
    let detail = shop.send(request).await.refused(400);
    assert!(detail.contains("100 errors or more"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn import_ends_when_its_caller_disconnects() {
    let shop = Shop::open().await;
    let mut holder = shop.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table categories in share mode")
        .execute(&mut *holder)
        .await
        .unwrap();
    let rows: String = (0..2_000)
        .map(|index| format!("{}\n", json!({"name": format!("Category {index}")})))
        .collect();
    let mut caller = TcpStream::connect(shop.base.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!(
        "POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        admin_token().expose(),
        rows.len()
    );
    caller.write_all(head.as_bytes()).await.unwrap();
    caller.write_all(rows.as_bytes()).await.unwrap();
    shop.sees_a_wait().await;
    caller.shutdown().await.unwrap();
    // The server closes the connection once it has noticed that its caller has gone.
    let mut rest = Vec::new();
    caller.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    holder.rollback().await.unwrap();
    // The batch in progress is committed; the remaining ones are abandoned.
    let transfers = "select count(*) from pg_stat_activity where datname = current_database()
        and query like 'insert into categories%' and state <> 'idle'";
    while sqlx::query_scalar::<_, i64>(transfers)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let file = shop
        .request(Method::POST, IMPORT)
        .body("{\"name\": \"The end\"}\n");
    shop.send(file).await.ok(200);
    let rows: i64 = sqlx::query_scalar("select count(*) from categories")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert!(rows <= 501, "{rows}");
}

/// A body that sends one byte at a time and never ends.
fn trickle() -> Body {
    let bytes = futures_util::stream::repeat(b"\n".to_vec()).then(|byte| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>(byte)
    });
    Body::wrap_stream(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_uploads_are_aborted_and_concurrent_uploads_are_limited() {
    let options = Options {
        request_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let shop: SharedShop = Arc::new(Shop::open_with(options).await);
    let mut callers = JoinSet::new();
    for _ in 0..12 {
        let request = shop.request(Method::POST, IMPORT).body(trickle());
        callers.spawn(async move { Answer::read(request.send().await.unwrap()).await });
    }
    let mut statuses = Vec::new();
    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        let status = answer.status.as_u16();
        statuses.push(status);
        let detail = answer.refused(status);
        let expected = match status {
            408 => "bytes of the file arrived",
            _ => "Too many files are being received",
        };
        assert!(detail.contains(expected), "{detail}");
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[408; 8].as_slice(), &[503; 4]].concat());
    // Capacity is available again.
    let file = shop
        .request(Method::POST, IMPORT)
        .body("{\"name\": \"Tea\"}\n");
    assert_eq!(shop.send(file).await.ok(200)["created"], 1);
}

#[tokio::test]
async fn uploaded_files_share_a_limit_on_disk_space() {
    let options = Options {
        spool_limit: 1_000,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let row = |name: &str| {
        format!(
            "{}\n",
            json!({"name": name, "description": "x".repeat(600)})
        )
    };
    let import = async |file: String| {
        let request = shop.request(Method::POST, IMPORT).body(file);
        shop.send(request).await
    };
    let detail = import(row("Tea") + &row("Milk")).await.refused(503);
    assert!(detail.contains("all the allowed disk space"), "{detail}");
    // The refused file has released its share of the limit.
    for name in ["Tea", "Milk"] {
        assert_eq!(import(row(name)).await.ok(200)["created"], 1);
    }
}

#[tokio::test]
async fn queued_exports_are_limited() {
    let shop = Shop::open().await;
    let holder = shop.lock_table("categories").await;
    let mut refused = 0;
    for _ in 0..40 {
        let answer = shop.request(Method::POST, "/v1/categories/export");
        let answer = shop.send(answer).await;
        match answer.status.as_u16() {
            202 => {}
            _ => {
                let detail = answer.refused(429);
                assert!(
                    detail.starts_with("32 jobs of this kind (export)"),
                    "{detail}"
                );
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 8);
    holder.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_are_limited() {
    // Both ends of each stream belong to this process, so it needs more file descriptors than the default limit.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let shop = Shop::open().await;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let request = shop.request(Method::GET, "/v1/session");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        streams.push(response);
    }
    for path in ["/v1/session", "/v1/changes", "/v1/jobs/events"] {
        let detail = shop.get(path).await.refused(503);
        assert!(
            detail.starts_with("All 1000 event streams are in use"),
            "{detail}"
        );
    }
    streams.truncate(999);
    let request = || shop.request(Method::GET, "/v1/session").send();
    let deadline = Deadline::new("a stream that is accepted again", 120);
    while request().await.unwrap().status() != 200 {
        deadline.check();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
