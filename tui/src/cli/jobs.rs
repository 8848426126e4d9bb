//! Commands for jobs: starts seed jobs, manages jobs that were started elsewhere, and follows any job until it ends.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use stockroom_common::{
    Kind, Page, Problem, document,
    job::{Job, JobRequest, JobState},
    seed::NewSeedJob,
};
use uuid::Uuid;

use super::arguments::JobAction;
use crate::{
    cli::{
        output::{eprint_line, write_out},
        shop::Shop,
    },
    io::api,
    messages::call::{Failure, Written},
    model::{paths::absolute_path, text},
};

/// How long to wait before following a job again after its event stream broke, and how many times in a row.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 30;
/// The minimum time between two lines of progress.
const PRINT_INTERVAL: Duration = Duration::from_secs(1);

impl Shop {
    /// Queues a seed job, or joins an unfinished one that loads the same rows, and follows it until it ends.
    pub(crate) async fn seed(&self, sizes: &NewSeedJob, json: bool) -> Result<(), Failure> {
        let jobs: Page<Job> = self.get("/v1/seed-jobs").await?;
        let job = match jobs.items.into_iter().find(|job| job.will_load(sizes)) {
            Some(job) => job,
            None => {
                let body = Some(document::to_value(sizes));
                self.call(Method::POST, "/v1/seed-jobs", body).await?
            }
        };
        let job = self.follow_job(&job).await?;
        eprint_line(&job.to_string());
        if json {
            write_out(&document::to_value(&job).to_string())?;
        }
        match job.state {
            JobState::Done => Ok(()),
            _ => {
                let detail = "Run the same command again to continue where the job stopped.";
                Err(Failure::Refused(Problem::new(Kind::Unavailable, detail)))
            }
        }
    }

    /// Follows a job until it ends. Shows its progress if standard error is a terminal.
    pub(crate) async fn follow_job(&self, job: &Job) -> Result<Job, Failure> {
        self.follow_with(job, |_| ()).await
    }

    /// Like [`Self::follow_job`], but also calls `on_progress` with each update. Reconnects if the connection is lost,
    /// because the job continues. Gives up after `RETRIES` attempts in a row without an update.
    async fn follow_with(
        &self,
        job: &Job,
        mut on_progress: impl FnMut(&Job),
    ) -> Result<Job, Failure> {
        let is_terminal = std::io::stderr().is_terminal();
        let path = format!("/v1/jobs/{}/events", job.id);
        let mut retries = 0;
        let job = loop {
            let mut last = None;
            let follow = self.follow(&path, None, |_, job: Option<Job>| {
                let Some(job) = job else { return true };
                if is_terminal {
                    let line = job.to_string();
                    let _ = write!(std::io::stderr(), "\r\x1b[K{}", text::clean(&line));
                }
                on_progress(&job);
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
        Ok(job)
    }

    /// Follows a job until it succeeds.
    ///
    /// # Errors
    /// If the job fails, is cancelled, or can no longer be followed.
    pub(crate) async fn finish_job(&self, job: &Job) -> Result<Job, Failure> {
        require_success(self.follow_job(job).await?)
    }

    /// Follows a job and prints it. If standard output is not a terminal, also prints its progress at most once a
    /// second, so that a script does not have to wait for the end.
    async fn follow_out(&self, job: &Job, json: bool) -> Result<(), Failure> {
        // JSON output is a single document, printed at the end.
        if json || std::io::stdout().is_terminal() {
            return print(&self.finish_job(job).await?, json);
        }
        let mut written: Option<Instant> = None;
        let job = self.follow_with(job, |job| {
            let is_due = written.is_none_or(|at| at.elapsed() >= PRINT_INTERVAL);
            if is_due && !job.state.is_final() {
                written = Some(Instant::now());
                // If this fails, the final `print` fails too and returns the error.
                let _ = print(job, false);
            }
        });
        print(&require_success(job.await?)?, false)
    }

    pub(crate) async fn jobs(&self, action: JobAction) -> Result<(), Failure> {
        match action {
            JobAction::List { json } => {
                let jobs: Page<Job> = self.get("/v1/jobs").await?;
                jobs.items.iter().try_for_each(|job| print(job, json))
            }
            JobAction::Show { id, json } => {
                print(&self.get(&format!("/v1/jobs/{id}")).await?, json)
            }
            JobAction::Follow { id, json } => {
                let job: Job = self.get(&format!("/v1/jobs/{id}")).await?;
                self.follow_out(&job, json).await
            }
            JobAction::Cancel { id } => {
                let path = format!("/v1/jobs/{id}");
                let job: Job = self.call(Method::DELETE, &path, None).await?;
                eprint_line(&format_job(&job));
                Ok(())
            }
            JobAction::Apply { id, json } => {
                let path = format!("/v1/jobs/{id}/apply");
                let job: Job = self.call(Method::POST, &path, None).await?;
                print(&self.finish_job(&job).await?, json)
            }
            JobAction::Save { id, file } => self.save(id, &file).await,
        }
    }

    /// Saves the file of an export job.
    async fn save(&self, id: Uuid, file: &Path) -> Result<(), Failure> {
        let http = self.http().await?;
        let path = format!("/v1/jobs/{id}/file");
        if file == Path::new("-") {
            let written = api::download_to(&http, &path, tokio::io::stdout()).await;
            return written.map(|_| ());
        }
        let name = absolute_path(&file.to_string_lossy());
        let written = api::download(&http, &path, name).await?;
        let written: Written = written.read().map_err(Failure::NoAnswer)?;
        eprint_line(&format!("{}: {}", written.file, text::bytes(written.bytes)));
        Ok(())
    }
}

fn print(job: &Job, json: bool) -> Result<(), Failure> {
    if json {
        write_out(&document::to_value(job).to_string())
    } else {
        write_out(&format_job(job))
    }
}

fn format_job(job: &Job) -> String {
    let mut line = format!("{}  {}: {job}", job.id, job.request);
    if let (Some(report), JobRequest::Import(import)) = (&job.report, &job.request) {
        let counts = super::transfer::counts(report);
        line.push_str(&if import.dry_run {
            format!("; preview: {counts}")
        } else {
            format!("; {counts}")
        });
    }
    text::clean(&line).into_owned()
}

fn require_success(job: Job) -> Result<Job, Failure> {
    match (job.state, job.problem) {
        (JobState::Done, problem) => Ok(Job { problem, ..job }),
        (_, Some(problem)) => Err(Failure::Refused(problem)),
        (_, None) => {
            let detail = format!("The job ({}) was cancelled.", job.request);
            Err(Failure::Refused(Problem::new(Kind::Conflict, detail)))
        }
    }
}
