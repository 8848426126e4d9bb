//! Commands about the client itself: the doctor, completions, the manual, a reader that leaves.

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Stdio},
};
use stockroom_tests::{Shop, temp_dir};

use super::runner::Client;

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_what_works_and_what_does_not() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let well = client.run(&["doctor"]).await.done();
    for words in ["client", "settings", "terminal", "ready in", "redis, "] {
        assert!(well.contains(words), "{words}:\n{well}");
    }
    let config = client.home.path().join(".config/stockroom");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "[keys]\ndelte = \"x\"\n").unwrap();
    let reported = client.run(&["doctor", "--json"]).await;
    assert_eq!(reported.code, 1);
    let findings: Value = serde_json::from_str(&reported.out).unwrap();
    let settings = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["what"] == "settings")
        .unwrap();
    assert_eq!(settings["ok"], false);
    assert!(
        settings["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean `delete`?"),
        "{settings}"
    );
    std::fs::write(config.join("config.toml"), "colour = 1\n").unwrap();
    let reported = client.run(&["doctor"]).await;
    assert!(
        reported.out.contains("WRONG  settings") && reported.out.contains("ready in"),
        "{}",
        reported.out
    );
    let refused = client.run(&["orders", "list"]).await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("config.toml"), "{}", refused.err);
    let nowhere = Client {
        base: "http://127.0.0.1:1".into(),
        home: temp_dir("nowhere"),
    };
    assert!(
        nowhere.run(&["doctor"]).await.out.contains("WRONG"),
        "nobody answers"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_are_printed() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    for shell in ["bash", "zsh", "fish"] {
        let script = client.run(&["completions", shell]).await.done();
        assert!(script.contains("partitions"), "{shell}");
    }
    let script = client.run(&["completions", "bash"]).await.done();
    let path: &Path = &client.home.path().join("completions.bash");
    std::fs::write(path, script).unwrap();
    let checked = Command::new("bash")
        .args(["-n".as_ref(), path.as_os_str()])
        .status()
        .unwrap();
    assert!(checked.success(), "bash cannot read the completions");
    assert!(
        client
            .run(&["man"])
            .await
            .done()
            .contains(".TH stockroom 1")
    );
    assert!(client.run(&["keys"]).await.done().contains("form-save"));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_succeeds_when_its_reader_stops_reading() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    for n in 0..60 {
        shop.category(&format!("C{n:03}")).await;
    }
    for arguments in [
        vec!["categories", "list", "--all"],
        vec!["categories", "list", "--all", "--json"],
        vec!["categories", "export"],
        vec!["keys"],
        vec!["changes", "--after", "0"],
    ] {
        let mut command = client.command(&arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::with_capacity(8, out), &mut line)
                .unwrap();
            child.wait_with_output().unwrap()
        });
        // One more change, for the command that waits for a change.
        shop.category(&format!("After {arguments:?}")).await;
        let output = ended.await.unwrap();
        assert!(output.status.success(), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
    let ran = client.run(&["--server", "", "categories", "list"]).await;
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    let there = client
        .run(&["categories", "export", "/nonexistent/file.csv"])
        .await;
    assert_eq!(there.code, 1, "{}", there.err);
}
