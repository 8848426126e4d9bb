//! Jobs continue after the connection is lost and after the client that started them has quit.

use std::net::SocketAddr;

use reqwest::Method;
use stockroom_tests::{Shop, Terminal, eventually, proxy::Proxy, temp_dir};

use super::commands::Client;

/// Blocks exports with a job row that claims to be a running export, until that row is deleted.
async fn hold_exports(shop: &Shop) {
    sqlx::query(
        "insert into jobs (id, request, state, progress, cancel_requested, created_at, beat_at, actor, runner)
        values (gen_random_uuid(),
            '{\"kind\": \"export\", \"resource\": \"orders\", \"format\": \"csv\", \"name\": \"other.csv\"}',
            'running', '[]', false, now() - interval '1 hour', now() + interval '1 hour', 'grace',
            gen_random_uuid())",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
}

async fn release_exports(shop: &Shop) {
    sqlx::query("delete from jobs where actor = 'grace'")
        .execute(&shop.pool)
        .await
        .unwrap();
}

async fn exported(shop: &Shop) -> String {
    let response = shop.request(Method::GET, "/v1/customers/export?format=csv");
    response.send().await.unwrap().text().await.unwrap()
}

/// Exports the customers to this file.
fn export(terminal: &mut Terminal, file: &str) {
    terminal.send("2");
    terminal.sees("ada@example.org");
    terminal.send("x");
    terminal.sees("Export to");
    terminal.send(&format!("\x15{file}\r"));
    terminal.sees("Exporting");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_is_saved_by_the_next_client_after_the_first_has_quit() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    hold_exports(&shop).await;
    let home = temp_dir("export-outlives");
    let file = home.path().join("customers.csv");
    let name = file.to_str().unwrap();
    let open = || Terminal::open(140, 30, &["--server", &shop.base], home.path());
    let mut terminal = open();
    export(&mut terminal, name);
    terminal.send("5");
    terminal.sees("export customers.csv");
    terminal.sees("queued");
    // An export that is requested immediately before the client quits is saved as well.
    let other = home.path().join("other.csv");
    terminal.send("2");
    terminal.sees("ada@example.org");
    terminal.send(&format!("x\x15{}\rq", other.display()));
    assert!(terminal.wait());
    release_exports(&shop).await;
    assert!(!file.exists());
    let mut terminal = open();
    for file in [file, other] {
        eventually("the file", || file.exists().then_some(()));
        let rows = std::fs::read_to_string(&file).unwrap();
        assert_eq!(rows, exported(&shop).await);
    }
    terminal.sees("Exported to ");
    terminal.send("q");
    assert!(terminal.wait());
    // No export is awaited any more.
    let waiting = home.path().join(".local/state/stockroom/exports");
    assert_eq!(std::fs::read_dir(waiting).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_continues_while_the_connection_is_lost() {
    let shop = Shop::open().await;
    shop.customer("ada@example.org").await;
    hold_exports(&shop).await;
    let address: SocketAddr = shop.base.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(address).await;
    let home = temp_dir("export-lost");
    let file = home.path().join("customers.csv");
    let base = format!("http://{}", proxy.address);
    let mut terminal = Terminal::open(140, 30, &["--server", &base], home.path());
    export(&mut terminal, file.to_str().unwrap());
    proxy.set(|faults| faults.refuses = true);
    proxy.cut();
    // The next key dismisses the previous message.
    terminal.send("j");
    terminal.sees("offline");
    release_exports(&shop).await;
    proxy.heal();
    eventually("the file", || file.exists().then_some(()));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        exported(&shop).await
    );
    terminal.send("q");
    assert!(terminal.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn job_commands_show_follow_apply_and_save() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let file = client.home.path().join("new.csv");
    std::fs::write(&file, "name\nTea\nCoffee\n").unwrap();
    let name = file.to_str().unwrap();
    let tried = client
        .run(&["categories", "import", name, "--dry-run"])
        .await;
    assert!(tried.err.contains("2 new, 0 changed"), "{}", tried.err);
    let jobs = client.run(&["jobs", "list", "--json"]).await.lines();
    let id = jobs[0]["id"].as_str().unwrap();
    let shown = client.run(&["jobs", "show", id]).await.done();
    assert!(shown.contains("check new.csv: done"), "{shown}");
    let only_looks = client.run(&["--read-only", "jobs", "apply", id]).await;
    assert_eq!(only_looks.code, 1);
    let done = client.run(&["jobs", "apply", id]).await.done();
    assert!(done.contains("import new.csv: done"), "{done}");
    let again = client.run(&["jobs", "apply", id]).await;
    assert_eq!(again.code, 1);
    let export = shop.request(Method::POST, "/v1/categories/export?format=csv");
    let export = shop.send(export).await.ok(202);
    let id = export["id"].as_str().unwrap();
    let followed = client.run(&["jobs", "follow", id, "--json"]).await.json();
    assert_eq!(followed["state"], "done");
    let rows = client.run(&["jobs", "save", id]).await.done();
    assert!(
        rows.contains(",Coffee,") && rows.lines().count() == 3,
        "{rows}"
    );
    let saved = client.home.path().join("saved.csv");
    let name = saved.to_str().unwrap();
    client
        .run(&["--read-only", "jobs", "save", id, name])
        .await
        .done();
    assert_eq!(std::fs::read_to_string(saved).unwrap(), rows);
    let ended = client.run(&["jobs", "cancel", id]).await;
    assert!(
        ended.err.contains("export categories: done"),
        "{}",
        ended.err
    );
    let none = client
        .run(&["jobs", "show", "0192d3f0-0000-7000-8000-000000000000"])
        .await;
    assert_eq!(none.code, 1);
}
