//! The routes of jobs. A job continues after its caller hangs up, and on another server if its own fails. Jobs wait in
//! a queue in the database; one of each kind runs at a time. Their work is in the modules of the features:
//! `seed/load.rs`, `transfer/import/job.rs`, `transfer/export/job.rs`, `archive/job.rs`.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use stockroom_common::{
    Id, Kind, Page, Role,
    job::{Job, JobKind},
};

use super::{
    cleanup,
    queue::{self, NewJob, insert},
};
use crate::{
    http::{
        actor::{Actor, Principal},
        error::{Error, Result},
        extract::RowId,
    },
    store::{Store, database::Pool},
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The preference of a caller who does not want to wait (RFC 7240).
const RESPOND_ASYNC: &str = "respond-async";

/// `GET /v1/jobs`: the unfinished jobs and the last hundred that have ended, newest first.
pub(crate) async fn list(State(store): State<Store>) -> Result<Json<Page<Job>>> {
    let jobs = queue::select_latest(&store.database.background, &JobKind::ALL).await?;
    Ok(Json(Page::whole(jobs)))
}

/// `GET /v1/jobs/{id}`
pub(crate) async fn get(State(store): State<Store>, RowId(id): RowId<Job>) -> Result<Json<Job>> {
    find(&store.database.background, id).await.map(Json)
}

/// `DELETE /v1/jobs/{id}`: takes a job out of the queue, or requests a running job to stop. Does nothing if the job has
/// ended.
pub(crate) async fn cancel(
    State(store): State<Store>,
    principal: Principal,
    RowId(id): RowId<Job>,
) -> Result<Response> {
    let job = find(&store.database.background, id).await?;
    let is_own = job.actor == *principal.name;
    principal.require(if is_own {
        job.request.role()
    } else {
        job.request.role().max(Role::Editor)
    })?;
    queue::request_cancel(&store.database.background, id, store.options.clock.now()).await?;
    let job = find(&store.database.background, id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)).into_response())
}

/// `POST /v1/jobs/{id}/apply`: applies an import that was a dry run, with the file that was sent for it.
pub(crate) async fn apply(
    State(store): State<Store>,
    RowId(id): RowId<Job>,
    principal: Principal,
    actor: Actor,
) -> Result<Response> {
    principal.require(find(&store.database.background, id).await?.request.role())?;
    match queue::apply(&store.database.background, id, &actor).await? {
        Some(job) => {
            store.jobs.notify();
            Ok(accepted(&job, "jobs"))
        }
        None => {
            let job = find(&store.database.background, id).await?;
            let detail = format!(
                "The job ({}) is {}. Only a finished dry run whose file is still stored can be applied.",
                job.request,
                job.state.as_str()
            );
            Err(Error::refused(Kind::Conflict, detail))
        }
    }
}

/// Puts a job into the queue and answers 202 with its `Location`.
pub(crate) async fn accept(store: &Store, job: NewJob) -> Result<Response> {
    let job = insert(&mut *store.database.background.acquire().await?, job).await?;
    store.jobs.notify();
    Ok(accepted(&job, "jobs"))
}

/// The answer to a request that has put a job into the queue: 202 with its `Location`.
pub(crate) fn accepted(job: &Job, path: &str) -> Response {
    let location = [(header::LOCATION, format!("/v1/{path}/{}", job.id))];
    (StatusCode::ACCEPTED, location, Json(job)).into_response()
}

/// Whether the caller prefers a job to a long wait for the answer.
pub(crate) fn is_preferred(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all(PREFER).into_iter();
    let texts = preferences.filter_map(|value| value.to_str().ok());
    let mut preferences = texts.flat_map(|text| text.split(','));
    preferences.any(|preference| {
        // Parameters of the preference are ignored.
        let name = preference.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(RESPOND_ASYNC)
    })
}

/// Adds the header that confirms the preference.
pub(crate) fn with_preference_applied(mut response: Response) -> Response {
    let applied = HeaderValue::from_static(RESPOND_ASYNC);
    response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    response
}

/// Whether a job runs on any server, or waits. `false` if the database cannot be read.
pub(crate) async fn is_busy(pool: &Pool) -> bool {
    queue::is_any_unfinished(pool).await.unwrap_or(false)
}

/// Deletes the files and jobs that ended long ago.
pub(crate) async fn forget(store: &Store) -> Result<()> {
    cleanup::forget(&store.database.background, store.options.clock.now()).await
}

pub(crate) async fn of_kind(pool: &Pool, kind: JobKind) -> Result<Vec<Job>> {
    queue::select_latest(pool, &[kind]).await
}

pub(crate) async fn find(pool: &Pool, id: Id<Job>) -> Result<Job> {
    let job = queue::select(pool, id).await?;
    job.ok_or_else(|| Error::refused(Kind::NotFound, format!("There is no job {id}.")))
}
