//! Single flight: if several requests need the same load, one performs it and the others wait for the
//! result. A request may join a flight in two cases: the entry and the nonces are the same
//! ([`Flights::join`]), or the entry is the same and the load has not started ([`Flights::join_unstarted`]).
//! If the entry alone decided, a reader could join a load that began before a write whose acknowledgement
//! the reader has already seen.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use stockroom_common::{Kind, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::Instrument;

use super::entry::EntryKey;
use crate::http::error::{Error, Result};

/// How long a load waits for a permit: as long as a caller of the pool waits for a connection.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// The result of a flight, for each request that joined it.
type Outcome<T> = Result<T, Problem>;
type InFlight<T> = HashMap<EntryKey, watch::Receiver<Option<Outcome<T>>>>;

#[derive(Debug)]
pub(super) struct Flights<T> {
    in_flight: Arc<Mutex<InFlight<T>>>,
    /// Limits the concurrent loads. The cache allows as many as the `reads` pool has connections.
    loads: Arc<Semaphore>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(super) fn new(loads: usize) -> Self {
        Self {
            in_flight: Arc::default(),
            loads: Arc::new(Semaphore::new(loads)),
        }
    }

    /// Returns the result of `flight`, or of a running flight with the same key, and whether this call
    /// started it. A flight runs to its end even if all its callers are cancelled.
    ///
    /// # Errors
    /// Those of the flight, for every request that joined it.
    pub(super) async fn join(
        &self,
        key: EntryKey,
        flight: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<(T, bool)> {
        self.join_or_start(key, |ticket| async move {
            let outcome = flight.await;
            drop(ticket);
            outcome
        })
        .await
    }

    /// Like [`Flights::join`], but the flight closes to others as soon as the load has its permit and starts.
    pub(super) async fn join_unstarted(
        &self,
        key: EntryKey,
        load: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<(T, bool)> {
        let turns = self.loads.clone();
        self.join_or_start(key, |ticket| async move {
            let turn = acquire_permit(turns).await;
            drop(ticket);
            let _turn = turn?;
            load.await
        })
        .await
    }

    /// Waits for the permit that a load within a flight must hold while it runs.
    ///
    /// # Errors
    /// If no permit becomes free within 5 s.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        acquire_permit(self.loads.clone()).await
    }

    async fn join_or_start<F>(
        &self,
        key: EntryKey,
        flight: impl FnOnce(Ticket<T>) -> F,
    ) -> Result<(T, bool)>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (finish, fresh) = watch::channel(None);
        let running = match lock(&self.in_flight).entry(key) {
            Entry::Occupied(in_flight) => Some(in_flight.get().clone()),
            Entry::Vacant(vacant) => {
                vacant.insert(fresh.clone());
                None
            }
        };
        let is_first = running.is_none();
        let mut outcome = running.unwrap_or(fresh);
        if is_first {
            let in_flight = self.in_flight.clone();
            let flight = flight(Ticket { key, in_flight });
            let load_and_fill = async move {
                let outcome = flight.await.map_err(Error::into_problem);
                // Fails if every caller was cancelled.
                let _ = finish.send(Some(outcome));
            };
            tokio::spawn(load_and_fill.in_current_span());
        }
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        match outcome {
            Some(Ok(value)) => Ok((value, is_first)),
            Some(Err(problem)) => Err(Error::Refused(Box::new(problem))),
            // The load panicked; the panic hook has logged where.
            None => Err(Error::refused(
                Kind::Internal,
                "The server failed. The server's log has the details.",
            )),
        }
    }
}

/// Keeps a flight open for others to join. Dropping it closes the flight, however the flight ends.
struct Ticket<T> {
    key: EntryKey,
    in_flight: Arc<Mutex<InFlight<T>>>,
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        lock(&self.in_flight).remove(&self.key);
    }
}

async fn acquire_permit(loads: Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let turn = tokio::time::timeout(TURN_LIMIT, loads.acquire_owned()).await;
    // The semaphore is never closed.
    let turn = turn.ok().and_then(Result::ok);
    turn.ok_or_else(|| Error::Database(sqlx::Error::PoolTimedOut))
}

fn lock<T>(in_flight: &Mutex<InFlight<T>>) -> MutexGuard<'_, InFlight<T>> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn key(name: &str) -> EntryKey {
        EntryKey::new("test", name)
    }

    #[tokio::test]
    async fn those_who_need_the_same_share_one_flight() {
        let (flights, gate, begun) = (
            Flights::new(8),
            Arc::new(Notify::new()),
            Arc::new(AtomicU32::new(0)),
        );
        let load_and_fill = |name: &str| {
            let (gate, begun) = (gate.clone(), begun.clone());
            flights.join(key(name), async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Ok(number)
            })
        };
        let open = async {
            while begun.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            gate.notify_waiters();
        };
        let (first, second, other, ()) = tokio::join!(
            load_and_fill("a"),
            load_and_fill("a"),
            load_and_fill("b"),
            open
        );
        assert_eq!(first.unwrap(), (0, true));
        assert_eq!(second.unwrap(), (0, false));
        assert_eq!(other.unwrap(), (1, true));
    }

    #[tokio::test]
    async fn nobody_joins_a_load_that_has_started() {
        let (flights, gate) = (Flights::new(1), Arc::new(Notify::new()));
        let begun = Arc::new(AtomicU32::new(0));
        let load = || {
            let (gate, begun) = (gate.clone(), begun.clone());
            flights.join_unstarted(key("a"), async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Ok(number)
            })
        };
        let later = async {
            while begun.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            // The first load holds the only permit; these two wait for it as one flight.
            let waiting = async { tokio::join!(load(), load()) };
            let open = async {
                gate.notify_one();
                while begun.load(Ordering::SeqCst) < 2 {
                    tokio::task::yield_now().await;
                }
                gate.notify_one();
            };
            tokio::join!(waiting, open).0
        };
        let (first, (second, third)) = tokio::join!(load(), later);
        assert_eq!(first.unwrap(), (0, true));
        assert_eq!(second.unwrap(), (1, true));
        assert_eq!(third.unwrap(), (1, false));
    }

    #[tokio::test]
    async fn a_refusal_is_for_all_and_a_panic_closes_the_flight() {
        let flights = Flights::<u32>::new(1);
        let refuse = || {
            flights.join(key("a"), async {
                Err(Error::refused(Kind::NotFound, "none"))
            })
        };
        let (first, second) = tokio::join!(refuse(), refuse());
        assert_eq!(first.unwrap_err().to_string(), "none");
        assert_eq!(second.unwrap_err().to_string(), "none");
        let panic = flights.join(key("a"), async { panic!("expected in this test") });
        assert!(panic.await.is_err());
        assert_eq!(
            flights.join(key("a"), async { Ok(7) }).await.unwrap(),
            (7, true)
        );
    }
}
