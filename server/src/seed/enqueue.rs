//! Seed jobs: realistic test data in bulk, loaded with COPY in batches. If the server that runs a job fails, another
//! server (or the same one after a restart) continues with the missing batches.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::Response,
};
use chrono::{DateTime, NaiveTime, Utc};
use stockroom_common::{
    Kind, Page,
    job::{Job, JobKind, JobRequest},
    seed::{self, NewSeedJob},
};

use super::{generate, job};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
        extract::Document,
        parameters::Parameters,
    },
    jobs,
    store::{Store, database::Pool},
};

/// Whether the job is refused if callers have written rows. Extracted before the body is read.
pub(crate) struct UnlessInUse(bool);

impl<S: Sync> FromRequestParts<S> for UnlessInUse {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        const NAME: &str = "unless_in_use";
        let mut query = Parameters::read(parts.uri.query().unwrap_or_default())?;
        let is_spared = query.one_of(NAME, &[("false", false), ("true", true)])?;
        query.refuse_rest(&[NAME])?;
        Ok(Self(is_spared))
    }
}

/// `POST /v1/seed-jobs?unless_in_use`: queues a job and answers 202 at once.
pub(crate) async fn create(
    State(store): State<Store>,
    UnlessInUse(is_spared): UnlessInUse,
    actor: Actor,
    Document(request): Document<NewSeedJob>,
) -> Result<Response> {
    if is_spared && is_in_use(&store.database.reads).await? {
        return Err(Error::field(
            Kind::Conflict,
            "?unless_in_use",
            seed::IN_USE,
            "people have added rows to this shop, and test rows cannot be distinguished from them later",
        ));
    }
    let job = enqueue(&store, &actor, request).await?;
    Ok(jobs::accepted(&job, "seed-jobs"))
}

/// Whether a caller has written a row, as far back as the change log goes. Seeded rows do not count: the entries of a
/// seed job have no `entity_id`.
async fn is_in_use(pool: &Pool) -> Result<bool> {
    let mut conn = pool.acquire().await?;
    let is_in_use = "select exists (select from changes where entity_id is not null)";
    Ok(sqlx::query_scalar(is_in_use).fetch_one(&mut *conn).await?)
}

/// Queues a new job, or resumes the cancelled or failed job with the same seed.
///
/// # Errors
/// 409 if the data of this seed is in the shop or being loaded, or was started with other sizes; 422 for invalid sizes
/// and times.
pub(super) async fn enqueue(store: &Store, actor: &Actor, mut request: NewSeedJob) -> Result<Job> {
    let errors = request.check();
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let now = store.options.clock.now();
    let abandoned = job::select_abandoned(&store.database.background, request.seed).await?;
    let began_with = abandoned.as_ref().and_then(|job| match &job.request {
        JobRequest::Seed(request) => Some((job, request)),
        _ => None,
    });
    // If the request has no `until`, a resumed job keeps its original end.
    let default_until = match began_with.and_then(|(_, request)| request.until) {
        Some(until) => until,
        None => now.date_naive().and_time(NaiveTime::MIN).and_utc(),
    };
    let until = *request.until.get_or_insert(default_until);
    check_times(store, &request, until, now)?;
    let job = match began_with {
        Some(abandoned) => job::resume(&store.database.background, abandoned, request).await?,
        None => job::insert(&store.database.background, now, actor, request).await?,
    };
    store.jobs.notify();
    Ok(job)
}

fn check_times(
    store: &Store,
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
        let message = "is in the future; test data must end by now";
        return refuse("/until", message.into());
    }
    let earliest = store.options.orders_from + generate::WARMUP;
    if generate::begins_at(until, request.months).is_none_or(|begin| begin < earliest) {
        return refuse("/months", format!("begin before {}", earliest.date_naive()));
    }
    Ok(())
}

/// `GET /v1/seed-jobs`: as `GET /v1/jobs`, but only seed jobs.
pub(crate) async fn list(State(store): State<Store>) -> Result<Json<Page<Job>>> {
    let jobs = jobs::of_kind(&store.database.background, JobKind::Seed).await?;
    Ok(Json(Page::whole(jobs)))
}
