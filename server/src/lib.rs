//! Stockroom's server: a REST API over PostgreSQL. [`app()`] builds the router that tests drive,
//! [`run`] serves it until told to stop.

pub mod app {
    //! What stands on top: it wires features together and serves them.

    pub(crate) mod background;
    pub(crate) mod connections;
    mod dispatch;
    mod feed;
    mod health;
    mod known_parameters;
    mod metrics;
    pub mod middleware;
    pub(crate) mod router;
    mod session;
    pub mod settings;
    pub(crate) mod state;
    mod stats;
}

mod archive {
    //! Partitions as a feature: taken off, put back, deleted, kept in files.

    pub(crate) mod actions;
    pub(crate) mod file;
    pub(crate) mod job;
    pub(crate) mod retention;
    pub(crate) mod routes;
}

pub mod seed {
    //! Test data in bulk.

    mod batch;
    mod batch_spec;
    mod command;
    mod enqueue;
    mod generate;
    mod job;
    mod load;
    mod rate_limit;
    mod words;

    pub use self::{command::command, generate::Generator};
    pub(crate) use self::{
        enqueue::{create, list},
        load::load,
    };
}

mod transfer {
    //! Many rows at once: in one call, from a file, into a file.

    pub(crate) mod bulk;
    pub(crate) mod export;
    pub(crate) mod import;
    pub(crate) mod interrupt;
    pub(crate) mod parameters;
}

mod shop {
    //! The four entities: their tables, keys and rules.

    pub(crate) mod category;
    pub(crate) mod customer;
    pub(crate) mod order;
    pub(crate) mod product;
}

mod rows {
    //! What every entity can do: lists, single rows, many rows, history.

    pub(crate) mod crud;
    pub(crate) mod entity;
    pub(crate) mod history;
    pub(crate) mod list;
    pub(crate) mod many;
    pub(crate) mod similar;
    pub(crate) mod table;
}

mod jobs {
    //! Work that goes on whoever waits for it, and on another server where its own is gone.

    mod events;
    mod file;
    mod outcome;
    mod progress;
    mod queue;
    mod routes;
    mod run;
    mod runner;

    pub(crate) use self::{
        events::{all_events, events, watch_all},
        file::{ChunkWriter, FileChunks, fetch, store_file},
        outcome::Outcome,
        queue::{COLUMNS, NewJob, from_row, insert},
        routes::{
            accept, accepted, apply, as_preferred, cancel, find, forget, get, is_busy,
            is_preferred, list, of_kind,
        },
        run::{JobError, Run, StopReason},
        runner::{run, run_next},
    };
}

pub mod store {
    //! What every feature may reach. It knows no handler.

    pub mod cache;
    pub(crate) mod copy;
    pub(crate) mod database;
    pub(crate) mod log;
    pub(crate) mod options;
    pub(crate) mod partitions;
    mod shared;
    pub(crate) mod stock_moves;
    pub(crate) mod write;

    pub use self::shared::Store;
}

mod http {
    //! What a request may say and how it is refused.

    pub(crate) mod conditions;
    pub(crate) mod cursor;
    pub(crate) mod error;
    pub(crate) mod extract;
    pub(crate) mod listener;
    pub(crate) mod origin;
    pub(crate) mod parameters;
    pub(crate) mod respond;
}

mod process {
    //! What this process knows of itself: the time, whether it is to stop, how much of anything there may be.

    pub(crate) mod clock;
    pub(crate) mod interrupted;
    pub(crate) mod job_signals;
    pub(crate) mod lifecycle;
    pub(crate) mod spool;
    pub(crate) mod streams;
}

pub mod local {
    //! The private PostgreSQL and Redis of a server on its own machine.

    pub mod guard;
    mod install;
    mod layout;
    mod lock;
    mod postgres;
    mod redis;
    mod user;

    pub use self::{
        layout::{DATABASE, Durability, LocalError, ROLE},
        lock::ServerLock,
        postgres::{LocalPostgres, create_database, data_dir, make_private_dir},
    };
}

pub use crate::{
    app::{middleware, router::app, settings, state::AppState},
    http::{error::Error, origin::Hosts},
    process::clock::Clock,
    seed::Generator,
    store::{
        cache,
        database::{
            Connection, Database, Lease, MIN_CONNECTIONS, Pool, Pooling, check_pooling, migrate,
            wait_for,
        },
        options::Options,
        partitions::{Age, Interval, Partitions, Retention},
    },
};

use axum::{Router, serve::Listener};

use crate::{app::background::Background, process::lifecycle::Phase};

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

/// As [`run`], with routes beside those of [`app()`].
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
    let serve = app::connections::serve(listener, router, state.options.head_limit, async move {
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
    if let Err(error) = store::log::relay::mark_relayed(&state).await {
        tracing::warn!(%error, "the last changes could not be marked as relayed");
    }
}
