//! Runs the examples of the README exactly as printed.

use stockroom_tests::{Shop, admin_token};

const README: &str = include_str!("../../README.md");

/// The shell blocks that call the API, in order.
fn examples() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| block.contains("curl ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_examples_work() {
    let shop = Shop::open().await;
    let examples = examples();
    assert!(examples.len() >= 3, "the README lost its examples");
    let script = examples
        .join("\n")
        .replace("http://127.0.0.1:7878", &shop.base)
        .replace("~/.local/share/stockroom/token", "token")
        // `-f` makes curl fail if the server refuses the request.
        .replace("command curl", "command curl -f");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), admin_token().expose()).unwrap();
    let output = tokio::process::Command::new("bash")
        .current_dir(folder.path())
        .args(["-euo", "pipefail", "-c", &script])
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{shown}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let orders = shop.get("/v1/orders").await.ok(200);
    assert_eq!(orders["items"][0]["status"], "paid");
}
