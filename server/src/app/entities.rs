//! The list of all entities, from which routes, jobs and the feed take what they need to know about each.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use futures_util::future::{BoxFuture, FutureExt};
use stockroom_common::{
    Category, Customer, Kind, Order, Product,
    job::{ExportRequest, ImportRequest},
};

use crate::{
    http::{
        error::{Error, Result},
        extract::DOCUMENTS_LIMIT,
    },
    jobs::{JobError, Outcome, Run},
    rows::{crud, entity::Entity, history, similar},
    store::Store,
    transfer::{bulk, export, import},
};

/// An entity, for code that does not know at compile time which one it handles.
pub(crate) struct EntityInfo {
    /// The name of a row in the change log, such as `product`.
    pub(crate) name: &'static str,
    /// The name of the resource in paths, such as `products`.
    pub(crate) path: &'static str,
    pub(super) routes: fn() -> Router<Store>,
    pub(super) bulk_routes: fn() -> Router<Store>,
    pub(super) import: RunJob<ImportRequest>,
    pub(super) export: RunJob<ExportRequest>,
}

/// Runs a job for rows of one entity.
type RunJob<R> = fn(Arc<Run>, R) -> BoxFuture<'static, Result<Outcome, JobError>>;

pub(crate) static ENTITIES: [EntityInfo; 4] = [
    EntityInfo::of::<Category>(),
    EntityInfo::of::<Product>(),
    EntityInfo::of::<Customer>(),
    EntityInfo::of::<Order>(),
];

impl EntityInfo {
    const fn of<E: Entity>() -> Self {
        Self {
            name: E::NAME,
            path: E::PATH,
            routes: entity_routes::<E>,
            bulk_routes: bulk_routes::<E>,
            import: |run, request| import::job::run::<E>(run, request).boxed(),
            export: |run, request| export::job::run::<E>(run, request).boxed(),
        }
    }
}

/// The entity of a resource.
///
/// # Errors
/// 404 if there is none: a newer server may have queued the job.
pub(super) fn of_path(path: &str) -> Result<&'static EntityInfo> {
    let entity = ENTITIES.iter().find(|entity| entity.path == path);
    entity.ok_or_else(|| {
        let detail = format!("This server has no {path}.");
        Error::refused(Kind::NotFound, detail)
    })
}

/// The routes that write many rows. These writes end when their caller hangs up.
fn bulk_routes<E: Entity>() -> Router<Store> {
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
            // No limit, because the file is never held in memory.
            post(import::import::<E>).layer(DefaultBodyLimit::disable()),
        )
}

/// The routes of lists and single rows.
fn entity_routes<E: Entity>() -> Router<Store> {
    let routes = Router::new();
    let routes = match E::SEARCHED {
        Some(_) => routes
            .route(
                &format!("/v1/{}/similar", E::PATH),
                get(similar::similar::<E>),
            )
            // The earlier name of this route, for older clients.
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
