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
    store::{Store, database::Pool, write::detached},
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
    let created = detached(async move {
        let (pool, now) = (&store.database.writes, store.options.clock.now());
        let created = tokens::create(pool, now, &principal.name, new).await?;
        refresh(&access, pool).await;
        Ok(created)
    });
    Ok((StatusCode::CREATED, Json(created.await?)).into_response())
}

/// `DELETE /v1/tokens/{id}` revokes a token.
pub(crate) async fn revoke(
    State(store): State<Store>,
    State(access): State<Arc<Access>>,
    principal: Principal,
    RowId(id): RowId<Token>,
) -> Result<StatusCode> {
    detached(async move {
        let (pool, now) = (&store.database.writes, store.options.clock.now());
        tokens::revoke(pool, now, id, &principal.name).await?;
        refresh(&access, pool).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Makes this server know what was just written.
async fn refresh(access: &Access, pool: &Pool) {
    // The write is done, so its answer must not say otherwise. The server reads the tokens again soon.
    if let Err(error) = access.refresh(pool).await {
        tracing::warn!(%error, "the tokens cannot be read after a change");
    }
}
