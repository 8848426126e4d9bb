//! The tokens that this server accepts, in memory, so that a request costs no round trip. A counter in the database
//! tells each server within half a second that a token was created or revoked on another.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use stockroom_common::{Kind, Role, Secret, access::check_secret};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::{failures::Failures, tokens};
use crate::{
    http::{
        actor::Principal,
        error::{Error, Result},
    },
    process::clock::Clock,
    store::database::Pool,
};

/// How often the counter is read. Revocation holds on every server within a second.
const POLL: Duration = Duration::from_millis(400);
/// How often the times of the last uses are saved.
const SAVE_USES: Duration = Duration::from_secs(60);

/// The tokens that this server accepts.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// By the first bytes of the hash of their secret.
    bearers: RwLock<Arc<HashMap<u64, Arc<Bearer>>>>,
    /// Tokens with the role admin that are not in the database.
    given: Vec<Arc<Bearer>>,
    pub(super) failures: Failures,
    /// Held while the tokens are read, so that an older state never replaces a newer one.
    refreshing: Mutex<()>,
    generation: AtomicI64,
    /// Whether requests without a token are answered as if an admin had sent them. Only benchmarks do this.
    is_open: bool,
}

/// A token that is accepted.
#[derive(Debug)]
pub(super) struct Bearer {
    id: Option<Uuid>,
    pub(super) principal: Principal,
    hash: [u8; 32],
    /// Seconds since 1970; 0 if it was not used since the last save.
    used: AtomicI64,
    /// Becomes true when the token is revoked, so that open streams end.
    pub(super) revoked: watch::Sender<bool>,
}

impl Bearer {
    /// Resolves once the token is revoked or has expired.
    pub(super) async fn ended(&self, clock: &Clock) {
        let mut revoked = self.revoked.subscribe();
        let expiry = async {
            match self.principal.expires_at {
                Some(at) => {
                    let left = (at - clock.now()).to_std().unwrap_or_default();
                    tokio::time::sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives in `self`.
            _ = revoked.wait_for(|revoked| *revoked) => {}
            () = expiry => {}
        }
    }
}

impl Access {
    /// Reads the tokens from the database. `given` are the secrets of admin tokens that are not in it.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn load(pool: &Pool, given: &[Secret], is_open: bool) -> Result<Self> {
        let bearer = |secret: &Secret| {
            Arc::new(Bearer {
                id: None,
                principal: Principal {
                    name: tokens::GIVEN_TOKEN.into(),
                    role: Role::Admin,
                    expires_at: None,
                },
                hash: tokens::hash(secret.expose()),
                used: AtomicI64::default(),
                revoked: watch::Sender::default(),
            })
        };
        let access = Self {
            given: given.iter().map(bearer).collect(),
            generation: AtomicI64::new(i64::MIN),
            is_open,
            ..Self::default()
        };
        access.refresh(pool).await?;
        Ok(access)
    }

    /// The principal of requests without a token, where they are allowed.
    pub(super) fn anonymous() -> Principal {
        Principal {
            name: "anonymous".into(),
            role: Role::Admin,
            expires_at: None,
        }
    }

    /// Whether any token is accepted.
    pub(crate) fn has_tokens(&self) -> bool {
        self.is_open || !self.given.is_empty() || !self.bearers().is_empty()
    }

    /// Keeps the tokens up to date for as long as the server runs.
    pub(crate) async fn follow(self: Arc<Self>, pool: Pool) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut saved = tokio::time::Instant::now();
        let mut is_reported = false;
        loop {
            ticks.tick().await;
            match self.refresh(&pool).await {
                Ok(()) => is_reported = false,
                Err(_) if is_reported => {}
                Err(error) => {
                    tracing::warn!(%error, "the tokens cannot be read; those known so far stay accepted");
                    is_reported = true;
                }
            }
            if saved.elapsed() >= SAVE_USES {
                saved = tokio::time::Instant::now();
                let _ = self.save_uses(&pool).await;
            }
        }
    }

