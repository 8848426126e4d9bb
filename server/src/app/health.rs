//! The probes for liveness and readiness.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::json;

use stockroom_common::Kind;

use crate::{
    http::error::{Error, Result},
    process::lifecycle::Phase,
    store::Store,
};

/// `GET /livez`: 200 as long as the process answers.
pub(crate) async fn live() -> impl IntoResponse {
    Json(json!({"status": "alive"}))
}

/// `GET /readyz`: 200 if the database answers within a second and accepts writes, calls do not hang, and the server is
/// not about to stop; otherwise 503.
pub(crate) async fn ready(State(store): State<Store>) -> Result<impl IntoResponse> {
    if store.lifecycle.has_reached(Phase::Leaving) {
        return Err(Error::refused(Kind::Unavailable, "The server is stopping."));
    }
    if store.database.health().await?.is_read_only {
        let detail =
            "The database is read-only; it may have become a standby. Send writes to the primary.";
        return Err(Error::refused(Kind::Unavailable, detail));
    }
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({"status": "ready", "version": version})))
}
