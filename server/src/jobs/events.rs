//! Jobs as event streams: one to its end, or all of them for as long as anybody listens.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use stockroom_common::job::{Job, JobKind};

use super::{find, queue};
use crate::{error::Result, extract::RowId, state::AppState};

/// How often jobs are looked at while some are under way: they may be on another server.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often while none is.
const LOOK_AT_REST_EVERY: Duration = Duration::from_secs(2);

/// `GET /v1/jobs/{id}/events`: `job` each time it has come further, as `GET /v1/jobs/{id}` answers it,
/// until it has ended.
pub(crate) async fn events(
    State(state): State<AppState>,
    RowId(id): RowId<Job>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    find(&state.pool, id).await?;
    let first: Option<Job> = None;
    let jobs = stream::unfold((state, first), move |(state, last)| async move {
        if last.as_ref().is_some_and(|job| job.state.is_final()) {
            return None;
        }
        loop {
            // A database that is away for a moment is no end of the stream.
            let found = find(&state.pool, id).await.ok();
            if let Some(job) = found.filter(|job| Some(job) != last.as_ref()) {
                let event = Event::default().event("job").json_data(&job).ok()?;
                return Some((Ok(event), (state, Some(job))));
            }
            wait(&state, LOOK_EVERY).await?;
        }
    });
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

/// `GET /v1/jobs/events`: `jobs` with all of them as `GET /v1/jobs` lists them, and then each time with
/// those that have come further or are new.
pub(crate) async fn all_events(
    State(state): State<AppState>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let none: Option<Vec<Job>> = None;
    let jobs = stream::unfold((state, none), |(state, last)| async move {
        let mut last = last;
        loop {
            if let Ok(jobs) = queue::select_latest(&state.pool, &JobKind::ALL).await {
                let known = last.as_deref().unwrap_or_default();
                let news: Vec<&Job> = jobs.iter().filter(|job| !known.contains(job)).collect();
                // The first event comes at once, also where there are none.
                if last.is_none() || !news.is_empty() {
                    let event = Event::default().event("jobs").json_data(&news).ok()?;
                    return Some((Ok(event), (state, Some(jobs))));
                }
                last = Some(jobs);
            }
            let mut known = last.iter().flatten();
            let is_any_under_way = known.any(|job| !job.state.is_final());
            let pause = match is_any_under_way {
                true => LOOK_EVERY,
                false => LOOK_AT_REST_EVERY,
            };
            wait(&state, pause).await?;
        }
    });
    Sse::new(jobs).keep_alive(KeepAlive::new())
}

/// Waits; none once the server stops.
async fn wait(state: &AppState, time: Duration) -> Option<()> {
    let mut stopping = state.stopping.subscribe();
    tokio::select! {
        () = tokio::time::sleep(time) => Some(()),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    }
}
