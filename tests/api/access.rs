//! Tokens and roles: who gets in, what each role may do, and how a token ends.

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
use stockroom_common::{Role, Secret, access};
use stockroom_server::{AppState, Clock, Options, route_table};
use stockroom_tests::{
    Answer, Deadline, Shop, binary, client_with, connect, database_url, fresh_database, path,
    with_token,
};

use crate::input::bad_input::UNKNOWN_ID;

/// Creates a token, and returns a client that sends it, with the token as the server describes it.
async fn token(shop: &Shop, new: Value) -> (Client, Value) {
    let created = shop.post("/v1/tokens", &new).await.ok(201);
    let secret = Secret::new(created["secret"].as_str().unwrap());
    (client_with(&secret), created["token"].clone())
}

async fn send(client: &Client, method: Method, url: String) -> Answer {
    Answer::read(client.request(method, url).send().await.unwrap()).await
}

#[tokio::test]
async fn every_route_takes_exactly_the_role_of_the_table() {
    let shop = Shop::open().await;
    let state = AppState::new(shop.database.clone(), Options::default())
        .await
        .unwrap();
    let table = route_table(&state);
    assert!(table.len() > 80, "{} routes", table.len());
    let mut clients = Vec::new();
    for role in Role::ALL {
        let new = json!({"name": format!("the {role}"), "role": role});
        clients.push((role, token(&shop, new).await.0));
    }
    let nobody = Client::new();
    for (path, method, needed) in &table {
        let path = path
            .replace("{id}", UNKNOWN_ID)
            .replace("{name}", "orders_1999_01");
        let url = format!("{}{path}", shop.base);
        // Streams go on for ever, so only the head of each answer is read.
        let status = async |client: &Client| {
            let sent = client.request(method.clone(), &url).send().await;
            sent.unwrap().status()
        };
        let without = status(&nobody).await;
        let is_asked = without == StatusCode::UNAUTHORIZED;
        assert_eq!(is_asked, needed.is_some(), "{method} {path}: {without}");
        for (role, client) in &clients {
            let status = status(client).await;
            let is_refused = status == StatusCode::FORBIDDEN;
            let is_too_low = needed.is_some_and(|needed| *role < needed);
            assert_eq!(is_refused, is_too_low, "{role}: {method} {path}: {status}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role}: {method} {path}");
            assert!(
                !status.is_server_error(),
                "{role}: {method} {path}: {status}"
            );
        }
    }
    // Nothing but reads is open to viewers, and nothing but probes to everybody.
    for (path, method, role) in &table {
        let is_read =
            *method == Method::GET || path.ends_with("/export") || path.contains("jobs/{id}");
        assert!(is_read || *role > Some(Role::Viewer), "{method} {path}");
        assert!(role.is_some() || path.ends_with("z"), "{method} {path}");
    }
}

