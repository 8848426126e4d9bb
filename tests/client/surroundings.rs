//! The client's environment: its settings, its folder and its terminal.

use std::process::{Command, Stdio};

use rustix::process::{Pid, test_kill_process};
use stockroom_tests::{Shop, Terminal, binary, eventually, temp_dir};

use crate::commands::Client;

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_settings_are_an_error_and_not_ignored() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let folder = client.home.path().join(".config/stockroom");
    std::fs::create_dir_all(&folder).unwrap();
    for text in [
        b"# caf\xe9\nread_only = true\n".as_slice(),
        b"\xff\xfer\0e\0",
        b"read_only = perhaps\n",
        b"r\0e\0a\0d\0",
    ] {
        std::fs::write(folder.join("config.toml"), text).unwrap();
        let ran = client.run(&["categories", "list"]).await;
        assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("config.toml"), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    std::fs::remove_file(folder.join("config.toml")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.join("config.toml")).unwrap();
    let ran = client.run(&["categories", "list"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("missing"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_unusable_settings_and_state() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let config = client.home.path().join(".config/stockroom");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "theme = \"pink\"\n").unwrap();
    let memory = client.home.path().join(".local/state/stockroom");
    std::fs::create_dir_all(&memory).unwrap();
    std::fs::write(memory.join("client.json"), "{\"lists\": broken").unwrap();
    let ran = client.run(&["doctor"]).await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    for wrong in ["pink", "client.json cannot be read"] {
        let line = ran.out.lines().find(|line| line.contains(wrong));
        let line = line.unwrap_or_else(|| panic!("{wrong}: {}", ran.out));
        assert!(line.starts_with("WRONG"), "{line}");
    }
    std::fs::remove_file(config.join("config.toml")).unwrap();
    let mut terminal = Terminal::open(80, 24, &["--server", &shop.base], client.home.path());
    terminal.sees("Saved views are not loaded");
    terminal.send("q");
    assert!(terminal.wait());
    let kept = std::fs::read_to_string(memory.join("client.json.unreadable")).unwrap();
    assert_eq!(kept, "{\"lists\": broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_switches_accept_common_spellings() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let create = async |variable: &str, value: &str, name: &str| {
        let name = format!("name={name}");
        let arguments = ["categories", "create", "--set", &name];
        client.run_as(&[(variable, value)], &arguments).await
    };
    for (value, code) in [
        ("1", 1),
        ("yes", 1),
        ("ON", 1),
        ("0", 0),
        ("off", 0),
        ("", 0),
    ] {
        let ran = create("STOCKROOM_READ_ONLY", value, &format!("a{value}")).await;
        assert_eq!(ran.code, code, "{value:?}: {}", ran.err);
    }
    let ran = create("STOCKROOM_READ_ONLY", "ja", "c").await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("1, yes, on or true"), "{}", ran.err);
    for (index, user) in ["", "a\nb", &"x".repeat(300)].iter().enumerate() {
        create("USER", user, &format!("b{index}")).await.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_not_create_a_shop() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let folder = client.home.path().join("mistyped");
    let folder = folder.to_str().unwrap();
    let local = [("STOCKROOM_SERVER", "")];
    let list = ["--data-dir", folder, "orders", "list"];
    let ran = client.run_as(&local, &list).await;
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains("There is no shop in"), "{}", ran.err);
    assert!(ran.err.contains("--create"), "{}", ran.err);
    let ran = client
        .run_as(&local, &["--data-dir", folder, "doctor"])
        .await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("there is no folder"), "{}", ran.out);
    assert!(!std::path::Path::new(folder).exists());
    std::fs::write(folder, "").unwrap();
    for arguments in [&list[..], &list[..2]] {
        let ran = client.run_as(&local, arguments).await;
        assert_eq!(ran.code, 2, "{}", ran.out);
    }
    let ran = client.run_as(&local, &list).await;
    assert!(ran.err.contains("is a file"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_terminal_lists_the_commands() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let ran = client.run(&[]).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("stockroom orders list"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_found_by_number_and_days_use_the_local_time_zone() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let product = shop.product("A-1", 9).await;
    let customer = shop.customer("ada@example.org").await;
    let order = serde_json::json!({"customer_id": customer["id"], "placed_at": "2026-02-03T23:30:00Z",
        "items": [{"product_id": product["id"], "quantity": 1}]});
    let order = shop.post("/v1/orders", &order).await.ok(201);
    let number = order["number"].as_str().unwrap();
    let got = client
        .run(&["orders", "get", number, "--json"])
        .await
        .json();
    assert_eq!(got["id"], order["id"]);
    let none = client.run(&["orders", "get", "260203-2330-0000"]).await;
    assert_eq!(none.code, 1, "{}", none.err);
    assert_eq!(client.run(&["orders", "get", "nonsense"]).await.code, 2);
    // In Berlin it was already 4 February.
    let list = ["orders", "list", "--placed-from", "2026-02-04", "--json"];
    for (zone, found) in [("Europe/Berlin", 1), ("UTC", 0)] {
        let ran = client.run_as(&[("TZ", zone)], &list).await;
        assert_eq!(ran.lines().len(), found, "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_imported_from_standard_input() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let import = ["categories", "import", "-"];
    client.run_on("name\nTea\nMilk\n", &import).await.done();
    let list = ["categories", "list", "--json"];
    assert_eq!(client.run(&list).await.lines().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_its_terminal_quits_even_if_it_ignores_hangups() {
    let shop = Shop::open().await;
    let home = temp_dir("gone");
    let pid = home.path().join("pid");
    let run = format!(
        "trap '' HUP; echo $$ > {}.new; mv {0}.new {0}; exec {} --server {}",
        pid.display(),
        binary("stockroom").display(),
        shop.base
    );
    // `script` provides a separate terminal, which disappears when `script` is killed.
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", &run, "/dev/null"])
        .env("HOME", home.path())
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = home.path().join(".local/state/stockroom/client.log");
    eventually("the client", || log.exists().then_some(()));
    let client = std::fs::read_to_string(&pid).unwrap();
    let client = Pid::from_raw(client.trim().parse().unwrap()).unwrap();
    test_kill_process(client).unwrap();
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    eventually("the end of the client", || test_kill_process(client).err());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_uses_no_proxy_for_its_own_machine() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let nobody = format!("http://127.0.0.1:{}", stockroom_tests::free_port());
    let proxy = [("http_proxy", nobody.as_str()), ("HTTP_PROXY", &nobody)];
    client.run_as(&proxy, &["categories", "list"]).await.done();
    for host in ["localhost", "[::ffff:127.0.0.1]"] {
        let url = shop.base.replace("127.0.0.1", host);
        let ran = client
            .run_as(&proxy, &["--server", &url, "categories", "list"])
            .await;
        assert_eq!(ran.code, 0, "{host}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn editor_command_is_parsed_like_a_shell_would() {
    let shop = Shop::open().await;
    shop.category("Tea").await;
    let home = temp_dir("editor");
    let folder = home.path().join("My Editor");
    std::fs::create_dir_all(&folder).unwrap();
    let editor = folder.join("ed");
    std::fs::write(&editor, "#!/bin/sh\necho \"Green $1\" > \"$2\"\n").unwrap();
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let command = format!("\"{}\" tea", editor.display());
    let mut terminal = Terminal::open_as(
        &[("EDITOR", &command)],
        &["--server", &shop.base],
        home.path(),
    );
    terminal.send("4");
    terminal.sees("Tea");
    terminal.send("e");
    terminal.sees("Edit category");
    terminal.send("\x0f");
    terminal.sees("Green tea");
    terminal.send("\x13");
    terminal.sees("Saved Green tea.");
    let mut terminal = Terminal::open_as(
        &[("EDITOR", "no-such-editor --x")],
        &["--server", &shop.base],
        home.path(),
    );
    terminal.send("4");
    terminal.sees("Green tea");
    terminal.send("e");
    terminal.sees("Edit category");
    terminal.send("\x0f");
    terminal.sees("The editor");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_server_is_soon_shown_as_offline() {
    let database = stockroom_tests::database_url(&stockroom_tests::fresh_database().await);
    let node = stockroom_tests::Node::start("stockroom-server", vec![("DATABASE_URL", database)]);
    let home = temp_dir("still");
    let terminal = Terminal::open(80, 24, &["--server", &node.url("")], home.path());
    terminal.sees("connected");
    node.signal(rustix::process::Signal::STOP);
    terminal.sees("offline");
    node.signal(rustix::process::Signal::CONT);
    terminal.sees("connected");
}
