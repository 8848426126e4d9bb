//! The list of all entities, from which routes, jobs and the feed take what they need to know about each.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use futures_util::future::{BoxFuture, FutureExt};
use stockroom_common::{
    Category, Customer, Kind, Order, Product,
    job::{ExportRequest, ImportRequest},
};

use crate::{
    access::rights::{DELETE, EDITOR, GET, PATCH, POST, PUT, Routes, VIEWER},
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
    pub(super) routes: fn() -> Routes<Store>,
    pub(super) bulk_routes: fn() -> Routes<Store>,
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
fn bulk_routes<E: Entity>() -> Routes<Store> {
    let path = |name: &str| format!("/v1/{}/{name}", E::PATH);
    let rows = Routes::new()
        .on(EDITOR, POST, &path("bulk"), bulk::bulk::<E>)
        .on(EDITOR, POST, &path("bulk-delete"), bulk::delete::<E>)
        .layered(|routes| routes.layer(DefaultBodyLimit::max(DOCUMENTS_LIMIT)));
    let files = Routes::new()
        // The handler asks for more if rows are to be restored.
        .on(EDITOR, POST, &path("import"), import::import::<E>)
        // No limit, because the file is never held in memory.
        .layered(|routes| routes.layer(DefaultBodyLimit::disable()));
    rows.merge(files)
}

/// The routes of lists and single rows.
fn entity_routes<E: Entity>() -> Routes<Store> {
    let path = |name: &str| format!("/v1/{}{name}", E::PATH);
    let exports = Routes::new()
        .on(VIEWER, GET, &path("/export"), export::export::<E>)
        .on(VIEWER, POST, &path("/export"), export::job::create::<E>)
        .layered(|routes| routes.layer(DefaultBodyLimit::max(export::job::BODY_LIMIT)));
    let routes = Routes::new()
        .on(VIEWER, GET, &path(""), crud::list::<E>)
        .on(EDITOR, POST, &path(""), crud::create::<E>)
        .on(VIEWER, GET, &path("/{id}"), crud::get::<E>)
        .on(EDITOR, PUT, &path("/{id}"), crud::replace::<E>)
        .on(EDITOR, PATCH, &path("/{id}"), crud::patch::<E>)
        .on(EDITOR, DELETE, &path("/{id}"), crud::delete::<E>)
        .on(VIEWER, GET, &path("/{id}/history"), history::history::<E>)
        .merge(exports);
    match E::SEARCHED {
        Some(_) => routes
            .on(VIEWER, GET, &path("/similar"), similar::similar::<E>)
            // The earlier name of this route, for older clients.
            .on(VIEWER, GET, &path("/alike"), similar::similar::<E>),
        None => routes,
    }
}
