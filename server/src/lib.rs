//! Stockroom's server: a REST API over PostgreSQL. [`app()`] builds the router, which tests use directly; [`run`]
//! serves it until it is asked to stop. The modules below are listed from the top layer to the bottom.

pub mod app {
    //! The top layer: connects the features and serves them.

    pub(crate) mod background;
    pub(crate) mod connections;
    mod dispatch;
    mod entities;
    mod feed;
    mod health;
    mod metrics;
    pub mod middleware;
    pub(crate) mod router;
    mod session;
    pub mod settings;
    pub(crate) mod state;
    mod stats;
}

pub mod access {
    //! Who may do what: tokens, roles, and the check of each request.

    pub(crate) mod command;
    mod failures;
    pub(crate) mod guard;
    pub(crate) mod known;
    pub(crate) mod rights;
    pub(crate) mod routes;
    pub(crate) mod tokens;

    pub use self::{
        command::{TokenAction, command},
        tokens::generate,
    };
}

mod archive {
    //! Partitions as a feature: archive, restore, delete, export to and import from files.

    pub(crate) mod actions;
    pub(crate) mod file;
    pub(crate) mod job;
    pub(crate) mod retention;
    pub(crate) mod routes;
}

pub mod seed {
    //! Generates test data in bulk.

    mod batch;
    mod batch_spec;
    mod command;
    mod enqueue;
    mod generate;
    mod job;
    mod load;
    mod rate_limit;
    mod word_lists;

    pub use self::{command::command, generate::Generator};
    pub(crate) use self::{
        enqueue::{create, list},
        load::load,
    };
}

mod transfer {
    //! Many rows at once: bulk calls, imports and exports.

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
    //! What all entities have in common: lists, single rows, many rows, history.

    pub(crate) mod crud;
    pub(crate) mod entity;
    pub(crate) mod history;
    pub(crate) mod list;
    pub(crate) mod many;
    mod referenced;
    pub(crate) mod similar;
    pub(crate) mod table;
}

mod jobs {
    //! Background jobs. They run even if no client waits, and another server takes over if theirs is gone.

    mod cleanup;
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
            accept, accepted, apply, cancel, find, forget, get, is_busy, is_preferred, list,
            of_kind, with_preference_applied,
        },
        run::{JobError, Run, StopReason},
        runner::{run, run_next},
    };
}

pub mod store {
    //! The state that every feature uses: database, cache, partitions, change log. It must not know any handler.

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
    //! Parses requests, and turns errors into responses.

    pub(crate) mod actor;
    pub(crate) mod conditions;
    pub(crate) mod cursor;
    pub(crate) mod error;
    pub(crate) mod extract;
    pub(crate) mod listener;
    pub(crate) mod origin;
    pub(crate) mod parameters;
    pub(crate) mod respond;
    pub(crate) mod tls;
}

mod process {
    //! The state of this process: its clock, its phases of shutdown, and its limits.

    pub(crate) mod clock;
    pub(crate) mod interrupted;
    pub(crate) mod job_signals;
    pub(crate) mod lifecycle;
    pub(crate) mod signals;
    pub(crate) mod spool;
    pub(crate) mod streams;
}

pub mod local {
    //! The private PostgreSQL and Redis that a server on the user's machine starts for itself.

    pub mod guard;
    mod install;
    mod layout;
    mod lock;
    mod postgres;
    mod redis;
    mod token;
    mod user;

    pub use self::{
        layout::{DATABASE, Durability, LocalError, ROLE},
        lock::ServerLock,
        postgres::{LocalPostgres, create_database, data_dir, make_private_dir},
        token::token,
    };
}

pub use crate::{
    app::{
        middleware,
        router::{app, route_table},
        settings,
        state::AppState,
    },
    http::{
        error::Error,
        origin::Hosts,
        tls::{Tls, TlsFiles, TlsListener},
    },
    process::{clock::Clock, signals::Signals},
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

/// Serves the API on `listener` until `shutdown` resolves, then lets open requests finish.
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

/// Like [`run`], but serves `router`, which may have more routes than [`app()`].
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
        // Event streams never end by themselves; this phase ends them.
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
            tracing::warn!("some requests did not finish within {limit:?} and are cut off");
        }
    }
    state.lifecycle.advance_to(Phase::Over);
    background.stop().await;
    // Otherwise the next server would relay these changes again, needlessly.
    if let Err(error) = store::log::relay::mark_relayed(&state).await {
        tracing::warn!(%error, "the last changes could not be marked as relayed");
    }
}
