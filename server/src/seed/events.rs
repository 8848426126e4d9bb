//! `GET /v1/seed-jobs/{id}/events`: the job each time it has come further, until it has ended.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use stockroom_common::{Id, seed::SeedJob};

use super::find;
use crate::{error::Result, extract::RowId, state::AppState};

/// How often the job is looked at: it may run on another server.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a stream knows between two events.
struct Watch {
    state: AppState,
    id: Id<SeedJob>,
    last: Option<SeedJob>,
}

/// Each event is called `job` and holds what `GET /v1/seed-jobs/{id}` would answer.
pub(crate) async fn events(
    State(state): State<AppState>,
    RowId(id): RowId<SeedJob>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    find(&state.pool, id).await?;
    let last = None;
    let watch = Watch { state, id, last };
    let jobs = stream::unfold(watch, |mut watch| async {
        let job = watch.next().await?;
        let event = Event::default().event("job").json_data(&job).ok()?;
        Some((Ok(event), watch))
    });
    Ok(Sse::new(jobs).keep_alive(KeepAlive::new()))
}

impl Watch {
    /// The job once it differs from what was told last; none when it had ended by then, or the server
    /// stops.
    async fn next(&mut self) -> Option<SeedJob> {
        if self.last.as_ref().is_some_and(|job| job.state.is_final()) {
            return None;
        }
        let mut stopping = self.state.stopping.subscribe();
        loop {
            // A database that is away for a moment is no end of the stream.
            let found = find(&self.state.pool, self.id).await.ok();
            if let Some(job) = found.filter(|job| Some(job) != self.last.as_ref()) {
                self.last = Some(job.clone());
                return Some(job);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }
}
