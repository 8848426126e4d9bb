//! Runs the jobs of the queue, one of a kind at a time, and saves their heartbeats and progress.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use stockroom_common::{
    Id, Kind, Problem,
    job::{Job, JobKind, JobRequest, JobState},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    cleanup,
    outcome::Outcome,
    queue::{self, Claimed},
    run::{JobError, Run, StopReason},
};
use crate::{
    http::error::{Error, Result},
    process::lifecycle::Phase,
    store::Store,
};

/// How often a server looks for jobs that were queued on another server or left by one.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often the heartbeat and the progress of a job are saved.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// How many times a job is taken over before it is given up.
const MAX_TAKEOVERS: i32 = 5;

/// The function that does the work of a job. It is passed in, because the queue must not know the kinds of work.
pub(crate) type Dispatch =
    fn(Arc<Run>, JobRequest) -> BoxFuture<'static, Result<Outcome, JobError>>;

/// Runs jobs until the server stops, and then waits for those that still run.
pub(crate) async fn run(store: Store, dispatch: Dispatch) {
    let turns = JobKind::ALL.map(|kind| (kind, Arc::new(Semaphore::new(1))));
    let mut running = JoinSet::new();
    while !store.lifecycle.has_reached(Phase::Stopping) {
        while let Some(turn) = next(&store, &turns, dispatch).await {
            running.spawn(turn);
        }
        tokio::select! {
            () = store.jobs.queued.notified() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            Some(_) = running.join_next() => {}
            () = store.lifecycle.until(Phase::Stopping) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Claims the next job of a kind that this server does not run already, if any.
async fn next(
    store: &Store,
    turns: &[(JobKind, Arc<Semaphore>)],
    dispatch: Dispatch,
) -> Option<impl Future<Output = ()> + use<>> {
    let free = turns
        .iter()
        .filter(|(_, turn)| turn.available_permits() > 0);
    let kinds: Vec<JobKind> = free.map(|(kind, _)| *kind).collect();
    let (runner, claimed) = match claim(store, &kinds).await {
        Ok(claimed) => claimed?,
        Err(error) => {
            tracing::warn!(%error, "the job queue cannot be read");
            return None;
        }
    };
    let kind = claimed.job.request.kind();
    let (_, turn) = turns.iter().find(|(of, _)| *of == kind)?;
    let turn = turn.clone().try_acquire_owned().ok()?;
    let store = store.clone();
    Some(async move {
        let _turn: OwnedSemaphorePermit = turn;
        run_claimed(&store, runner, claimed, dispatch).await;
    })
}

/// Runs the next job of these kinds until it ends or the server stops. Returns `false` if no job is waiting.
///
/// # Errors
/// If the database cannot be reached. Errors of the job itself are saved in the database.
pub(crate) async fn run_next(store: &Store, kinds: &[JobKind], dispatch: Dispatch) -> Result<bool> {
    match claim(store, kinds).await? {
        Some((runner, claimed)) => {
            run_claimed(store, runner, claimed, dispatch).await;
            Ok(true)
        }
        None => Ok(false),
    }
}

async fn claim(store: &Store, kinds: &[JobKind]) -> Result<Option<(Uuid, Claimed)>> {
    let runner: Uuid = Id::<Job>::mint(store.options.clock.now(), rand::random()).uuid();
    let claimed = queue::claim(&store.database.background, runner, kinds).await?;
    Ok(claimed.map(|claimed| (runner, claimed)))
}

async fn run_claimed(store: &Store, runner: Uuid, claimed: Claimed, dispatch: Dispatch) {
    let request = claimed.job.request.clone();
    let taken_over = claimed.taken_over;
    let run = Arc::new(Run::new(store, runner, claimed));
    let id = run.id;
    tracing::info!(%id, what = %request, "a job started");
    let ended = tokio::select! {
        ended = dispatch(run.clone(), request.clone()), if taken_over <= MAX_TAKEOVERS => ended,
        error = send_heartbeats(&run), if taken_over <= MAX_TAKEOVERS => Err(error),
        else => Err(JobError::Failed(abandoned())),
    };
    // Saves the final progress.
    if let Err(error) = run.heartbeat().await {
        tracing::warn!(%error, "the job's progress could not be saved");
    }
    // An error after a request to stop is a consequence of that request, unless a failure was the reason for it.
    let ended = match (ended, run.stopped()) {
        (Err(JobError::Failed(_)), Some(stop)) if stop != StopReason::Failed => {
            Err(JobError::Stopped(stop))
        }
        (ended, _) => ended,
    };
    let (outcome, left_as, problem) = match ended {
        Ok(outcome) => (outcome, JobState::Done, None),
        Err(JobError::Stopped(StopReason::Cancelled)) => {
            (Outcome::default(), JobState::Cancelled, None)
        }
        Err(JobError::Stopped(StopReason::ServerStops)) => {
            (Outcome::default(), JobState::Queued, None)
        }
        Err(JobError::Stopped(StopReason::Lost | StopReason::Failed)) => return,
        Err(JobError::Failed(error)) if error.is_transient() && taken_over <= MAX_TAKEOVERS => {
            // Leave the job as if this server had died. By the time another server takes it over, the database
            // may be available again, or the locked rows free.
            tracing::warn!(%id, error = ?error.to_string(), "the job is left for another server");
            return;
        }
        Err(JobError::Failed(error)) => {
            // In debug format: the error may contain text from callers, which must not break the log line.
            tracing::warn!(%id, error = ?error.to_string(), "the job failed");
            (
                Outcome::default(),
                JobState::Failed,
                Some(problem_of(error, &request)),
            )
        }
    };
    let now = store.options.clock.now();
    let what = (&outcome, problem.as_ref());
    match queue::release(&store.database.background, now, (id, runner), left_as, what).await {
        Ok(()) => tracing::info!(%id, state = left_as.as_str(), "a job was released"),
        // Another server takes it over after a while without heartbeats.
        Err(error) => tracing::warn!(%id, %error, "a job could not be released"),
    }
    if let Err(error) = cleanup::sweep(&store.database.background).await {
        tracing::warn!(%error, "file chunks are left for the next maintenance");
    }
}

/// The error of a job that too many servers did not finish: the job itself may make them fail.
fn abandoned() -> Error {
    let detail =
        format!("{MAX_TAKEOVERS} servers failed while they ran it. Their logs may say why.");
    Error::refused(Kind::Unavailable, detail)
}

/// The problem that is saved for a failed job.
fn problem_of(error: Error, request: &JobRequest) -> Problem {
    let mut problem = match error {
        Error::Refused(problem) => *problem,
        _ => Problem::new(
            Kind::Unavailable,
            "The database or the server failed. The server's log has the details.",
        ),
    };
    if request.kind() == JobKind::Seed {
        problem.detail += " Send the same job again to continue where it stopped.";
    }
    problem
}

/// Sends heartbeats until another server has the job. Any other reason to stop only sets the request to stop, so that
/// the work can finish what it has begun.
async fn send_heartbeats(run: &Run) -> JobError {
    let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
    loop {
        ticks.tick().await;
        if run.store.lifecycle.has_reached(Phase::Stopping) {
            run.request_stop(StopReason::ServerStops);
        }
        match run.heartbeat().await {
            Ok(true) => {}
            Ok(false) => return JobError::Stopped(StopReason::Lost),
            // Either the outage is short, or the work of the job fails for the same reason.
            Err(error) => tracing::warn!(%error, "the job's progress could not be saved"),
        }
    }
}
