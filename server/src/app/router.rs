//! All routes on one screen.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use stockroom_common::{Category, Customer, Order, Product};

use crate::{
    app::{feed, health, metrics, middleware, session, state::AppState, stats},
    archive::{file as partition_file, job as partition_jobs, routes as partitions},
    http::extract::DOCUMENTS_LIMIT,
    jobs,
    rows::{crud, entity::Entity, history, similar},
    seed,
    transfer::{bulk, export, import},
};

/// The whole API over `state`.
pub fn app(state: AppState) -> Router {
    let body_limit = state.options.body_limit;
    let routes = Router::new()
        .merge(entity_routes::<Category>())
        .merge(entity_routes::<Product>())
        .merge(entity_routes::<Customer>())
        .merge(entity_routes::<Order>())
        .route("/v1/seed-jobs", post(seed::create).get(seed::list))
        .route("/v1/seed-jobs/{id}", get(jobs::get).delete(jobs::cancel))
        .route("/v1/seed-jobs/{id}/events", get(jobs::events))
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/events", get(jobs::all_events))
        .route("/v1/jobs/{id}", get(jobs::get).delete(jobs::cancel))
        .route("/v1/jobs/{id}/events", get(jobs::events))
        .route("/v1/jobs/{id}/file", get(jobs::fetch))
        .route("/v1/jobs/{id}/apply", post(jobs::apply))
        .route("/v1/partitions", get(partitions::list))
        .route("/v1/partitions/archive", post(partition_jobs::archive_all))
        .route("/v1/partitions/restore", post(partition_jobs::restore_all))
        .route("/v1/partitions/delete", post(partition_jobs::delete_all))
        .route(
            "/v1/partitions/{name}",
            get(partitions::get).delete(partitions::delete),
        )
        .route("/v1/partitions/{name}/export", get(partition_file::export))
        .route("/v1/changes", get(feed::changes))
        .route("/v1/session", get(session::attach))
        .route("/v1/stats", get(stats::get))
        .route("/metrics", get(metrics::get))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .layer(DefaultBodyLimit::max(body_limit));
    // What follows takes as long as there are rows.
    let routes = middleware::limit_time(routes, &state)
        .merge(bulk_routes::<Category>())
        .merge(bulk_routes::<Product>())
        .merge(bulk_routes::<Customer>())
        .merge(bulk_routes::<Order>())
        .route("/v1/partitions/{name}/archive", post(partitions::archive))
        .route("/v1/partitions/{name}/restore", post(partitions::restore))
        .route(
            "/v1/partitions/{name}/import",
            post(partition_file::import).layer(DefaultBodyLimit::disable()),
        )
        .fallback(middleware::not_found)
        .method_not_allowed_fallback(middleware::method_not_allowed);
    middleware::wrap(routes, &state).with_state(state)
}

/// Writes of many rows. They end with their callers.
fn bulk_routes<E: Entity>() -> Router<AppState> {
    Router::new()
        .route(
            &format!("/v1/{}/bulk", E::PATH),
            post(bulk::bulk::<E>).layer(DefaultBodyLimit::max(DOCUMENTS_LIMIT)),
        )
        .route(
            &format!("/v1/{}/bulk-delete", E::PATH),
            post(bulk::delete::<E>).layer(DefaultBodyLimit::max(DOCUMENTS_LIMIT)),
        )
        .route(
            &format!("/v1/{}/import", E::PATH),
            // A file is never held in memory.
            post(import::import::<E>).layer(DefaultBodyLimit::disable()),
        )
}

/// A new entity needs two lines above.
fn entity_routes<E: Entity>() -> Router<AppState> {
    let routes = Router::new();
    let routes = match E::SEARCHED {
        Some(_) => routes
            .route(
                &format!("/v1/{}/similar", E::PATH),
                get(similar::similar::<E>),
            )
            // Its earlier name, for older clients.
            .route(
                &format!("/v1/{}/alike", E::PATH),
                get(similar::similar::<E>),
            ),
        None => routes,
    };
    routes
        .route(
            &format!("/v1/{}", E::PATH),
            get(crud::list::<E>).post(crud::create::<E>),
        )
        .route(
            &format!("/v1/{}/export", E::PATH),
            get(export::export::<E>)
                .post(export::job::create::<E>)
                .layer(DefaultBodyLimit::max(export::job::BODY_LIMIT)),
        )
        .route(
            &format!("/v1/{}/{{id}}/history", E::PATH),
            get(history::history::<E>),
        )
        .route(
            &format!("/v1/{}/{{id}}", E::PATH),
            get(crud::get::<E>)
                .put(crud::replace::<E>)
                .patch(crud::patch::<E>)
                .delete(crud::delete::<E>),
        )
}
