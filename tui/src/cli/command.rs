//! Runs the commands, which do for scripts what the tabs do for users. Data goes to standard output, messages to
//! standard error.

use std::{process::ExitCode, time::Duration};

use clap::CommandFactory;
use reqwest::Method;
use stockroom_common::{
    Category, Customer, Kind, Order, Page, Problem, Product,
    change::ChangeEvent,
    document,
    job::{Job, NamedPartitions},
    partition::Partition,
    stats::Stats,
};

pub use crate::cli::arguments::{Action, Command, JobAction, Output, PartitionAction};
use crate::{
    cli::{
        doctor, login,
        output::{eprint_line, write_out},
        rows,
        settings::Settings,
        shop::Shop,
        table::{self, LEFT, RIGHT},
    },
    messages::call::Failure,
    model::{
        labels::field_label,
        text::{self, Zone},
    },
    settings::{config::Config, keys},
};

/// The exit codes. 2 is also clap's code for wrong usage.
const REFUSED: u8 = 1;
pub const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
/// How long to wait before following a broken stream of changes again, and how many times in a row.
const FOLLOW_RETRY: Duration = Duration::from_secs(1);
const FOLLOW_RETRIES: u32 = 60;

/// Runs a command.
pub async fn run(settings: &Settings, command: Command) -> ExitCode {
    let done = match (Config::read(), command) {
        (Ok(config), command) => dispatch(settings, &config, command).await,
        // `doctor` must report a broken `config.toml`, so it runs without one.
        (Err(reason), Command::Doctor { json }) => {
            let config = Config::default();
            let done = doctor::run(settings, (&config, Some(reason)), json).await;
            done.map_err(CommandError::Failure)
        }
        (Err(reason), _) => Err(CommandError::Usage(reason)),
    };
    let (reason, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(CommandError::Usage(reason)) => (reason, USAGE),
        Err(CommandError::Failure(failure)) => {
            let code = match failure {
                Failure::Refused(_) => REFUSED,
                Failure::Unreachable(_) | Failure::NoAnswer(_) => UNREACHABLE,
            };
            let advice = match &failure {
                Failure::Refused(problem) if problem.is(Kind::Unauthenticated) => {
                    " `stockroom login` saves a token for the server."
                }
                _ => "",
            };
            (format!("{}{advice}", failure.message()), code)
        }
    };
    eprint_line(&reason);
    ExitCode::from(code)
}

/// Why a command failed.
enum CommandError {
    Usage(String),
    Failure(Failure),
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

async fn dispatch(
    settings: &Settings,
    config: &Config,
    command: Command,
) -> Result<(), CommandError> {
    if settings.is_read_only(config) && command.changes_something() {
        let reason = "This client is read-only (--read-only).";
        let refused = Problem::new(Kind::Conflict, reason);
        return Err(CommandError::Failure(Failure::Refused(refused)));
    }
    match command {
        Command::Keys { markdown } => {
            let map = config.keymap().map_err(CommandError::Usage)?;
            let page = if markdown {
                keys::markdown(&map)
            } else {
                keys::plain(&map)
            };
            return Ok(write_out(page.trim_end())?);
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Settings::command(), "stockroom", &mut script);
            return Ok(write_out(String::from_utf8_lossy(&script).trim_end())?);
        }
        Command::Man => {
            let mut page = Vec::new();
            // Writing to memory cannot fail.
            let _ = clap_mangen::Man::new(Settings::command()).render(&mut page);
            return Ok(write_out(String::from_utf8_lossy(&page).trim_end())?);
        }
        Command::Doctor { json } => return Ok(doctor::run(settings, (config, None), json).await?),
        _ => {}
    }
    let (server, local) = settings.server(config).map_err(CommandError::Usage)?;
    if let Some(local) = local.as_ref().filter(|local| !local.has_shop()) {
        let reason = match settings.check_folder() {
            Err(fault) if local.data_dir().exists() => fault,
            _ => settings.how_to_make_shop(local.data_dir()),
        };
        return Err(CommandError::Usage(reason));
    }
    let credentials = settings.credentials(&server, local.as_ref());
    let shop = Shop {
        server,
        credentials: credentials.map_err(CommandError::Usage)?,
        local,
    };
    Ok(ask(&shop, command).await?)
}

async fn ask(shop: &Shop, command: Command) -> Result<(), Failure> {
    match command {
        Command::Orders(action) => rows::run::<Order, _>(shop, action).await,
        Command::Customers(action) => rows::run::<Customer, _>(shop, action).await,
        Command::Products(action) => rows::run::<Product, _>(shop, action).await,
        Command::Categories(action) => rows::run::<Category, _>(shop, action).await,
        Command::Stats { months, json } => stats(shop, months, json).await,
        Command::Changes {
            entity,
            after,
            json,
        } => changes(shop, entity, after, json).await,
        Command::Partitions(action) => partitions(shop, action).await,
        Command::Seed { sizes, json } => shop.seed(&sizes, json).await,
        Command::Jobs(action) => shop.jobs(action).await,
        Command::Login => login::log_in(shop).await,
        Command::Logout => login::log_out(shop),
        Command::Whoami { json } => login::whoami(shop, json).await,
        // These need no server, and `dispatch` has already run them.
        Command::Keys { .. }
        | Command::Doctor { .. }
        | Command::Completions { .. }
        | Command::Man => Ok(()),
    }
}

