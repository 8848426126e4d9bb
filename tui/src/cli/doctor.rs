//! `stockroom doctor`: the first thing to run if something is wrong.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stockroom_common::{Kind, Problem, stats::Stats};

use super::table::{LEFT, aligned};
use crate::{
    cli::{output::write_out, settings::Settings, shop::Shop},
    io::{log, server::Server},
    messages::call::Failure,
    model::text,
    settings::{config::Config, memory::Memory, theme::ColorSupport},
};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of a check.
struct Finding {
    what: &'static str,
    is_well: bool,
    detail: String,
}

/// Runs all checks and prints the findings; fails if any check fails. `broken` is the error in `config.toml`; `config`
/// then contains the defaults.
pub(crate) async fn run(
    settings: &Settings,
    (config, broken): (&Config, Option<String>),
    json: bool,
) -> Result<(), Failure> {
    let mut findings = vec![ok(
        "client",
        format!("stockroom {}", env!("CARGO_PKG_VERSION")),
    )];
    findings.extend(files(settings, config, broken));
    findings.push(terminal());
    let checked = settings.check_folder();
    match checked.and_then(|()| settings.server(config)) {
        Ok((server, local)) => {
            if let Some(local) = &local {
                findings.push(sibling(local.binary()));
            }
            match settings.credentials(&server, local.as_ref()) {
                Ok(credentials) => {
                    let shop = Shop {
                        server,
                        credentials,
                        local,
                    };
                    findings.extend(health(&shop).await);
                }
                Err(reason) => findings.push(wrong("token", reason)),
            }
        }
        Err(reason) => findings.push(wrong("server", reason)),
    }
    if json {
        let findings: Vec<Value> = findings
            .iter()
            .map(|found| json!({"what": found.what, "ok": found.is_well, "detail": found.detail}))
            .collect();
        write_out(&Value::Array(findings).to_string())?;
    } else {
        let lines: Vec<_> = findings
            .iter()
            .map(|found| {
                let status = if found.is_well { "ok" } else { "WRONG" };
                let detail = text::clean(&found.detail).into_owned();
                vec![
                    (status.into(), LEFT),
                    (found.what.into(), LEFT),
                    (detail, LEFT),
                ]
            })
            .collect();
        aligned(&lines)?;
    }
    match findings.iter().filter(|found| !found.is_well).count() {
        0 => Ok(()),
        1 => Err(problem("1 problem found.".into())),
        many => Err(problem(format!("{many} problems found."))),
    }
}

const fn ok(what: &'static str, detail: String) -> Finding {
    Finding {
        what,
        is_well: true,
        detail,
    }
}

const fn wrong(what: &'static str, detail: String) -> Finding {
    Finding {
        what,
        is_well: false,
        detail,
    }
}

fn problem(detail: String) -> Failure {
    Failure::Refused(Problem::new(Kind::Unavailable, detail))
}

fn files(settings: &Settings, config: &Config, broken: Option<String>) -> Vec<Finding> {
    let shown = |path: Option<PathBuf>| match path {
        Some(path) if path.exists() => path.display().to_string(),
        Some(path) => format!("{} (not there)", path.display()),
        None => "the home folder is unknown".into(),
    };
    let checked = broken.map_or_else(|| settings.preferences(config).map(|_| ()), Err);
    let found = match checked {
        Ok(()) => ok("settings", shown(Config::path())),
        Err(reason) => wrong("settings", reason),
    };
    vec![
        found,
        match Memory::read() {
            Ok(_) => ok("memory", shown(Memory::path())),
            Err(fault) => wrong("memory", fault),
        },
        ok("log", shown(log::path())),
    ]
}

fn terminal() -> Finding {
    let term = std::env::var("TERM").unwrap_or_else(|_| "unknown".into());
    let colours = match ColorSupport::detect(|name| std::env::var(name).ok()) {
        ColorSupport::None => "no colours",
        ColorSupport::Sixteen => "16 colours",
        ColorSupport::Colors256 => "256 colours",
        ColorSupport::True => "16 million colours",
    };
    let size = match crossterm::terminal::size() {
        Ok((columns, rows)) => format!("{columns}×{rows}"),
        Err(_) => "not a terminal".into(),
    };
    ok("terminal", format!("{term}, {size}, {colours}"))
}

fn sibling(binary: Option<PathBuf>) -> Finding {
    match binary {
        Some(path) if Path::is_file(&path) => ok("local server", path.display().to_string()),
        Some(path) => wrong("local server", format!("{} is not there", path.display())),
        None => wrong("local server", "the path of this program is unknown".into()),
    }
}

/// Checks the server. A local server that does not run is not started.
async fn health(shop: &Shop) -> Vec<Finding> {
    if let (Server::Socket(path), Some(local)) = (&shop.server, &shop.local)
        && !local.answers()
    {
        let detail = format!("{} (not running; the client starts it)", path.display());
        return vec![ok("server", detail)];
    }
    let asked = Instant::now();
    let ready = tokio::time::timeout(PATIENCE, shop.get::<Value>("/readyz")).await;
    let took = asked.elapsed().as_millis().max(1);
    let name = match &shop.server {
        Server::Url(_) => shop.server.to_string(),
        Server::Socket(path) => path.display().to_string(),
    };
    let mut findings = match ready {
        Ok(Ok(ready)) => {
            let version = ready["version"].as_str().unwrap_or("unknown").to_owned();
            let is_same = version == env!("CARGO_PKG_VERSION");
            let detail = format!("{name}: ready in {took} ms, version {version}");
            vec![if is_same {
                ok("server", detail)
            } else {
                wrong("server", format!("{detail}, not the client's"))
            }]
        }
        Ok(Err(failure)) => return vec![wrong("server", format!("{name}: {}", failure.message()))],
        Err(_) => {
            return vec![wrong(
                "server",
                format!("{name}: no answer in {PATIENCE:?}"),
            )];
        }
    };
    match shop.get::<Stats>("/v1/stats?months=1").await {
        Ok(stats) => {
            let cache = format!("{}, {} hits", stats.cache.store, stats.cache.hits);
            findings.push(if stats.cache.store == "off" || stats.cache.is_up {
                ok("cache", cache)
            } else {
                wrong("cache", format!("{cache}, down: reads go to the database"))
            });
            let counts = &stats.counts;
            findings.push(ok(
                "shop",
                format!(
                    "{} orders, {} customers, {} products, {} categories",
                    text::integer(counts.orders.value),
                    text::integer(counts.customers.value),
                    text::integer(counts.products.value),
                    text::integer(counts.categories.value)
                ),
            ));
        }
        Err(failure) => findings.push(wrong("shop", failure.message().to_owned())),
    }
    findings
}
