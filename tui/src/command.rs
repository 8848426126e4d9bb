//! The client as a command: what the tabs do, for scripts. Data goes to standard output, talk to
//! standard error.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use reqwest::Method;
use serde::de::DeserializeOwned;
use stockroom_common::{
    Kind, Page, Problem, document,
    seed::{NewSeedJob, SeedJob, SeedState},
};

use crate::{
    api::{self, Server, StreamEvent},
    event::{Answer, Call, Failure, Owner, Ticket},
    keys,
    local::LocalServer,
    settings::{Command, Config, Settings},
    text,
};

/// What the exit codes say; 2 is clap's too.
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
/// How long after the stream of events broke the job is asked for again, and how often.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 30;

/// Runs a command; its exit code is 0 where it was done, 1 where it was refused, 3 where the server
/// cannot be reached.
pub async fn run(settings: &Settings, command: Command) -> ExitCode {
    let config = match Config::read() {
        Ok(config) => config,
        Err(reason) => {
            say(&reason);
            return ExitCode::from(USAGE);
        }
    };
    if let Command::Keys { markdown } = command {
        return match config.keymap() {
            Ok(map) => {
                let page = match markdown {
                    true => keys::markdown(&map),
                    false => keys::plain(&map),
                };
                let _ = std::io::stdout().write_all(page.as_bytes());
                ExitCode::SUCCESS
            }
            Err(reason) => {
                say(&reason);
                ExitCode::from(USAGE)
            }
        };
    }
    let done = match settings.server(&config) {
        Ok((server, local)) => {
            let shop = Shop { server, local };
            match command {
                Command::Seed { sizes, json } => shop.seed(&sizes, json).await,
                Command::Keys { .. } => Ok(()),
            }
        }
        Err(reason) => Err(Failure::Unreachable(reason)),
    };
    let failure = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    say(failure.message());
    match failure {
        Failure::Refused(_) => ExitCode::from(REFUSED),
        Failure::Unreachable(_) | Failure::NoAnswer(_) => ExitCode::from(UNREACHABLE),
    }
}

struct Shop {
    server: Server,
    local: Option<LocalServer>,
}

impl Shop {
    /// Puts a seed job into the queue and follows it to its end.
    async fn seed(&self, sizes: &NewSeedJob, json: bool) -> Result<(), Failure> {
        let jobs: Page<SeedJob> = self.call(Method::GET, "/v1/seed-jobs", None).await?;
        let job = match jobs.items.into_iter().find(|job| sizes.is_done_by(job)) {
            Some(job) => job,
            None => {
                let body = Some(document::to_value(sizes));
                self.call(Method::POST, "/v1/seed-jobs", body).await?
            }
        };
        let is_terminal = std::io::stderr().is_terminal();
        let path = format!("/v1/seed-jobs/{}/events", job.id);
        let mut retries = 0;
        let job = loop {
            let mut last = None;
            let follow = self.follow(&path, |job: SeedJob| {
                if is_terminal {
                    let line = job.to_string();
                    let _ = write!(std::io::stderr(), "\r\x1b[K{}", text::clean(&line));
                }
                last = Some(job);
            });
            let broke = follow.await;
            if let Some(job) = last {
                retries = 0;
                if job.state.is_final() {
                    break job;
                }
            }
            retries += 1;
            if retries > RETRIES {
                return Err(broke);
            }
            tokio::time::sleep(RETRY).await;
        };
        if is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        say(&job.to_string());
        if json {
            let _ = writeln!(std::io::stdout(), "{}", document::to_value(&job));
        }
        match job.state {
            SeedState::Done => Ok(()),
            _ => {
                let detail = "The same command goes on where the job stopped.";
                Err(Failure::Refused(Problem::new(Kind::Unavailable, detail)))
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<T, Failure> {
        let (client, base) = self.client().await?;
        // Nobody else waits for an answer here.
        let ticket = Ticket {
            owner: Owner::Seed,
            run: 0,
        };
        let call = Call {
            body,
            ..Call::new(ticket, method, path)
        };
        let answer = api::exchange(&client, format!("{base}{path}"), call).await?;
        answer.read().map_err(Failure::NoAnswer)
    }

    /// Follows a stream of events; says why it ended.
    async fn follow<T: DeserializeOwned>(&self, path: &str, mut tell: impl FnMut(T)) -> Failure {
        let (client, base) = match self.client().await {
            Ok(client) => client,
            Err(failure) => return failure,
        };
        let read = |event: StreamEvent<'_>| {
            let body = event.data.as_bytes().to_vec();
            let answer = Answer {
                body,
                ..Answer::default()
            };
            let read = answer.read();
            let is_read = read.is_ok();
            read.into_iter().for_each(&mut tell);
            is_read
        };
        api::stream(&client, format!("{base}{path}"), None, read).await
    }

    async fn client(&self) -> Result<(reqwest::Client, String), Failure> {
        if let Some(local) = &self.local {
            local.ensure().await.map_err(Failure::Unreachable)?;
        }
        let client = self.server.client();
        client.map_err(|_| Failure::Unreachable("TLS cannot be set up.".into()))
    }
}

fn say(line: &str) {
    // Without anybody to read it there is nothing to say.
    let _ = writeln!(std::io::stderr(), "{}", text::clean(line));
}
