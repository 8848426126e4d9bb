//! Works off the queue: takes jobs, one of a kind at a time, and keeps saying that they live and how far
//! they are.

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
    outcome::Outcome,
    queue::{self, Claimed},
    run::{JobError, Run, StopReason},
};
use crate::{
    http::error::{Error, Result},
    process::lifecycle::Phase,
    store::Store,
};

/// How often a server looks for a job that nobody told it of.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often it says how far a job is.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// How often a job is taken over before it is given up.
const MAX_TAKEOVERS: i32 = 5;

/// Who does a job: what each kind of work is stands above the queue.
pub(crate) type Dispatch =
    fn(Arc<Run>, JobRequest) -> BoxFuture<'static, Result<Outcome, JobError>>;

/// Takes jobs until the server stops, and then waits for those that it has.
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

/// The next job of a kind that this server has a turn for, if there is one.
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
            tracing::warn!(%error, "the queue of jobs cannot be worked off");
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

/// Runs the next job of these kinds, until it ends or the server stops; tells whether there was one.
///
/// # Errors
/// Where the database cannot be reached. What goes wrong in the job is written down there.
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
    tracing::info!(%id, what = %request, "a job begins");
    let ended = tokio::select! {
        ended = dispatch(run.clone(), request.clone()), if taken_over <= MAX_TAKEOVERS => ended,
        lost = send_heartbeats(&run), if taken_over <= MAX_TAKEOVERS => Err(lost),
        else => Err(JobError::Failed(abandoned())),
    };
    // How far it came in the end.
    if let Err(error) = run.heartbeat().await {
        tracing::warn!(%error, "the job cannot say how far it came");
    }
    // Whatever went wrong once it was to stop went wrong for that.
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
        Err(JobError::Failed(error)) if error.may_pass() && taken_over <= MAX_TAKEOVERS => {
            // As if this server had died: whoever takes it over finds the database there again, or what
            // was locked free.
            tracing::warn!(%id, error = ?error.to_string(), "the job is left to be taken over");
            return;
        }
        Err(JobError::Failed(error)) => {
            // What callers sent stands in it.
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
        Ok(()) => tracing::info!(%id, state = left_as.as_str(), "a job was left"),
        // It is taken over once nobody has said for a while that it lives.
        Err(error) => tracing::warn!(%id, %error, "a job could not be left"),
    }
    if let Err(error) = queue::sweep(&store.database.background).await {
        tracing::warn!(%error, "pieces of files are left for the keeper");
    }
}

/// What is said of a job that servers do not come to the end of: it may be what ends them.
fn abandoned() -> Error {
    let detail = format!(
        "It was taken over {MAX_TAKEOVERS} times from servers that did not come to its end; their logs \
         may say why."
    );
    Error::refused(Kind::Unavailable, detail)
}

/// What is said of a job that failed.
fn problem_of(error: Error, request: &JobRequest) -> Problem {
    let mut problem = match error {
        Error::Refused(problem) => *problem,
        _ => Problem::new(
            Kind::Unavailable,
            "The database or the server failed; the server's log says how.",
        ),
    };
    if request.kind() == JobKind::Seed {
        problem.detail += " The same job, given again, goes on where it stopped.";
    }
    problem
}

/// Beats until the job is lost; what else makes it stop is told to those who work on it, who finish what
/// they have begun.
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
            // Those who work will find out as well, or it was for a moment.
            Err(error) => tracing::warn!(%error, "the job cannot say how far it is"),
        }
    }
}
