//! `stockroom-server seed`: a seed job without a server. This process runs the job, unless a server of the same
//! database claims it first.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use stockroom_common::{
    Kind,
    job::{Job, JobKind, JobRequest, JobState},
    seed::NewSeedJob,
};

use super::{enqueue::enqueue, load};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
    },
    jobs::{self, JobError, Outcome, Run, find},
    process::lifecycle::Phase,
    store::Store,
};

/// How often the progress is printed if standard error is a terminal.
const PRINT_INTERVAL: Duration = Duration::from_millis(250);
/// How often the progress is printed otherwise, such as to a log.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Runs a seed job. This command claims no other kind.
fn dispatch(run: Arc<Run>, request: JobRequest) -> BoxFuture<'static, Result<Outcome, JobError>> {
    async move {
        match &request {
            JobRequest::Seed(sizes) => load(&run, sizes).await,
            other => {
                let detail = format!("This command runs only seed jobs, not: {other}.");
                Err(Error::refused(Kind::Internal, detail).into())
            }
        }
    }
    .boxed()
}

/// Queues the job and works on it until it has ended, or until `stop` resolves. A stopped job stays in the queue, and
/// the same command continues it.
///
/// # Errors
/// The refusals of `POST /v1/seed-jobs`; also if the job fails or is stopped.
pub async fn command(
    store: &Store,
    request: NewSeedJob,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let jobs = jobs::of_kind(&store.database.background, JobKind::Seed).await?;
    let job = match jobs.into_iter().find(|job| job.will_load(&request)) {
        Some(job) => job,
        None => enqueue(store, &Actor::server("stockroom-server seed"), request).await?,
    };
    // After a stop, the work ends when the batches in progress are committed.
    let work = async {
        loop {
            let job = find(&store.database.background, job.id).await?;
            if job.state.is_final() || store.lifecycle.has_reached(Phase::Stopping) {
                return Ok(job);
            }
            if !jobs::run_next(store, &[JobKind::Seed], dispatch).await? {
                tokio::time::sleep(PRINT_INTERVAL).await;
            }
        }
    };
    let pass_on = async {
        stop.await;
        store.lifecycle.advance_to(Phase::Stopping);
        std::future::pending::<Result<Job>>().await
    };
    let job = tokio::select! {
        done = work => done,
        never = pass_on => never,
        never = print_progress(store, &job) => never,
    }?;
    print_result(&job);
    match job.state {
        JobState::Done => Ok(()),
        state if state.is_final() => Err(Error::refused(Kind::Unavailable, job.to_string())),
        _ => {
            let detail = "Stopped. Run the same command again to continue.";
            Err(Error::refused(Kind::Unavailable, detail))
        }
    }
}

/// Prints the progress of the job to standard error. Never returns; the caller drops it.
async fn print_progress(store: &Store, job: &Job) -> Result<Job> {
    let is_terminal = std::io::stderr().is_terminal();
    let every = if is_terminal {
        PRINT_INTERVAL
    } else {
        LOG_EVERY
    };
    loop {
        tokio::time::sleep(every).await;
        let Ok(job) = find(&store.database.background, job.id).await else {
            continue;
        };
        // Continue even if the terminal is gone.
        let _ = if is_terminal {
            write!(std::io::stderr(), "\r\x1b[K{job}")
        } else {
            writeln!(std::io::stderr(), "{job}")
        };
    }
}

fn print_result(job: &Job) {
    let start = if std::io::stderr().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    let _ = writeln!(std::io::stderr(), "{start}{job}");
}
