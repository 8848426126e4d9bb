//! The state that all handlers share. Features take only the [`Store`] from it.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;

use crate::{
    access::known::Access,
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
    pub(crate) access: Arc<Access>,
}

impl AppState {
    /// Prepares a migrated database for serving.
    ///
    /// # Errors
    /// If the database cannot be reached or is not migrated.
    pub async fn new(database: Database, options: Options) -> Result<Self> {
        let (pool, is_open) = (&database.background, options.is_open);
        let access = Access::load(pool, &options.admin_tokens, is_open).await?;
        Ok(Self {
            access: Arc::new(access),
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

    /// Whether any token is accepted. Without one, only the routes that need no token answer.
    pub fn has_tokens(&self) -> bool {
        self.access.has_tokens()
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

impl FromRef<AppState> for Arc<Access> {
    fn from_ref(state: &AppState) -> Self {
        state.access.clone()
    }
}

impl FromRef<AppState> for BodyLimits {
    fn from_ref(state: &AppState) -> Self {
        Self::from_ref(&state.store)
    }
}
