//! The client as a command: data on standard output, messages on standard error, and exit codes that report the
//! outcome.

use std::process::Stdio;

use serde_json::{Value, json};
use stockroom_tests::{Shop, temp_dir};

pub(crate) use super::runner::Client;

#[tokio::test(flavor = "multi_thread")]
async fn commands_create_and_read_rows() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let tea = client
        .run(&[
            "categories",
            "create",
            "--set",
            "name=Tea",
            "--set",
            "description=hot \u{1b}[31m",
            "--json",
        ])
        .await
        .json();
    let id = tea["id"].as_str().unwrap();
    let table = client.run(&["categories", "list"]).await.done();
    // Control characters in the data are made harmless here too.
    assert!(
        table.starts_with("Name") && table.contains("hot ^[[31m") && table.contains(id),
        "{table}"
    );
    let document =
        json!({"category_id": id, "sku": "007", "name": "Green", "price_minor": 450, "stock": 9});
    let product = client
        .run_with(
            &[
                "products", "create", "--file", "-", "--set", "stock=12", "--json",
            ],
            &document.to_string(),
        )
        .await
        .json();
    assert_eq!(
        (&product["sku"], &product["stock"]),
        (&json!("007"), &json!(12))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_change_describe_and_delete_rows() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let product = shop.product("007", 12).await;
    let id = product["id"].as_str().unwrap();
    let changed = client
        .run(&[
            "products",
            "update",
            id,
            "--set",
            "price_minor=500",
            "--set",
            "active=false",
            "--if-version",
            "1",
            "--json",
        ])
        .await
        .json();
    assert_eq!(
        (&changed["price_minor"], &changed["active"]),
        (&json!(500), &json!(false))
    );
    let late = client
        .run(&[
            "products",
            "update",
            id,
            "--set",
            "name=x",
            "--if-version",
            "1",
        ])
        .await;
    assert_eq!((late.code, late.out.as_str()), (1, ""));
    assert!(late.err.contains("version 2"), "{}", late.err);
    let nothing = client.run(&["products", "update", id]).await;
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("--set FIELD=VALUE"), "{}", nothing.err);
    let shown = client.run(&["products", "get", id]).await.done();
    assert!(!shown.contains("with this product"), "{shown}");
    assert!(
        shown.contains("Category     Category of 007") && shown.contains("5.00"),
        "{shown}"
    );
    let reported = client.run(&["products", "history", id]).await.done();
    assert!(
        reported.contains("update\n    active: true → false\n    price: 1250 → 500"),
        "{reported}"
    );
    let missing = client
        .run(&[
            "products",
            "delete",
            id,
            "0192d3f0-0000-7000-8000-000000000000",
        ])
        .await;
    assert_eq!(missing.code, 1);
    assert!(
        missing.err.contains("1 deleted, 1 refused."),
        "{}",
        missing.err
    );
    let gone = client.run(&["products", "get", id, "--json"]).await;
    assert_eq!(gone.code, 1);
    let wrong = client
        .run(&["products", "create", "--set", "colour=red"])
        .await;
    assert!(
        wrong.err.contains("there is no column `colour`"),
        "{}",
        wrong.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn list_command_prints_a_table_csv_or_json() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let (product, customer) = (
        shop.product("A-1", 900).await,
        shop.customer("ada@example.org").await,
    );
    for _ in 0..3 {
        shop.order(&customer, &product, 2).await;
    }
    let orders = client
        .run(&["orders", "list", "--status", "pending", "--json"])
        .await
        .lines();
    assert_eq!(orders.len(), 3);
    let two = client.run(&["orders", "list", "--limit", "2"]).await;
    assert!(two.err.contains("There are more"), "{}", two.err);
    let table = two.done();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.contains("Ada Lovelace") && table.contains("25.00"),
        "{table}"
    );
    let csv = client.run(&["orders", "list", "--csv"]).await.done();
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .starts_with("id,number,version,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 4);
    for n in 0..230 {
        shop.category(&format!("C{n:03}")).await;
    }
    let all = client
        .run(&["categories", "list", "--all", "--sort", "-name", "--json"])
        .await
        .lines();
    assert_eq!((all.len(), &all[230]["name"]), (231, &json!("C000")));
    let found = client
        .run(&["categories", "list", "-q", "c00", "--json"])
        .await
        .lines();
    assert_eq!(found.len(), 10);
    assert_eq!(
        client
            .run(&["orders", "list", "--json", "--csv"])
            .await
            .code,
        2
    );
    assert_eq!(
        client
            .run(&["orders", "list", "--status", "lost"])
            .await
            .code,
        1
    );
    let nowhere = Client {
        base: "http://127.0.0.1:1".into(),
        home: temp_dir("nowhere"),
    };
    assert_eq!(nowhere.run(&["orders", "list"]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_import_commands_round_trip_files() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    shop.category("Tea").await;
    client
        .run(&["categories", "export", "categories.csv"])
        .await
        .done();
    let again = client
        .run(&["categories", "export", "categories.csv"])
        .await;
    assert!(again.err.contains("already exists"), "{}", again.err);
    let file = client.home.path().join("categories.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(client.run(&["categories", "export"]).await.done(), text);
    std::fs::write(&file, text.replace("Tea", "Teas")).unwrap();
    let tried = client
        .run(&["categories", "import", "categories.csv", "--dry-run"])
        .await;
    assert!(tried.err.contains("1 changed"), "{}", tried.err);
    assert_eq!(
        shop.get("/v1/categories").await.ok(200)["items"][0]["name"],
        "Tea"
    );
    client
        .run(&["categories", "import", "categories.csv"])
        .await
        .done();
    assert_eq!(
        shop.get("/v1/categories").await.ok(200)["items"][0]["name"],
        "Teas"
    );
    std::fs::write(&file, "name\n\nCoffee\n\"\"\n").unwrap();
    let refused = client
        .run(&["categories", "import", "categories.csv", "--json"])
        .await;
    assert_eq!(refused.code, 1);
    let report: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(
        (&report["created"], &report["failed"]),
        (&json!(1), &json!(1))
    );
    assert!(refused.err.contains("line 4: "), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_command_streams_json_lines() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    shop.category("Tea").await;
    let mut command = client.command(&["changes", "--after", "0", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        line
    });
    let change: Value = serde_json::from_str(&first.await.unwrap()).unwrap();
    assert_eq!(
        (&change["position"], &change["row"]["name"]),
        (&json!(1), &json!("Tea"))
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_show_partitions_jobs_and_stats() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let seed = [
        "seed",
        "--orders",
        "50",
        "--customers",
        "5",
        "--products",
        "5",
        "--categories",
        "1",
        "--months",
        "3",
    ];
    client.run(&seed).await.done();
    let jobs = client.run(&["jobs", "list"]).await.done();
    assert!(
        jobs.contains("seed 1: done: orders 50 of 50") && jobs.lines().count() == 1,
        "{jobs}"
    );
    let partitions = client.run(&["partitions", "list", "--json"]).await.lines();
    let oldest = partitions
        .iter()
        .rev()
        .find(|one| one["family"] == "orders")
        .unwrap();
    let name = oldest["name"].as_str().unwrap();
    client.run(&["partitions", "archive", name]).await.done();
    let table = client.run(&["partitions", "list"]).await.done();
    assert!(table.contains("archived"), "{table}");
    client.run(&["partitions", "restore", name]).await.done();
    let none = client.run(&["partitions", "archive", "../orders"]).await;
    assert_eq!(none.code, 1);
    let figures = client.run(&["stats", "--months", "3"]).await.done();
    assert_eq!(figures.lines().count(), 4, "{figures}");
    let only_looks = client
        .run(&["--read-only", "partitions", "archive", name])
        .await;
    assert_eq!(only_looks.code, 1);
    assert!(
        only_looks.err.contains("This client is read-only"),
        "{}",
        only_looks.err
    );
}
