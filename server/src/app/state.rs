//! The state that all handlers share. Features take only the [`Store`] from it.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;

use crate::{
    app::{feed::Feed, session::Sessions},
    http::{error::Result, extract::BodyLimits},
    process::lifecycle::Phase,
    store::{Store, database::Database, options::Options},
};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) sessions: Arc<Sessions>,
}

impl AppState {
    /// Prepares a migrated database for serving.
    ///
    /// # Errors
    /// If the database cannot be reached or is not migrated.
    pub async fn new(database: Database, options: Options) -> Result<Self> {
        Ok(Self {
            store: Store::open(database, options).await?,
            feed: Arc::default(),
            sessions: Arc::default(),
        })
    }

    /// Resolves once no client has been attached for a while: see `session.rs`.
    pub async fn wait_until_idle(&self) {
        self.sessions.wait_until_idle(&self.store).await;
    }

    /// Ends the delay before the server stops (`--leave-delay`).
    pub fn stop_at_once(&self) {
        self.lifecycle.advance_to(Phase::Stopping);
    }

    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl Deref for AppState {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl FromRef<AppState> for Store {
    fn from_ref(state: &AppState) -> Self {
        state.store.clone()
    }
}

impl FromRef<AppState> for Arc<Feed> {
    fn from_ref(state: &AppState) -> Self {
        state.feed.clone()
    }
}

impl FromRef<AppState> for Arc<Sessions> {
    fn from_ref(state: &AppState) -> Self {
        state.sessions.clone()
    }
}

impl FromRef<AppState> for BodyLimits {
    fn from_ref(state: &AppState) -> Self {
        Self::from_ref(&state.store)
    }
}
