//! Seed jobs: realistic test data in bulk, loaded with COPY, batch by batch. Whatever happens to the server
//! that does it, another (or the same, once it is back) goes on where it stopped.

mod batch;
mod command;
mod generate;
mod job;
mod load;
mod pace;
mod words;

use axum::{Json, extract::State, response::Response};
use chrono::{DateTime, NaiveTime, Utc};
use stockroom_common::{
    Kind, Page,
    job::{Job, JobKind, JobRequest},
    seed::NewSeedJob,
};

pub(crate) use self::load::load;
pub use self::{command::command, generate::Generator};
use crate::{
    error::{Error, Result},
    extract::{Actor, Document},
    jobs,
    state::AppState,
};

/// `POST /v1/seed-jobs`: puts a job into the queue, answers 202 at once.
pub(crate) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Document(request): Document<NewSeedJob>,
) -> Result<Response> {
    let job = enqueue(&state, &actor.0, request).await?;
    Ok(jobs::accepted(&job, "seed-jobs"))
}

/// Puts a job into the queue, or one that was given up back into it.
///
/// # Errors
/// 409 where the seed's data is in the shop or on its way, or was begun with other sizes; 422 for
/// sizes and times that cannot be.
async fn enqueue(state: &AppState, actor: &str, mut request: NewSeedJob) -> Result<Job> {
    let errors = request.check();
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let now = state.options.clock.now();
    let given_up = job::select_given_up(&state.database.background, request.seed).await?;
    let began_with = given_up.as_ref().and_then(|job| match &job.request {
        JobRequest::Seed(request) => Some((job, request)),
        _ => None,
    });
    // Where the end goes without saying, a job that is taken up again keeps the one that it had.
    let default_until = match began_with.and_then(|(_, request)| request.until) {
        Some(until) => until,
        None => now.date_naive().and_time(NaiveTime::MIN).and_utc(),
    };
    let until = *request.until.get_or_insert(default_until);
    check_times(state, &request, until, now)?;
    let job = match began_with {
        Some(given_up) => job::take_up(&state.database.background, given_up, request).await?,
        None => job::insert(&state.database.background, now, actor, request).await?,
    };
    state.jobs.tell();
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

/// `GET /v1/seed-jobs`: the same of seed jobs alone.
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Page<Job>>> {
    let jobs = jobs::of_kind(&state.database.background, JobKind::Seed).await?;
    Ok(Json(Page::whole(jobs)))
}

/// What a job loads, one after the other, and how many rows each.
pub(crate) fn steps(request: &NewSeedJob) -> Vec<(String, Option<i64>)> {
    let steps = batch::Entity::ALL.into_iter();
    let steps = steps.map(|entity| (entity.path().to_owned(), Some(entity.rows(request))));
    steps.collect()
}
