//! Slows down callers who send tokens that are not accepted, by their address.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures of one address that are answered at once.
const BURST: u32 = 10;
/// How long it takes until one more is.
const PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// The addresses that failed lately.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the failures of each address will be forgotten. Each failure moves that by [`PERIOD`].
    addresses: HashMap<Box<str>, Instant>,
    swept: Option<Instant>,
}

impl Failures {
    /// Counts a failure; returns false if the address has failed too often lately.
    pub(super) fn count(&self, address: &str, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = known
            .addresses
            .get(address)
            .map_or(now, |at| (*at).max(now))
            + PERIOD;
        if forgotten - now > PERIOD * BURST {
            return false;
        }
        let is_full = known.addresses.len() >= MAX_ADDRESSES;
        if is_full && known.swept.is_none_or(|swept| now >= swept + PERIOD) {
            known.addresses.retain(|_, at| *at > now);
            known.swept = Some(now);
        }
        if known.addresses.len() < MAX_ADDRESSES {
            known.addresses.insert(address.into(), forgotten);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_often_must_wait_and_others_need_not() {
        let failures = Failures::default();
        let now = Instant::now();
        for _ in 0..BURST {
            assert!(failures.count("192.0.2.1", now));
        }
        assert!(!failures.count("192.0.2.1", now));
        assert!(failures.count("192.0.2.2", now));
        let later = now + PERIOD;
        assert!(failures.count("192.0.2.1", later));
        assert!(!failures.count("192.0.2.1", later));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let failures = Failures::default();
        let now = Instant::now();
        for number in 0..2 * MAX_ADDRESSES {
            failures.count(&number.to_string(), now);
        }
        assert_eq!(failures.0.lock().unwrap().addresses.len(), MAX_ADDRESSES);
        assert!(failures.count("x", now + PERIOD));
        assert_eq!(failures.0.lock().unwrap().addresses.len(), 1);
    }
}
