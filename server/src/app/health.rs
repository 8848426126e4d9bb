//! Probes: is the process alive, can it serve.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::json;

use stockroom_common::Kind;

use crate::{
    http::error::{Error, Result},
    process::lifecycle::Phase,
    store::Store,
};

/// `GET /livez`: the process answers.
pub(crate) async fn live() -> impl IntoResponse {
    Json(json!({"status": "alive"}))
}

/// `GET /readyz`: the database answers within a second and takes writes, calls do not hang, and the server is
/// not about to stop.
pub(crate) async fn ready(State(store): State<Store>) -> Result<impl IntoResponse> {
    if store.lifecycle.has_reached(Phase::Leaving) {
        return Err(Error::refused(
            Kind::Unavailable,
            "The server is about to stop.",
        ));
    }
    if store.database.health().await?.is_read_only {
        let detail =
            "The database is read-only: it may be a standby by now. Send writes to the primary.";
        return Err(Error::refused(Kind::Unavailable, detail));
    }
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({"status": "ready", "version": version})))
}
