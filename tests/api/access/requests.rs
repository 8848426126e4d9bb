//! Requests: which role each route takes, and what is refused without an accepted token.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use stockroom_common::{Role, access};
use stockroom_server::{AppState, Options, route_table};
use stockroom_tests::{
    Answer, Deadline, Shop, client_with, connect, fresh_database, path, with_token,
};

use crate::input::bad_input::UNKNOWN_ID;

use super::tokens::{send, token};

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
    // The probes answer without a token.
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
