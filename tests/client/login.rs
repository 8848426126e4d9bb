//! Tokens in the client: logging in, and what it does when a token is refused in mid-work.

use reqwest::Method;
use serde_json::{Value, json};
use stockroom_tests::{Shop, Terminal, path, temp_dir};

use crate::{ENTER, ESC, SAVE, runner::Client};

/// No token from the environment.
const NONE: (&str, &str) = ("STOCKROOM_TOKEN", "");

/// Creates a token; returns its secret and its path.
async fn token(shop: &Shop, name: &str, role: &str) -> (String, String) {
    let created = shop
        .post("/v1/tokens", &json!({"name": name, "role": role}))
        .await
        .ok(201);
    let secret = created["secret"].as_str().unwrap().to_owned();
    (secret, path("tokens", &created["token"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn client_asks_for_a_token_once_and_hides_it() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    let (secret, _) = token(&shop, "till 3", "editor").await;
    let home = temp_dir("login");
    let open = || Terminal::open_as(&[NONE], &["--server", &shop.base], home.path());
    let mut terminal = open();
    terminal.sees("Token for http://127.0.0.1");
    terminal.send("sr_half\r");
    terminal.sees("This is not a token: it must have 52 characters; it may be cut off.");
    terminal.send("\x15");
    terminal.send(&secret);
    let screen = terminal.sees(&"*".repeat(20));
    assert!(!screen.contains(&secret[..10]), "{screen}");
    terminal.send(ENTER);
    terminal.sees("till 3 (editor)");
    terminal.sees("● connected");
    terminal.send("2");
    terminal.sees("ada@example.org");
    terminal.send("q");
    assert!(terminal.wait());
    let text = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(!text.contains(&secret), "the token was drawn");
    // The next time it is not asked for.
    let mut terminal = open();
    terminal.sees("till 3 (editor)");
    terminal.send("q");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_token_is_replaced_in_mid_work_without_loss() {
    let shop = Shop::open().await;
    let (first, row) = token(&shop, "first", "editor").await;
    let (second, _) = token(&shop, "second", "editor").await;
    let home = temp_dir("relogin");
    let mut terminal = Terminal::open_as(&[NONE], &["--server", &shop.base], home.path());
    terminal.sees("Token for http://");
    terminal.send(&format!("{first}\r"));
    terminal.sees("first (editor)");
    terminal.send("4");
    terminal.sees("No categories yet");
    terminal.send("n");
    terminal.sees("New category");
    terminal.send("Green tea");
    shop.delete(&row).await.ok(204);
    terminal.sees("Token for http://");
    terminal.sees("not logged in");
    terminal.send(&format!("{second}\r"));
    terminal.sees("second (editor)");
    let screen = terminal.sees("New category");
    assert!(screen.contains("Green tea"), "{screen}");
    terminal.send(SAVE);
    terminal.sees("Created Green tea");
    terminal.send("q");
    assert!(terminal.wait());
    let changes: Vec<String> = sqlx::query_scalar("select actor from changes")
        .fetch_all(&shop.pool)
        .await
        .unwrap();
    assert_eq!(changes, ["second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_is_offered_nothing_that_the_role_refuses() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    let (secret, _) = token(&shop, "kiosk", "viewer").await;
    let home = temp_dir("viewer");
    let environment = [("STOCKROOM_TOKEN", secret.as_str())];
    let mut terminal = Terminal::open_as(&environment, &["--server", &shop.base], home.path());
    terminal.sees("kiosk (viewer)");
    terminal.send("2");
    let screen = terminal.sees("ada@example.org");
    assert!(
        !screen.contains("d delete") && screen.contains("/ search"),
        "{screen}"
    );
    terminal.send("d");
    terminal.sees("has the role viewer, which may not do that");
    terminal.send(ESC);
    terminal.send("5");
    terminal.send("n");
    terminal.sees("has the role viewer");
    terminal.send("q");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_log_in_out_and_say_who_one_is() {
    let shop = Shop::open().await;
    let (secret, row) = token(&shop, "script", "viewer").await;
    let client = Client::of(&shop);
    let run = async |arguments: &[&str]| client.run_as(&[NONE], arguments).await;
    let refused = run(&["categories", "list"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("stockroom login"), "{}", refused.err);
    let typed = client
        .run_on_as(&[NONE], &format!("{secret}\n"), &["login"])
        .await;
    assert_eq!(typed.code, 0, "{}", typed.err);
    assert!(
        typed.err.contains("Logged in as script (viewer)"),
        "{}",
        typed.err
    );
    assert_eq!(run(&["whoami"]).await.done().trim(), "script (viewer)");
    let me: Value = run(&["whoami", "--json"]).await.json();
    assert_eq!(
        me,
        json!({"name": "script", "role": "viewer", "expires_at": null})
    );
    let denied = run(&["categories", "create", "--set", "name=Tea"]).await;
    assert_eq!(denied.code, 1);
    assert!(
        denied.err.contains("takes the role editor"),
        "{}",
        denied.err
    );
    run(&["logout"]).await.done();
    assert_eq!(run(&["whoami"]).await.code, 1);
    // A file takes the place of the variable.
    let file = client.home.path().join("token");
    std::fs::write(&file, &secret).unwrap();
    let from_file = [NONE, ("STOCKROOM_TOKEN_FILE", file.to_str().unwrap())];
    let ran = client.run_as(&from_file, &["whoami"]).await;
    assert_eq!(ran.done().trim(), "script (viewer)");
    shop.send(shop.request(Method::DELETE, &row)).await.ok(204);
    let revoked = client.run_as(&from_file, &["whoami"]).await;
    assert!(revoked.err.contains("revoked"), "{}", revoked.err);
    let plain = [NONE, ("STOCKROOM_SERVER", "http://shop.example")];
    let plain = client.run_as(&plain, &["whoami"]).await;
    assert_eq!(plain.code, 2);
    assert!(plain.err.contains("unencrypted"), "{}", plain.err);
    let wrong = client
        .run_as(&[("STOCKROOM_TOKEN", "sr_x")], &["whoami"])
        .await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("STOCKROOM_TOKEN"), "{}", wrong.err);
}