async fn stats(shop: &Shop, months: u32, json: bool) -> Result<(), Failure> {
    let stats: Stats = shop.get(&format!("/v1/stats?months={months}")).await?;
    if json {
        return write_out(&document::to_value(&stats).to_string());
    }
    let title = |name: &str, side| (name.to_owned(), side);
    let mut lines = vec![vec![
        title("Month", LEFT),
        title("Orders", RIGHT),
        title("Revenue", RIGHT),
    ]];
    for month in &stats.months {
        let (orders, revenue) = if month.archived && month.orders == 0 {
            ("archived".to_owned(), String::new())
        } else {
            (
                text::integer(month.orders),
                text::money(month.revenue_minor),
            )
        };
        lines.push(vec![
            (text::clean(&month.month).into_owned(), LEFT),
            (orders, RIGHT),
            (revenue, RIGHT),
        ]);
    }
    table::aligned(&lines)
}

/// Follows the changes in the shop until the output can no longer be written.
async fn changes(
    shop: &Shop,
    entity: Option<String>,
    after: Option<i64>,
    json: bool,
) -> Result<(), Failure> {
    let pairs: Vec<(&str, String)> = entity
        .into_iter()
        .map(|entity| ("entity", entity))
        .collect();
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let mut last = after.map(|position| position.to_string());
    let (mut written, mut retries) = (Ok(()), 0);
    loop {
        let begun = last.clone();
        let path = format!("/v1/changes?{query}");
        let path = path.trim_end_matches('?');
        let ended = shop.follow(path, begun.as_deref(), |id, change: Option<ChangeEvent>| {
            last = id.map(str::to_owned);
            retries = 0;
            let line = change.map(|change| {
                if json {
                    document::to_value(&change).to_string()
                } else {
                    format_change(&change)
                }
            });
            if let Some(line) = line {
                written = write_out(&line);
            }
            written.is_ok()
        });
        let ended = ended.await;
        std::mem::replace(&mut written, Ok(()))?;
        // Try again: the server may come back, or another node may answer. Without a position nothing was ever
        // received, so perhaps no server exists.
        let is_refused = matches!(ended, Failure::Refused(_));
        if is_refused || last.is_none() || retries == FOLLOW_RETRIES {
            return Err(ended);
        }
        retries += 1;
        tokio::time::sleep(FOLLOW_RETRY).await;
    }
}

fn format_change(change: &ChangeEvent) -> String {
    let at = text::time(change.at, Zone::Local);
    let id = change
        .entity_id
        .map_or_else(|| "many".into(), |id| id.to_string());
    let fields: Vec<String> = change.changed.iter().map(|at| field_label(at)).collect();
    let line = format!(
        "{} {at}  {}  {} {} {id}  {}",
        change.position,
        change.author(),
        change.op.as_str(),
        change.entity,
        fields.join(", ")
    );
    text::clean(line.trim_end()).into_owned()
}

async fn partitions(shop: &Shop, action: PartitionAction) -> Result<(), Failure> {
    let (verb, names, done) = match action {
        PartitionAction::List { output } => {
            let page: Page<Partition> = shop.get("/v1/partitions").await?;
            return list_partitions(&page.items, output);
        }
        PartitionAction::Archive { names } => ("archive", names, "archived"),
        PartitionAction::Restore { names } => ("restore", names, "in use"),
        PartitionAction::Delete { names } => ("delete", names, "deleted"),
    };
    let body = document::to_value(&NamedPartitions {
        names: names.clone(),
    });
    let path = format!("/v1/partitions/{verb}");
    let job: Job = shop.call(Method::POST, &path, Some(body)).await?;
    shop.finish_job(&job).await?;
    for name in names {
        eprint_line(&format!("{name} is {done}."));
    }
    Ok(())
}

fn list_partitions(partitions: &[Partition], output: Output) -> Result<(), Failure> {
    if output.json {
        let mut lines = partitions
            .iter()
            .map(|one| document::to_value(one).to_string());
        return lines.try_for_each(|line| write_out(&line));
    }
    let cells = partitions.iter().map(|one| {
        vec![
            (one.name.clone(), LEFT),
            (one.state.as_str().to_owned(), LEFT),
            (one.rows.to_string(), RIGHT),
            ((one.bytes + one.index_bytes).to_string(), RIGHT),
        ]
    });
    let titles = [
        ("name", LEFT),
        ("state", LEFT),
        ("rows", RIGHT),
        ("bytes", RIGHT),
    ];
    let titles = titles
        .map(|(title, side)| (title.to_owned(), side))
        .to_vec();
    let lines: Vec<Vec<(String, bool)>> = std::iter::once(titles).chain(cells).collect();
    if output.csv {
        table::csv(lines.into_iter().map(|line| {
            let cells = line.into_iter().map(|(cell, _)| cell);
            cells.collect()
        }))
    } else {
        table::aligned(&lines)
    }
}
