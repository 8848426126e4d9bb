//! Runs the examples of the README exactly as printed.

use stockroom_tests::Shop;

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
        .replace("http://127.0.0.1:7878", &shop.base);
    let folder = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new("bash")
        .current_dir(folder.path())
        // `-f` makes curl fail if the server refuses the request.
        .args([
            "-euo",
            "pipefail",
            "-c",
            &format!("curl() {{ command curl -f \"$@\"; }}\n{script}"),
        ])
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
