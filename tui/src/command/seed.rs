//! Seed jobs as a command.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use reqwest::Method;
use stockroom_common::{
    Kind, Page, Problem, document,
    seed::{NewSeedJob, SeedJob, SeedState},
};
use uuid::Uuid;

use super::{Shop, say, write_out};
use crate::{event::Failure, text};

/// How long after the stream of events broke the job is asked for again, and how often.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 30;

impl Shop {
    /// Puts a seed job into the queue and follows it to its end.
    pub(crate) async fn seed(&self, sizes: &NewSeedJob, json: bool) -> Result<(), Failure> {
        let jobs: Page<SeedJob> = self.get("/v1/seed-jobs").await?;
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
            let follow = self.follow(&path, None, |_, job: Option<SeedJob>| {
                let Some(job) = job else { return true };
                if is_terminal {
                    let line = job.to_string();
                    let _ = write!(std::io::stderr(), "\r\x1b[K{}", text::clean(&line));
                }
                last = Some(job);
                true
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
            write_out(&document::to_value(&job).to_string())?;
        }
        match job.state {
            SeedState::Done => Ok(()),
            _ => {
                let detail = "The same command goes on where the job stopped.";
                Err(Failure::Refused(Problem::new(Kind::Unavailable, detail)))
            }
        }
    }

    pub(crate) async fn jobs(&self, json: bool) -> Result<(), Failure> {
        let jobs: Page<SeedJob> = self.get("/v1/seed-jobs").await?;
        for job in jobs.items {
            match json {
                true => write_out(&document::to_value(&job).to_string())?,
                false => write_out(&told(&job))?,
            }
        }
        Ok(())
    }

    pub(crate) async fn cancel_job(&self, id: Uuid) -> Result<(), Failure> {
        let path = format!("/v1/seed-jobs/{id}");
        let job: SeedJob = self.call(Method::DELETE, &path, None).await?;
        say(&job.to_string());
        Ok(())
    }
}

fn told(job: &SeedJob) -> String {
    let line = format!("{}  seed {} {job}", job.id, job.request.seed);
    text::clean(&line).into_owned()
}
