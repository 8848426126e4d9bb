//! The routes of tokens: create, list, revoke, and which token one has.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use stockroom_common::access::{NewToken, Token, WhoAmI};

use super::{known::Access, tokens};
use crate::{
    http::{
        actor::Principal,
        error::Result,
        extract::{Document, RowId},
    },
    store::Store,
};

/// `GET /v1/whoami`
pub(crate) async fn whoami(principal: Principal) -> Json<WhoAmI> {
    Json(WhoAmI {
        name: principal.name.as_ref().into(),
        role: principal.role,
        expires_at: principal.expires_at,
    })
}

/// `GET /v1/tokens`
pub(crate) async fn list(State(store): State<Store>) -> Result<Response> {
    let tokens = tokens::list(&store.database.reads).await?;
    Ok(Json(json!({"items": tokens})).into_response())
}

/// `POST /v1/tokens`. The answer contains the secret, which is not stored and cannot be shown again.
pub(crate) async fn create(
    State(store): State<Store>,
    State(access): State<Arc<Access>>,
    principal: Principal,
    Document(new): Document<NewToken>,
) -> Result<Response> {
    let (pool, now) = (&store.database.writes, store.options.clock.now());
    let created = tokens::create(pool, now, &principal.name, new).await?;
    access.refresh(pool).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// `DELETE /v1/tokens/{id}` revokes a token.
pub(crate) async fn revoke(
    State(store): State<Store>,
    State(access): State<Arc<Access>>,
    principal: Principal,
    RowId(id): RowId<Token>,
) -> Result<StatusCode> {
    let (pool, now) = (&store.database.writes, store.options.clock.now());
    tokens::revoke(pool, now, id, &principal.name).await?;
    access.refresh(pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