    /// Reads the tokens again if any was created or revoked.
    ///
    /// # Errors
    /// If the database cannot be reached. The tokens are then those of the last time.
    pub(crate) async fn refresh(&self, pool: &Pool) -> Result<()> {
        let _turn = self.refreshing.lock().await;
        // Read before the tokens: a change in between is read again next time.
        let generation = tokens::generation(pool).await?;
        if generation == self.generation.load(Relaxed) {
            return Ok(());
        }
        let before = self.bearers();
        let known: HashMap<Uuid, &Arc<Bearer>> = before
            .values()
            .filter_map(|bearer| Some((bearer.id?, bearer)))
            .collect();
        let mut bearers = HashMap::new();
        for (token, hash) in tokens::active(pool).await? {
            let Ok(hash) = <[u8; 32]>::try_from(hash) else {
                continue;
            };
            // The same object as before, because open streams wait for its revocation.
            let bearer = known.get(&token.id.uuid()).map_or_else(
                || {
                    Arc::new(Bearer {
                        id: Some(token.id.uuid()),
                        principal: Principal {
                            name: token.name.into(),
                            role: token.role,
                            expires_at: token.expires_at,
                        },
                        hash,
                        used: AtomicI64::default(),
                        revoked: watch::Sender::default(),
                    })
                },
                |bearer| Arc::clone(bearer),
            );
            bearers.insert(index(&hash), bearer);
        }
        for (index, bearer) in before.iter() {
            if !bearers.contains_key(index) {
                bearer.revoked.send_replace(true);
            }
        }
        *self.bearers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(bearers);
        self.generation.store(generation, Relaxed);
        Ok(())
    }

    /// Finds the bearer of a secret; `None` if requests need no token here.
    ///
    /// # Errors
    /// 401 if there is no secret, or it is not accepted.
    pub(super) fn check(&self, secret: Option<&str>, clock: &Clock) -> Result<Option<Arc<Bearer>>> {
        let refused = |detail: String| Error::refused(Kind::Unauthenticated, detail);
        let Some(secret) = secret else {
            if self.is_open {
                return Ok(None);
            }
            return Err(refused(
                "Send a token, as `Authorization: Bearer sr_…`. `stockroom-server token create` makes one.".into(),
            ));
        };
        check_secret(secret).map_err(|fault| refused(format!("This is not a token: {fault}.")))?;
        let hash = tokens::hash(secret);
        let bearers = self.bearers();
        // The map finds by a part of the hash; the whole is compared in constant time.
        let mut candidates = bearers.get(&index(&hash)).into_iter().chain(&self.given);
        let found = candidates.find(|bearer| bool::from(bearer.hash.ct_eq(&hash)));
        let Some(bearer) = found else {
            return Err(refused(
                "The token is not accepted here: it was revoked, or belongs to another shop."
                    .into(),
            ));
        };
        let now = clock.now();
        if let Some(at) = bearer.principal.expires_at.filter(|at| *at <= now) {
            let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Err(refused(format!("The token expired at {at}.")));
        }
        bearer.used.store(now.timestamp(), Relaxed);
        Ok(Some(bearer.clone()))
    }

    async fn save_uses(&self, pool: &Pool) -> Result<()> {
        let bearers = self.bearers();
        let uses: Vec<(Uuid, DateTime<Utc>)> = bearers
            .values()
            .filter_map(|bearer| {
                let used = bearer.used.swap(0, Relaxed);
                let at = DateTime::from_timestamp(used, 0).filter(|_| used > 0)?;
                Some((bearer.id?, at))
            })
            .collect();
        if uses.is_empty() {
            return Ok(());
        }
        tokens::save_uses(pool, &uses).await
    }

    fn bearers(&self) -> Arc<HashMap<u64, Arc<Bearer>>> {
        let bearers = self.bearers.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&bearers)
    }
}

fn index(hash: &[u8; 32]) -> u64 {
    let (first, _) = hash.split_first_chunk().expect("32 bytes are more than 8");
    u64::from_le_bytes(*first)
}
