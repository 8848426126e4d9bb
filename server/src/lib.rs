//! Stockroom's server: a REST API over PostgreSQL. [`app`] builds the router that tests drive,
//! [`run`] serves it until told to stop.

mod alike;
mod background;
mod bulk;
pub mod cache;
mod category;
mod clock;
mod conditions;
mod connections;
mod copy;
mod crud;
mod cursor;
mod customer;
mod database;
mod dispatch;
mod entity;
mod error;
mod export;
mod extract;
mod feed;
mod health;
mod history;
mod import;
mod interrupted;
mod job_signals;
mod jobs;
mod known_parameters;
mod lifecycle;
mod list;
mod listener;
pub mod local;
mod log;
mod metrics;
pub mod middleware;
mod options;
mod order;
mod origin;
mod parameters;
mod partitions;
mod product;
mod respond;
mod router;
mod rows;
pub mod seed;
mod session;
pub mod settings;
mod spool;
mod state;
mod stats;
mod stock_moves;
mod store;
mod streams;
mod write;

pub use crate::{
    clock::Clock,
    database::{
        Connection, Database, Lease, MIN_CONNECTIONS, Pool, Pooling, check_pooling, migrate,
        wait_for,
    },
    error::Error,
    options::Options,
    origin::Hosts,
    partitions::{Age, Interval, Partitions, Retention},
    router::app,
    seed::Generator,
    state::AppState,
};

use axum::{Router, serve::Listener};

use crate::{background::Background, lifecycle::Phase};

/// Serves the API on `listener` until `shutdown` is ready, then lets open requests finish.
pub async fn run<L>(
    listener: L,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    serve(listener, app(state.clone()), state, shutdown).await
}

/// As [`run`], with routes beside those of [`app`].
pub async fn serve<L>(
    listener: L,
    router: Router,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let background = Background::start(&state);
    let of = state.clone();
    let serve = connections::serve(listener, router, state.options.head_limit, async move {
        shutdown.await;
        of.lifecycle.advance_to(Phase::Leaving);
        tokio::time::sleep(of.options.leave_delay).await;
        // Streams have no end of their own; this ends them.
        of.lifecycle.advance_to(Phase::Stopping);
    });
    let limit = state.options.drain_limit;
    let drained = async {
        state.lifecycle.until(Phase::Stopping).await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        () = serve => {}
        () = drained => {
            tracing::warn!("some requests did not finish in {limit:?}; they are cut off");
        }
    }
    state.lifecycle.advance_to(Phase::Over);
    background.stop().await;
    // What is not marked now would be relayed once more by the next server, for nothing.
    if let Err(error) = log::relay::mark(&state).await {
        tracing::warn!(%error, "the last changes could not be marked as relayed");
    }
}
