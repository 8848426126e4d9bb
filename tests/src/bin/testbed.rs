//! The server for tests and benchmarks. `STOCKROOM_BREAK` names a way to break the cache protocol on purpose. A route
//! outside the API returns a fixed body, the baseline for cached responses.

use std::{env, process::ExitCode, sync::Arc};

use axum::{Router, body::Bytes, http::header, routing::get};
use sqlx::postgres::PgConnectOptions;
use stockroom_common::Secret;
use stockroom_server::{
    AppState, Database, Options, Pooling, app,
    cache::{CacheOptions, StoreKind},
    middleware, migrate, serve,
};
use stockroom_tests::sabotage;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = env::var("STOCKROOM_LOG").unwrap_or_else(|_| "error".into());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let database: PgConnectOptions = env::var("DATABASE_URL")?.parse()?;
    migrate(&database, Pooling::Session).await?;
    let database = Database::new(database, Pooling::Session, 24);
    let cache = CacheOptions {
        store: StoreKind::Redis(env::var("REDIS_URL")?.parse()?),
        wrap: env::var("STOCKROOM_BREAK")
            .ok()
            .map(|how| sabotage::wrap(&how)),
        ..CacheOptions::default()
    };
    let options = Options {
        cache,
        admin_tokens: env::var("STOCKROOM_ADMIN_TOKEN")
            .into_iter()
            .map(Secret::new)
            .collect(),
        ..Options::default()
    };
    let state = AppState::new(database, options).await?;
    let body: usize = env::var("STOCKROOM_FIXED_BYTES")
        .ok()
        .map_or(Ok(300), |bytes| bytes.parse())?;
    let body = Bytes::from("x".repeat(body));
    let fixed = |path| -> Router<AppState> {
        let body = Arc::new(body.clone());
        let answer = move || async move {
            // The headers of a cached row.
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::ETAG, "\"1\""),
                (header::CACHE_CONTROL, "no-cache"),
                (header::AGE, "12"),
                (
                    header::HeaderName::from_static("cache-status"),
                    "stockroom; hit; ttl=540",
                ),
            ];
            (headers, Bytes::clone(&body))
        };
        Router::new().route(path, get(answer))
    };
    let layered = middleware::wrap(middleware::limit_time(fixed("/fixed/{id}"), &state), &state);
    let beside = layered.merge(fixed("/bare/{id}"));
    let router = app(state.clone()).merge(beside.with_state(state.clone()));
    let listener = TcpListener::bind(env::var("STOCKROOM_LISTEN")?).await?;
    // Runs until its parent process ends it.
    serve(listener, router, state, std::future::pending()).await;
    Ok(())
}
