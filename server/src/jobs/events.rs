//! Jobs as event streams: one to its end, or all of them for as long as anybody listens.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use stockroom_common::{
    Id,
    job::{Job, JobKind},
};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{find, queue};
use crate::{
    http::{error::Result, extract::RowId},
    process::{job_signals::JobSignals, lifecycle::Phase},
    store::Store,
};

/// How often jobs are looked at while some are under way: they may be on another server.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often while none is.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// `GET /v1/jobs/{id}/events`: `job` each time it has come further, as lists tell of it, and in the end as
/// `GET /v1/jobs/{id}` does.
pub(crate) async fn events(
    State(store): State<Store>,
    RowId(id): RowId<Job>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    find(&store.database.background, id).await?;
    let permit = store.streams.take()?;
    let first: Option<Job> = None;
    let jobs = stream::unfold(
        (store, first, permit),
        move |(store, last, permit)| async move {
            if last.as_ref().is_some_and(|job| job.state.is_final()) {
                return None;
            }
            loop {
                // A database that is away for a moment is no end of the stream.
                let found = queue::select_listed(&store.database.background, &[id]).await;
                let found = found.ok().and_then(|mut jobs| jobs.pop());
                if let Some(mut job) = found.filter(|job| Some(job) != last.as_ref()) {
                    if job.state.is_final() {
                        job = find(&store.database.background, id).await.unwrap_or(job);
                    }
                    let event = Event::default().event("job").json_data(&job).ok()?;
                    return Some((Ok(event), (store, Some(job), permit)));
                }
                wait(&store, POLL_INTERVAL).await?;
            }
        },
    );
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

/// `GET /v1/jobs/events`: `jobs` with all of them as `GET /v1/jobs` lists them, and then each time with
/// those that have come further or are new.
pub(crate) async fn all_events(
    State(store): State<Store>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let listener = Listener {
        _permit: store.streams.take()?,
        seen: store.jobs.seen.subscribe(),
        told: None,
        store: store.clone(),
    };
    store.jobs.asked.notify_one();
    let jobs = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

/// Somebody who is told of all jobs.
struct Listener {
    seen: watch::Receiver<Option<Arc<Vec<Job>>>>,
    store: Store,
    /// As they were told last.
    told: Option<Arc<Vec<Job>>>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event; none once the server stops. The first comes at once; later, jobs that have only left
    /// the list are no news.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let told = self.told.take();
            let differs = |jobs: &Option<Arc<Vec<Job>>>| match (jobs, &told) {
                (Some(jobs), Some(told)) => !Arc::ptr_eq(jobs, told),
                (jobs, _) => jobs.is_some(),
            };
            let jobs = tokio::select! {
                seen = self.seen.wait_for(differs) => seen.ok()?.clone()?,
                () = self.store.lifecycle.until(Phase::Stopping) => return None,
            };
            let known: &[Job] = told.as_ref().map_or(&[], |told| told);
            let news: Vec<&Job> = jobs.iter().filter(|job| !known.contains(job)).collect();
            let event = Event::default().event("jobs").json_data(&news).ok()?;
            let is_told = told.is_none() || !news.is_empty();
            self.told = Some(jobs);
            if is_told {
                return Some(event);
            }
        }
    }
}

/// Looks at all jobs for everybody who listens, as long as anybody does.
pub(crate) async fn watch_all(store: Store) {
    let JobSignals { asked, seen, .. } = &store.jobs;
    loop {
        if seen.receiver_count() == 0 {
            // Whoever comes next is told what is so then.
            seen.send_replace(None);
            asked.notified().await;
            continue;
        }
        // A database that is away for a moment is no end of the streams.
        let last = seen.borrow().clone();
        if let Ok(jobs) = look(&store, last.as_deref()).await {
            seen.send_if_modified(|seen| {
                let is_news = seen.as_ref().is_none_or(|seen| **seen != jobs);
                if is_news {
                    *seen = Some(Arc::new(jobs));
                }
                is_news
            });
        }
        let is_any_under_way = seen.borrow().iter().any(|jobs| {
            let mut jobs = jobs.iter();
            jobs.any(|job| !job.state.is_final())
        });
        let pause = if is_any_under_way {
            POLL_INTERVAL
        } else {
            IDLE_POLL_INTERVAL
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asked.notified() => {}
        }
    }
}

/// All jobs, and those that were seen under way and have since left the list: their end is told as well.
async fn look(store: &Store, last: Option<&Vec<Job>>) -> Result<Vec<Job>> {
    let mut jobs = queue::select_latest(&store.database.background, &JobKind::ALL).await?;
    let listed: HashSet<Id<Job>> = jobs.iter().map(|job| job.id).collect();
    let last = last.into_iter().flatten();
    let left = last.filter(|job| !job.state.is_final() && !listed.contains(&job.id));
    let left: Vec<Id<Job>> = left.map(|job| job.id).collect();
    if !left.is_empty() {
        jobs.extend(queue::select_listed(&store.database.background, &left).await?);
    }
    Ok(jobs)
}

/// Waits; none once the server stops.
async fn wait(store: &Store, time: Duration) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(time) => Some(()),
        () = store.lifecycle.until(Phase::Stopping) => None,
    }
}
