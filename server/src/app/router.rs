//! The routes of the API with the role that each takes, in one place. Those of the entities are in `entities.rs`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::Method,
    middleware::from_fn_with_state,
};
use stockroom_common::Role;

use crate::{
    access::{
        guard::{Guard, authorize},
        rights::{ADMIN, DELETE, EDITOR, GET, POST, PUBLIC, Routes, VIEWER},
        routes as access,
    },
    app::{entities::ENTITIES, feed, health, metrics, middleware, session, state::AppState, stats},
    archive::{file as partition_file, job as partition_jobs, routes as partitions},
    jobs, seed,
    store::Store,
};

/// Builds the router of the whole API.
pub fn app(state: AppState) -> Router {
    let (routes, rights) = routes(&state).into_parts();
    let guard = Guard {
        access: state.access.clone(),
        rights: Arc::new(rights),
        clock: state.options.clock.clone(),
    };
    let routes = routes
        .layer(from_fn_with_state(guard, authorize))
        .fallback(middleware::not_found);
    middleware::wrap(routes, &state).with_state(state)
}

/// All routes: path, method, and the lowest role that may use them; none if they need no token.
pub fn route_table(state: &AppState) -> Vec<(String, Method, Option<Role>)> {
    let (_, rights) = routes(state).into_parts();
    let routes = rights.iter();
    routes
        .map(|(path, method, role)| (path.to_owned(), method.clone(), role))
        .collect()
}

fn routes(state: &AppState) -> Routes<AppState> {
    let body_limit = state.options.body_limit;
    // Entities know the store, and not what the application keeps beside it.
    let store = Store::from_ref(state);
    let of_entities = ENTITIES
        .iter()
        .map(|entity| (entity.routes)().with_state(store.clone()));
    let bulk_of_entities = ENTITIES
        .iter()
        .map(|entity| (entity.bulk_routes)().with_state(store.clone()));
    let routes = of_entities
        .fold(Routes::new(), Routes::merge)
        .merge(job_routes())
        .merge(partition_routes())
        .on(VIEWER, GET, "/v1/changes", feed::changes)
        .on(VIEWER, GET, "/v1/session", session::attach)
        .on(VIEWER, GET, "/v1/stats", stats::get)
        .on(VIEWER, GET, "/v1/whoami", access::whoami)
        .on(ADMIN, GET, "/v1/tokens", access::list)
        .on(ADMIN, POST, "/v1/tokens", access::create)
        .on(ADMIN, DELETE, "/v1/tokens/{id}", access::revoke)
        .on(VIEWER, GET, "/metrics", metrics::get)
        .on(PUBLIC, GET, "/livez", health::live)
        .on(PUBLIC, GET, "/readyz", health::ready)
        .layered(|routes| routes.layer(DefaultBodyLimit::max(body_limit)))
        .layered(|routes| middleware::limit_time(routes, state));
    // The routes below have no time limit: they take as long as their number of rows requires.
    let partition_files = Routes::new()
        .on(
            ADMIN,
            POST,
            "/v1/partitions/{name}/import",
            partition_file::import,
        )
        .layered(|routes| routes.layer(DefaultBodyLimit::disable()));
    bulk_of_entities
        .fold(routes, Routes::merge)
        .on(
            ADMIN,
            POST,
            "/v1/partitions/{name}/archive",
            partitions::archive,
        )
        .on(
            ADMIN,
            POST,
            "/v1/partitions/{name}/restore",
            partitions::restore,
        )
        .merge(partition_files)
}

fn job_routes() -> Routes<AppState> {
    Routes::new()
        .on(ADMIN, POST, "/v1/seed-jobs", seed::create)
        .on(VIEWER, GET, "/v1/seed-jobs", seed::list)
        .on(VIEWER, GET, "/v1/seed-jobs/{id}", jobs::get)
        .on(VIEWER, DELETE, "/v1/seed-jobs/{id}", jobs::cancel)
        .on(VIEWER, GET, "/v1/seed-jobs/{id}/events", jobs::events)
        .on(VIEWER, GET, "/v1/jobs", jobs::list)
        .on(VIEWER, GET, "/v1/jobs/events", jobs::all_events)
        .on(VIEWER, GET, "/v1/jobs/{id}", jobs::get)
        // The handlers of jobs check what the request of the job takes.
        .on(VIEWER, DELETE, "/v1/jobs/{id}", jobs::cancel)
        .on(VIEWER, GET, "/v1/jobs/{id}/events", jobs::events)
        .on(VIEWER, GET, "/v1/jobs/{id}/file", jobs::fetch)
        .on(EDITOR, POST, "/v1/jobs/{id}/apply", jobs::apply)
}

fn partition_routes() -> Routes<AppState> {
    Routes::new()
        .on(VIEWER, GET, "/v1/partitions", partitions::list)
        .on(
            ADMIN,
            POST,
            "/v1/partitions/archive",
            partition_jobs::archive_all,
        )
        .on(
            ADMIN,
            POST,
            "/v1/partitions/restore",
            partition_jobs::restore_all,
        )
        .on(
            ADMIN,
            POST,
            "/v1/partitions/delete",
            partition_jobs::delete_all,
        )
        .on(VIEWER, GET, "/v1/partitions/{name}", partitions::get)
        .on(ADMIN, DELETE, "/v1/partitions/{name}", partitions::delete)
        .on(
            VIEWER,
            GET,
            "/v1/partitions/{name}/export",
            partition_file::export,
        )
}
