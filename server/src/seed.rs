//! Seed jobs: realistic test data in bulk, by a background task that loads batches with COPY. A job
//! lives in the database, so that any server can tell how far it is and ask it to stop.

mod batch;
mod copy;
mod generate;
mod job;
mod words;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveTime, Utc};
use sqlx::PgPool;
use stockroom_common::{
    Id, Kind, Page,
    seed::{NewSeedJob, SeedJob},
};

pub use self::generate::Generator;
use crate::{
    error::{Error, Result},
    extract::{Actor, Document, RowId},
    state::AppState,
};

/// `POST /v1/seed-jobs`: starts a job, answers 202 at once.
pub(crate) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Document(mut request): Document<NewSeedJob>,
) -> Result<Response> {
    let errors = request.check();
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let now = state.options.clock.now();
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let until = *request.until.get_or_insert(midnight);
    if until > now {
        let message = "lies in the future; the made-up past must end by now";
        return Err(Error::field(
            Kind::Invalid,
            "/until",
            "out_of_range",
            message,
        ));
    }
    let earliest = state.options.orders_from + generate::LEAD;
    if generate::begins_at(until, request.months).is_none_or(|begin| begin < earliest) {
        let message = format!("reach back beyond {}", earliest.date_naive());
        return Err(Error::field(
            Kind::Invalid,
            "/months",
            "out_of_range",
            message,
        ));
    }
    let job = job::insert(&state.pool, now, request).await?;
    let location = format!("/v1/seed-jobs/{}", job.id);
    tokio::spawn(job::run(state, actor, job.clone(), until));
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
}

/// `GET /v1/seed-jobs`: the last hundred jobs, the newest first.
pub(crate) async fn list(State(state): State<AppState>) -> Result<impl IntoResponse> {
    job::fail_abandoned(&state.pool, state.options.clock.now()).await?;
    let jobs = job::select_latest(&state.pool).await?;
    Ok(Json(Page::whole(jobs)))
}

/// `GET /v1/seed-jobs/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    RowId(id): RowId<SeedJob>,
) -> Result<Json<SeedJob>> {
    job::fail_abandoned(&state.pool, state.options.clock.now()).await?;
    find(&state.pool, id).await.map(Json)
}

/// `DELETE /v1/seed-jobs/{id}`: asks a running job to stop after its present batch, which stays.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    RowId(id): RowId<SeedJob>,
) -> Result<Response> {
    job::request_cancel(&state.pool, id).await?;
    let job = find(&state.pool, id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)).into_response())
}

/// Whether a job runs on any server. Where nobody can tell, none does.
pub(crate) async fn is_running(pool: &PgPool, now: DateTime<Utc>) -> bool {
    job::is_running(pool, now).await.unwrap_or(false)
}

async fn find(pool: &PgPool, id: Id<SeedJob>) -> Result<SeedJob> {
    let job = job::select(pool, id).await?;
    job.ok_or_else(|| Error::refused(Kind::NotFound, format!("There is no seed job {id}.")))
}
