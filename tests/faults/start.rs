//! A failed start reports why, and a start that may succeed later waits.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use stockroom_tests::{
    Node, binary, close_database, database_url, free_port, fresh_database, http_client,
    open_database,
};

fn start(environment: &[(&str, &str)]) -> Output {
    Command::new(binary("stockroom-server"))
        .env("STOCKROOM_LISTEN", "127.0.0.1:0")
        .env("STOCKROOM_START_TIMEOUT", "0")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_start_reports_the_real_cause() {
    let database = database_url(&fresh_database().await);
    let port = free_port();
    let nobody = format!("postgres://ada:s3cret@127.0.0.1:{port}/shop?sslmode=disable");
    let (path, query) = database.split_once('?').unwrap();
    let (server, _) = path.rsplit_once('/').unwrap();
    let missing = format!("{server}/no_such_shop?{query}");
    for (url, cause) in [
        (nobody.as_str(), "refused"),
        (&missing, "\"no_such_shop\" does not exist"),
        (
            "postgres://ada:s3cret@no.such.host.invalid/shop",
            "no.such.host.invalid",
        ),
    ] {
        let output = start(&[("DATABASE_URL", url)]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains("PostgreSQL cannot be reached"), "{words}");
        if !cause.contains("invalid") {
            assert!(words.contains(cause), "{words}");
        }
        assert!(
            !words.contains("s3cret") && !words.contains("pool timed out"),
            "{words}"
        );
    }
}

#[test]
fn invalid_settings_are_usage_errors() {
    for environment in [
        ("DATABASE_URL", "foo://ada:s3cret@bar"),
        ("REDIS_URL", "foo://bar"),
        ("STOCKROOM_MAX_CONNECTIONS", "0"),
    ] {
        let output = start(&[environment, ("DATABASE_URL", "postgres://nobody")][..1]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{environment:?}: {words}");
        assert!(!words.contains("s3cret"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_waits_for_a_database_that_is_not_up_yet() {
    let database = fresh_database().await;
    close_database(&database).await;
    let environment = vec![
        ("DATABASE_URL", database_url(&database)),
        ("STOCKROOM_START_TIMEOUT", "60".to_owned()),
    ];
    let starting = tokio::task::spawn_blocking(|| Node::start("stockroom-server", environment));
    tokio::time::sleep(Duration::from_millis(500)).await;
    open_database(&database).await;
    let node = starting.await.unwrap();
    let ready = http_client().get(node.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}
