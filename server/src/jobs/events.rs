//! Jobs as event streams: one job until it ends, or all jobs until the client disconnects.

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

/// How often jobs are read from the database while some are unfinished. They may run on another server.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often they are read while none is unfinished.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// `GET /v1/jobs/{id}/events`: an event `job` for each change of the job, as in a list. The last event has the whole
/// job, as `GET /v1/jobs/{id}` returns it.
pub(crate) async fn events(
    State(store): State<Store>,
    RowId(id): RowId<Job>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    find(&store.database.background, id).await?;
    let follower = Follower {
        _permit: store.streams.take()?,
        seen: store.jobs.latest.subscribe(),
        last: None,
        id,
        store: store.clone(),
    };
    store.jobs.wake_watcher.notify_one();
    let jobs = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

/// A caller who follows one job until it ends. All followers share the reads of [`watch_all`].
struct Follower {
    seen: watch::Receiver<Option<Arc<Vec<Job>>>>,
    store: Store,
    id: Id<Job>,
    /// The job as it was sent last.
    last: Option<Job>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; `None` after the last, or once the server stops.
    async fn next(&mut self) -> Option<Event> {
        if self.last.as_ref().is_some_and(|job| job.state.is_final()) {
            return None;
        }
        let mut job = loop {
            let found = if self.last.is_none() {
                self.read().await
            } else {
                self.changed().await?
            };
            match found {
                Some(job) if Some(&job) != self.last.as_ref() => break job,
                Some(_) => {}
                // The stream outlives a short outage of the database.
                None => wait(&self.store, POLL_INTERVAL).await?,
            }
        };
        if job.state.is_final() {
            // Includes the parts that lists leave out.
            job = find(&self.store.database.background, self.id)
                .await
                .unwrap_or(job);
        }
        let event = Event::default().event("job").json_data(&job).ok()?;
        self.last = Some(job);
        Some(event)
    }

    /// Waits until the jobs have been read again, and returns this one; `None` once the server stops.
    async fn changed(&mut self) -> Option<Option<Job>> {
        tokio::select! {
            changed = self.seen.changed() => changed.ok()?,
            () = tokio::time::sleep(IDLE_POLL_INTERVAL) => {}
            () = self.store.lifecycle.until(Phase::Stopping) => return None,
        }
        let listed = self.seen.borrow_and_update().as_ref().and_then(|jobs| {
            let mut jobs = jobs.iter();
            jobs.find(|job| job.id == self.id).cloned()
        });
        match listed {
            Some(job) => Some(Some(job)),
            // A very long queue is not listed completely.
            None => Some(self.read().await),
        }
    }

    async fn read(&self) -> Option<Job> {
        let pool = &self.store.database.background;
        let found = queue::select_listed(pool, &[self.id]).await;
        found.ok().and_then(|mut jobs| jobs.pop())
    }
}

/// `GET /v1/jobs/events`: an event `jobs` with all jobs as `GET /v1/jobs` lists them, and then one with the jobs that
/// are new or have changed, each time.
pub(crate) async fn all_events(
    State(store): State<Store>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let listener = Listener {
        _permit: store.streams.take()?,
        seen: store.jobs.latest.subscribe(),
        sent: None,
        store: store.clone(),
    };
    store.jobs.wake_watcher.notify_one();
    let jobs = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

/// A caller who follows all jobs.
struct Listener {
    seen: watch::Receiver<Option<Arc<Vec<Job>>>>,
    store: Store,
    /// The jobs as they were last sent; `None` before the first event.
    sent: Option<Arc<Vec<Job>>>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event; `None` once the server stops. The first event is sent at once. Later, jobs that only leave the
    /// list cause no event.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let sent = self.sent.take();
            let differs = |jobs: &Option<Arc<Vec<Job>>>| match (jobs, &sent) {
                (Some(jobs), Some(sent)) => !Arc::ptr_eq(jobs, sent),
                (jobs, _) => jobs.is_some(),
            };
            let jobs = tokio::select! {
                seen = self.seen.wait_for(differs) => seen.ok()?.clone()?,
                () = self.store.lifecycle.until(Phase::Stopping) => return None,
            };
            let known: &[Job] = sent.as_ref().map_or(&[], |sent| sent);
            let news: Vec<&Job> = jobs.iter().filter(|job| !known.contains(job)).collect();
            let event = Event::default().event("jobs").json_data(&news).ok()?;
            let has_news = sent.is_none() || !news.is_empty();
            self.sent = Some(jobs);
            if has_news {
                return Some(event);
            }
        }
    }
}

/// Reads all jobs for everyone who listens, as long as anyone does.
pub(crate) async fn watch_all(store: Store) {
    let JobSignals {
        wake_watcher,
        latest,
        ..
    } = &store.jobs;
    loop {
        if latest.receiver_count() == 0 {
            // The next listener must get the jobs as they are then, not as they are now.
            latest.send_replace(None);
            wake_watcher.notified().await;
            continue;
        }
        // The streams outlive a short outage of the database.
        let last = latest.borrow().clone();
        if let Ok(jobs) = select_followed(&store, last.as_deref()).await {
            latest.send_if_modified(|latest| {
                let is_news = latest.as_ref().is_none_or(|latest| **latest != jobs);
                if is_news {
                    *latest = Some(Arc::new(jobs));
                }
                is_news
            });
        }
        let is_any_under_way = latest.borrow().iter().any(|jobs| {
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
            () = wake_watcher.notified() => {}
        }
    }
}

/// The listed jobs, and those that were unfinished in the last list and are not in this one: their end is sent too.
async fn select_followed(store: &Store, last: Option<&Vec<Job>>) -> Result<Vec<Job>> {
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

/// Waits; `None` once the server stops.
async fn wait(store: &Store, time: Duration) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(time) => Some(()),
        () = store.lifecycle.until(Phase::Stopping) => None,
    }
}
