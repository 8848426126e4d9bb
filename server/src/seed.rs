//! Seed jobs: realistic test data in bulk. Jobs wait in a queue in the database; a task of any server
//! takes the next and loads it with COPY, batch by batch. Whatever happens to that server, another (or
//! the same, once it is back) goes on where it stopped.

mod batch;
mod command;
mod events;
mod generate;
mod job;
mod pace;
mod progress;
mod runner;
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

pub use self::{command::command, generate::Generator};
pub(crate) use self::{events::events, runner::run};
use crate::{
    error::{Error, Result},
    extract::{Actor, Document, RowId},
    state::AppState,
};

/// `POST /v1/seed-jobs`: puts a job into the queue, answers 202 at once.
pub(crate) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Document(request): Document<NewSeedJob>,
) -> Result<Response> {
    let job = enqueue(&state, &actor.0, request).await?;
    let location = [(header::LOCATION, format!("/v1/seed-jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
}

/// Puts a job into the queue, or one that was given up back into it.
///
/// # Errors
/// 409 where the seed's data is in the shop or on its way, or was begun with other sizes; 422 for
/// sizes and times that cannot be.
async fn enqueue(state: &AppState, actor: &str, mut request: NewSeedJob) -> Result<SeedJob> {
    let errors = request.check();
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let now = state.options.clock.now();
    let given_up = job::select_given_up(&state.pool, request.seed).await?;
    // Where the end goes without saying, a job that is taken up again keeps the one that it had.
    let default_until = match given_up.as_ref().and_then(|job| job.request.until) {
        Some(until) => until,
        None => now.date_naive().and_time(NaiveTime::MIN).and_utc(),
    };
    let until = *request.until.get_or_insert(default_until);
    check_times(state, &request, until, now)?;
    let job = match given_up {
        Some(given_up) => job::take_up(&state.pool, &given_up, request).await?,
        None => job::insert(&state.pool, now, actor, request).await?,
    };
    state.seeding.notify_one();
    Ok(job)
}

fn check_times(
    state: &AppState,
    request: &NewSeedJob,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    let refuse = |pointer, message: String| {
        Err(Error::field(
            Kind::Invalid,
            pointer,
            "out_of_range",
            message,
        ))
    };
    if until > now {
        let message = "lies in the future; the made-up past must end by now";
        return refuse("/until", message.into());
    }
    let earliest = state.options.orders_from + generate::LEAD;
    if generate::begins_at(until, request.months).is_none_or(|begin| begin < earliest) {
        return refuse(
            "/months",
            format!("reach back beyond {}", earliest.date_naive()),
        );
    }
    Ok(())
}

/// `GET /v1/seed-jobs`: the last hundred jobs, the newest first.
pub(crate) async fn list(State(state): State<AppState>) -> Result<impl IntoResponse> {
    let jobs = job::select_latest(&state.pool).await?;
    Ok(Json(Page::whole(jobs)))
}

/// `GET /v1/seed-jobs/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    RowId(id): RowId<SeedJob>,
) -> Result<Json<SeedJob>> {
    find(&state.pool, id).await.map(Json)
}

/// `DELETE /v1/seed-jobs/{id}`: takes a job out of the queue, or asks one that runs to stop after its
/// present batches, which stay.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    RowId(id): RowId<SeedJob>,
) -> Result<Response> {
    job::request_cancel(&state.pool, id, state.options.clock.now()).await?;
    let job = find(&state.pool, id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)).into_response())
}

/// Whether a job runs on any server, or waits for one. Where nobody can tell, none does.
pub(crate) async fn is_busy(pool: &PgPool) -> bool {
    job::is_any_unfinished(pool).await.unwrap_or(false)
}

async fn find(pool: &PgPool, id: Id<SeedJob>) -> Result<SeedJob> {
    let job = job::select(pool, id).await?;
    job.ok_or_else(|| Error::refused(Kind::NotFound, format!("There is no seed job {id}.")))
}