#[tokio::test]
async fn method_without_a_route_is_refused_with_those_that_exist() {
    let shop = Shop::open().await;
    let answer = shop.send(shop.request(Method::PUT, "/v1/products")).await;
    assert_eq!(answer.header("allow"), "GET,POST,HEAD");
    answer.refused(405);
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
async fn token_ends_when_it_expires_and_its_last_use_is_saved() {
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

#[tokio::test]
async fn requests_without_an_acceptable_token_say_what_is_wrong() {
    let shop = Shop::open().await;
    let nobody = Client::new();
    let url = format!("{}/v1/products", shop.base);
    let with = async |values: &[&str]| {
        let request = values.iter().fold(nobody.get(&url), |request, value| {
            request.header("authorization", *value)
        });
        Answer::read(request.send().await.unwrap()).await
    };
    let foreign = access::secret_of(&"f".repeat(access::RANDOM_LENGTH));
    let foreign = format!("Bearer {}", foreign.expose());
    let cases: [(&[&str], u16, &str, &str); 8] = [
        (&[], 401, "Send a token", ""),
        (&["Bearer "], 401, "Authorization: Bearer", ""),
        (&["Basic YTpi"], 401, "Authorization: Bearer", ""),
        (
            &["Bearer hunter2"],
            401,
            "must begin with sr_",
            "invalid_token",
        ),
        (&[&foreign[..40]], 401, "may be cut off", "invalid_token"),
        (
            &[&format!("{}x", &foreign[..foreign.len() - 1])],
            401,
            "mistyped",
            "invalid_token",
        ),
        (&[&foreign], 401, "not accepted here", "invalid_token"),
        (&[&foreign, &foreign], 400, "one `Authorization` header", ""),
    ];
    for (values, status, words, error) in cases {
        let answer = with(values).await;
        let challenge = answer.header("www-authenticate").to_owned();
        assert_eq!(
            challenge.starts_with("Bearer realm="),
            status == 401,
            "{values:?}"
        );
        assert_eq!(
            challenge.contains("invalid_token"),
            !error.is_empty(),
            "{values:?}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        let detail = answer.refused(status);
        assert!(detail.contains(words), "{values:?}: {detail}");
        assert!(
            !detail.contains("hunter2") && !detail.contains("fff"),
            "{detail}"
        );
    }
    let secret = foreign.trim_start_matches("Bearer ");
    for query in [
        format!("access_token={secret}"),
        format!("q=%73r_{}", &secret[3..]),
    ] {
        let answer = shop.get(&format!("/v1/products?{query}")).await;
        let detail = answer.refused(400);
        assert!(detail.contains("Revoke it"), "{query}: {detail}");
    }
    let huge = nobody
        .get(&url)
        .header("authorization", "x".repeat(64 << 10));
    let status = huge.send().await.unwrap().status().as_u16();
    assert!((400..500).contains(&status), "{status}");
    // Whoever knows no token still learns whether the server lives.
    for probe in ["livez", "readyz"] {
        let asked = nobody.get(format!("{}/{probe}", shop.base)).send().await;
        assert_eq!(asked.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn address_that_sends_wrong_tokens_must_wait_while_right_ones_work() {
    let shop = Shop::open().await;
    let foreign = access::secret_of(&"f".repeat(access::RANDOM_LENGTH));
    let guesser = client_with(&foreign);
    let url = format!("{}/v1/products", shop.base);
    let deadline = Deadline::new("the limit", 60);
    let limited = loop {
        deadline.check();
        let answer = send(&guesser, Method::GET, url.clone()).await;
        if answer.status != StatusCode::UNAUTHORIZED {
            break answer;
        }
    };
    assert_eq!(limited.header("retry-after"), "1");
    limited.refused(429);
    shop.get("/v1/products").await.ok(200);
}

#[tokio::test]
async fn answers_tell_browsers_to_do_nothing_with_them() {
    let shop = Shop::open().await;
    for path in ["/v1/products", "/livez", "/nowhere"] {
        let answer = shop.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn role_of_a_job_follows_what_it_does() {
    let shop = Shop::open().await;
    let (editor, _) = token(&shop, json!({"name": "e", "role": "editor"})).await;
    let (viewer, _) = token(&shop, json!({"name": "v", "role": "viewer"})).await;
    let url = |path: &str| format!("{}{path}", shop.base);
    let post = async |client: &Client, path: &str| {
        let request = client.post(url(path)).header("content-type", "text/csv");
        Answer::read(request.body("name\nTea\n").send().await.unwrap()).await
    };
    // An import that restores takes more than one that applies the rules.
    let restore = "/v1/categories/import?format=csv&mode=restore";
    post(&editor, restore).await.refused(403);
    post(&editor, "/v1/categories/import?format=csv")
        .await
        .ok(200);
    // Nobody but editors cancels the export of somebody else.
    let export = |client: &Client| {
        let request = client.post(url("/v1/categories/export"));
        async { Answer::read(request.send().await.unwrap()).await.ok(202) }
    };
    let (own, other) = (export(&viewer).await, export(&editor).await);
    let cancel = |client: &Client, job: &Value| {
        let request = client.delete(url(&path("jobs", job)));
        async { Answer::read(request.send().await.unwrap()).await }
    };
    cancel(&viewer, &own).await.ok(202);
    cancel(&viewer, &other).await.refused(403);
    let sizes = json!({"seed": 1, "categories": 1, "products": 1, "customers": 1, "orders": 1});
    let seed = shop.post("/v1/seed-jobs", &sizes).await.ok(202);
    let detail = cancel(&editor, &seed).await.refused(403);
    assert_eq!(
        detail,
        "The token `e` has the role editor; this takes the role admin."
    );
}

#[tokio::test]
async fn server_without_any_token_lets_nobody_in() {
    let pool = connect(fresh_database().await, 4).await.unwrap();
    let shop = Shop::serve(pool, Options::default()).await;
    let stranger = access::secret_of(&"s".repeat(access::RANDOM_LENGTH));
    let headers = with_token(&stranger);
    let request = Client::new()
        .get(format!("{}/v1/products", shop.base))
        .headers(headers);
    Answer::read(request.send().await.unwrap())
        .await
        .refused(401);
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
        !is_done && error.contains("no valid token named kiosk"),
        "{error}"
    );
    let (_, list, _) = run(&["list"]).await;
    assert!(list.contains("revoked"), "{list}");
}
