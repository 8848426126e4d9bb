//! Probes: is the process alive, can it serve.

use std::time::Duration;

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::json;

use crate::{error::Result, state::AppState};

/// `GET /livez`: the process answers.
pub(crate) async fn live() -> impl IntoResponse {
    Json(json!({"status": "alive"}))
}

/// `GET /readyz`: the database answers, within a second.
pub(crate) async fn ready(State(state): State<AppState>) -> Result<impl IntoResponse> {
    let ping = sqlx::query("select 1").execute(&state.pool);
    match tokio::time::timeout(Duration::from_secs(1), ping).await {
        Ok(answer) => answer?,
        Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
    };
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({"status": "ready", "version": version})))
}
