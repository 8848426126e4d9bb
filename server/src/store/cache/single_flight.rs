//! Single flight: of requests that need the same load, one makes it and the others wait for it. Two
//! kinds of need are the same: the same entry as of the same nonces, whenever it was asked for; and
//! the same entry as of now, as long as the load has not started. By the entry alone a reader could
//! join a load that began before the write that it has seen acknowledged.

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

/// How long a load waits for its turn: as long as for a connection.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// What a flight brings, for each of its passengers.
type Outcome<T> = Result<T, Problem>;
type InFlight<T> = HashMap<EntryKey, watch::Receiver<Option<Outcome<T>>>>;

#[derive(Debug)]
pub(super) struct Flights<T> {
    in_flight: Arc<Mutex<InFlight<T>>>,
    /// Loads at one time: the rest of the connections are for writes.
    loads: Arc<Semaphore>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(super) fn new(loads: usize) -> Self {
        Self {
            in_flight: Arc::default(),
            loads: Arc::new(Semaphore::new(loads)),
        }
    }

    /// The result of `flight`, or of one for the same key that is under way. It runs to its end even
    /// if its callers hang up. Tells also whether this call began it.
    ///
    /// # Errors
    /// Those of the flight, for all of its passengers.
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

    /// As [`Flights::join`], but nobody can join any more once the load has its turn and begins.
    pub(super) async fn join_unstarted(
        &self,
        key: EntryKey,
        load: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<(T, bool)> {
        let turns = self.loads.clone();
        self.join_or_start(key, |ticket| async move {
            let turn = take_turn(turns).await;
            drop(ticket);
            let _turn = turn?;
            load.await
        })
        .await
    }

    /// The turn of a load that is part of a flight, held while it loads.
    ///
    /// # Errors
    /// Where the database has been too slow for too long.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        take_turn(self.loads.clone()).await
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
                // Its passengers may all have hung up.
                let _ = finish.send(Some(outcome));
            };
            tokio::spawn(load_and_fill.in_current_span());
        }
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        match outcome {
            Some(Ok(value)) => Ok((value, is_first)),
            Some(Err(problem)) => Err(Error::Refused(Box::new(problem))),
            // It panicked; the hook has logged where.
            None => Err(Error::refused(
                Kind::Internal,
                "Something went wrong in the server; its log says what.",
            )),
        }
    }
}

/// Keeps a flight open for others to join. Gone, however the flight ends, it is closed.
struct Ticket<T> {
    key: EntryKey,
    in_flight: Arc<Mutex<InFlight<T>>>,
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        lock(&self.in_flight).remove(&self.key);
    }
}

async fn take_turn(loads: Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
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
            // The first has its turn; these two wait for theirs, together.
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
