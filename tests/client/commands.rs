//! The client as a command: data on standard output, talk on standard error, exit codes that say how it
//! went.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use stockroom_tests::{Shop, binary, temp_dir};

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// The documents of each line.
    #[track_caller]
    pub(crate) fn lines(self) -> Vec<Value> {
        let out = self.done();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub(crate) struct Client {
    base: String,
    pub(crate) home: tempfile::TempDir,
}

impl Client {
    pub(crate) fn of(shop: &Shop) -> Self {
        Self {
            base: shop.base.clone(),
            home: temp_dir("commands"),
        }
    }

    /// With this in its environment, which may replace what stands there.
    pub(crate) async fn run_as(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With this on its standard input.
    pub(crate) async fn run_on(&self, input: &str, arguments: &[&str]) -> Ran {
        self.run_with(arguments, input).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("stockroom"));
        command
            .args(arguments)
            .env("STOCKROOM_SERVER", &self.base)
            .env("HOME", self.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env("TZ", "UTC")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        // The server runs on this thread as well.
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // One that reads none of it may have ended by now.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_created_and_read() {
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
    // What comes from the data is harmless here too.
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
async fn rows_are_changed_told_about_and_deleted() {
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
    let told = client.run(&["products", "history", id]).await.done();
    assert!(
        told.contains("update\n    active: true → false\n    price: 1250 → 500"),
        "{told}"
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
async fn lists_are_tables_csv_or_json() {
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
async fn lists_go_to_files_and_come_back() {
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
async fn the_shop_is_followed_as_a_stream_of_lines() {
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
async fn partitions_jobs_and_figures_are_told() {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_is_well_and_what_is_not() {
    let shop = Shop::open().await;
    let client = Client::of(&shop);
    let well = client.run(&["doctor"]).await.done();
    for words in ["client", "settings", "terminal", "ready in", "redis, "] {
        assert!(well.contains(words), "{words}:\n{well}");
    }
    let config = client.home.path().join(".config/stockroom");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "[keys]\ndelte = \"x\"\n").unwrap();
    let told = client.run(&["doctor", "--json"]).await;
    assert_eq!(told.code, 1);
    let findings: Value = serde_json::from_str(&told.out).unwrap();
    let settings = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["what"] == "settings")
        .unwrap();
    assert_eq!(settings["ok"], false);
    assert!(
        settings["words"]
            .as_str()
            .unwrap()
            .contains("did you mean `delete`?"),
        "{settings}"
    );
    std::fs::write(config.join("config.toml"), "colour = 1\n").unwrap();
    let told = client.run(&["doctor"]).await;
    assert!(
        told.out.contains("WRONG  settings") && told.out.contains("ready in"),
        "{}",
        told.out
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
async fn shells_and_manuals_are_served() {
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
async fn who_stops_reading_has_what_they_wanted() {
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
        // One more change, for those who wait for one.
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
