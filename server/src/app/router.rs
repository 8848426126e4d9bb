//! The routes of the API, in one place. Those of the entities are built in `entities.rs`.

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{get, post},
};

use crate::{
    app::{entities::ENTITIES, feed, health, metrics, middleware, session, state::AppState, stats},
    archive::{file as partition_file, job as partition_jobs, routes as partitions},
    jobs, seed,
    store::Store,
};

/// Builds the router of the whole API.
pub fn app(state: AppState) -> Router {
    let body_limit = state.options.body_limit;
    // Entities know the store, and not what the application keeps beside it.
    let of_entities = ENTITIES
        .iter()
        .map(|entity| (entity.routes)().with_state(Store::from_ref(&state)));
    let bulk_of_entities = ENTITIES
        .iter()
        .map(|entity| (entity.bulk_routes)().with_state(Store::from_ref(&state)));
    let routes = of_entities
        .fold(Router::new(), Router::merge)
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
    // The routes below have no time limit: they take as long as their number of rows requires.
    let routes = bulk_of_entities
        .fold(middleware::limit_time(routes, &state), Router::merge)
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
