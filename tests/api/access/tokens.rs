//! Tokens: how they are created, name the authors of changes, and end.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use stockroom_common::{Secret, access};
use stockroom_server::{Clock, Options};
use stockroom_tests::{
    Answer, Deadline, Shop, binary, client_with, connect, database_url, fresh_database, path,
};

use crate::input::bad_input::UNKNOWN_ID;

/// Creates a token, and returns a client that sends it, with the token as the server describes it.
pub(crate) async fn token(shop: &Shop, new: Value) -> (Client, Value) {
    let created = shop.post("/v1/tokens", &new).await.ok(201);
    let secret = Secret::new(created["secret"].as_str().unwrap());
    (client_with(&secret), created["token"].clone())
}

pub(crate) async fn send(client: &Client, method: Method, url: String) -> Answer {
    Answer::read(client.request(method, url).send().await.unwrap()).await
}

#[tokio::test]
async fn token_is_shown_once_and_names_the_author_of_changes() {
    let shop = Shop::open().await;
    let new = json!({"name": "till", "role": "editor"});
    let created = shop.post("/v1/tokens", &new).await;
    assert_eq!(created.header("cache-control"), "no-store");
    let created = created.ok(201);
    let secret = created["secret"].as_str().unwrap();
    assert_eq!(access::check_secret(secret), Ok(()));
    let client = client_with(&Secret::new(secret));
    let me = send(&client, Method::GET, format!("{}/v1/whoami", shop.base)).await;
    let expected = json!({"name": "till", "role": "editor", "expires_at": null});
    assert_eq!(me.ok(200), expected);
    let list = shop.get("/v1/tokens").await.ok(200);
    assert_eq!(list["items"], json!([created["token"]]));
    assert!(!list.to_string().contains(secret));
    assert_eq!(created["token"]["created_by"], "admin");
    let stored: Vec<u8> = sqlx::query_scalar("select hash from tokens")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(stored.len(), 32);

    let row = shop.category("Tea").await;
    let patch = client
        .patch(format!("{}{}", shop.base, path("categories", &row)))
        .header("content-type", "application/json")
        .header("stockroom-actor", "grace")
        .body(r#"{"name": "Teas"}"#);
    Answer::read(patch.send().await.unwrap()).await.ok(200);
    let history = shop
        .get(&format!("{}/history", path("categories", &row)))
        .await;
    let newest = history.ok(200)["items"][0].clone();
    assert_eq!(
        (&newest["actor"], &newest["on_behalf_of"]),
        (&json!("till"), &json!("grace"))
    );
}

#[tokio::test]
async fn token_needs_a_name_of_its_own_and_a_future() {
    let shop = Shop::open().await;
    let new = |name: &str| json!({"name": name, "role": "viewer"});
    shop.post("/v1/tokens", &new("  "))
        .await
        .refused_at(422, "/name", "required");
    shop.post("/v1/tokens", &json!({"name": "a", "role": "owner"}))
        .await
        .refused(400);
    let past = json!({"name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"});
    let answer = shop.post("/v1/tokens", &past).await;
    answer.refused_at(422, "/expires_at", "out_of_range");
    let (_, first) = token(&shop, new("Kiosk")).await;
    let twin = shop.post("/v1/tokens", &new("kiosk")).await;
    twin.refused_at(409, "/name", "duplicate");
    // The name of the token that the server was given.
    let taken = shop.post("/v1/tokens", &new("Admin")).await;
    taken.refused_at(409, "/name", "reserved");
    let padded = shop.post("/v1/tokens", &new("Kiosk \n")).await;
    padded.refused_at(409, "/name", "duplicate");
    shop.delete(&path("tokens", &first)).await.ok(204);
    shop.post("/v1/tokens", &new("kiosk")).await.ok(201);
    shop.delete(&format!("/v1/tokens/{UNKNOWN_ID}"))
        .await
        .refused(404);
}

#[tokio::test]
async fn revoked_token_is_cut_off_on_every_server_with_its_open_streams() {
    let pool = connect(fresh_database().await, 8).await.unwrap();
    let one = Shop::serve(pool.clone(), Options::default()).await;
    let other = Shop::serve(pool, Options::default()).await;
    let (client, row) = token(&one, json!({"name": "kiosk", "role": "viewer"})).await;
    let works = async |shop: &Shop| {
        let sent = client
            .get(format!("{}/v1/products", shop.base))
            .send()
            .await;
        sent.unwrap().status() == StatusCode::OK
    };
    assert!(
        works(&one).await,
        "the server that created it knows it at once"
    );
    let deadline = Deadline::new("the token on the other server", 60);
    while !works(&other).await {
        deadline.check();
    }
    let stream = client
        .get(format!("{}/v1/changes", other.base))
        .send()
        .await;
    let mut stream = stream.unwrap();
    stream.chunk().await.unwrap().unwrap();
    one.delete(&path("tokens", &row)).await.ok(204);
    assert!(!works(&one).await);
    let deadline = Deadline::new("the revocation on the other server", 60);
    while works(&other).await {
        deadline.check();
    }
    // The stream fails, so that nobody takes it for complete.
    let failure = loop {
        match stream.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert!(failure.is_body() || failure.is_decode(), "{failure:?}");
}

#[tokio::test]
async fn revoked_token_fails_the_upload_that_it_has_begun() {
    let shop = Shop::open().await;
    let (client, row) = token(&shop, json!({"name": "sync", "role": "editor"})).await;
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<String>();
    let body = futures_util::stream::unfold(receive, async |mut receive| {
        Some((Ok::<_, std::io::Error>(receive.recv().await?), receive))
    });
    let url = format!("{}/v1/categories/import?format=csv", shop.base);
    let request = client.post(url).body(reqwest::Body::wrap_stream(body));
    let upload = tokio::spawn(async move { request.send().await });
    let rows =
        |from: usize| -> String { (from..from + 2_000).map(|n| format!("C{n}\n")).collect() };
    send.send(format!("name\n{}", rows(0))).unwrap();
    shop.delete(&path("tokens", &row)).await.ok(204);
    // Fails once the server has closed the connection.
    let _ = send.send(rows(2_000));
    drop(send);
    if let Ok(response) = upload.await.unwrap() {
        assert!(response.status().is_client_error(), "{}", response.status());
    }
    let count: i64 = sqlx::query_scalar("select count(*) from categories")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn token_ends_when_it_expires() {
    let begin: DateTime<Utc> = "2026-11-27T12:00:00Z".parse().unwrap();
    let later = Arc::new(AtomicI64::new(0));
    let seconds = later.clone();
    let clock = Clock::new(move || begin + TimeDelta::seconds(seconds.load(Relaxed)));
    let options = Options {
        clock,
        ..Options::default()
    };
    let shop = Shop::open_with(options).await;
    let new = json!({"name": "temp", "role": "viewer", "expires_at": "2026-11-27T12:01:00Z"});
    let (client, _) = token(&shop, new).await;
    let asked = async || send(&client, Method::GET, format!("{}/v1/products", shop.base)).await;
    later.store(59, Relaxed);
    asked().await.ok(200);
    later.store(60, Relaxed);
    let detail = asked().await.refused(401);
    assert_eq!(detail, "The token expired at 2026-11-27T12:01:00Z.");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_creates_lists_and_revokes_tokens_from_the_command_line() {
    let name = fresh_database().await;
    let url = database_url(&name);
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(binary("stockroom-server"));
        command
            .arg("token")
            .args(arguments)
            .env("DATABASE_URL", &url)
            .env("STOCKROOM_LOG", "error");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let create = [
        "create",
        "--role",
        "viewer",
        "--name",
        "kiosk",
        "--expires",
        "90d",
    ];
    let (is_done, secret, error) = run(&create).await;
    assert!(is_done, "{error}");
    let shop = Shop::serve(connect(name, 4).await.unwrap(), Options::default()).await;
    let client = client_with(&Secret::new(secret.trim()));
    let me = send(&client, Method::GET, format!("{}/v1/whoami", shop.base))
        .await
        .ok(200);
    assert_eq!(
        (&me["name"], &me["role"]),
        (&json!("kiosk"), &json!("viewer"))
    );
    let expires: DateTime<Utc> = me["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!((expires - Utc::now()).num_days(), 89);
    let (_, list, _) = run(&["list"]).await;
    assert!(list.contains("kiosk") && list.contains("valid"), "{list}");
    assert!(!list.contains("sr_"), "{list}");
    let (is_done, _, error) = run(&create).await;
    assert!(
        !is_done && error.contains("another token has this name"),
        "{error}"
    );
    let (is_done, said, _) = run(&["revoke", "Kiosk"]).await;
    assert!(is_done && said.contains("kiosk is revoked"), "{said}");
    let deadline = Deadline::new("the revocation", 60);
    let url = format!("{}/v1/whoami", shop.base);
    while client.get(&url).send().await.unwrap().status() == StatusCode::OK {
        deadline.check();
    }
    let (is_done, _, error) = run(&["revoke", "kiosk"]).await;
    assert!(
        !is_done && error.contains("No valid token is named kiosk"),
        "{error}"
    );
    let (_, list, _) = run(&["list"]).await;
    assert!(list.contains("revoked"), "{list}");
}
