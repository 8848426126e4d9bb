//! What each step of the protocol does to the state.

use super::*;

impl Cache {
    pub(super) fn has_nonces(&self) -> bool {
        use Variant::{LockWithUncheckedFill, PlainGetLoadSet};

        !matches!(self.variant, PlainGetLoadSet | LockWithUncheckedFill)
    }

    /// Verifies a connection before it is used: the epoch must belong to the process that answers.
    pub(super) fn connect(&self, state: &mut State) {
        let fits = state
            .store
            .epoch
            .is_some_and(|(process, _)| process == state.process);
        let is_trusted = self.variant == Variant::SnapshotTrusted && state.store.epoch.is_some();
        if !fits && !is_trusted {
            state.store.epoch = Some((state.process, fresh(state)));
        }
    }

    pub(super) fn delete(&self, state: &mut State) {
        self.connect(state);
        match self.variant {
            Variant::PlainGetLoadSet | Variant::LockWithUncheckedFill => {
                state.store.entry = None;
                state.near = None;
            }
            Variant::CounterEvicted => state.store.tag = Some(state.store.tag.unwrap_or(0) + 1),
            _ => state.store.tag = None,
        }
    }

    /// The valid entry that a reader finds in its group's result, in the server's memory or in the store.
    pub(super) fn current(&self, near: Option<Entry>, seen: Store) -> Option<Entry> {
        if !self.has_nonces() {
            return seen.entry;
        }
        let present = (seen.tag, seen.epoch.map(|(_, nonce)| nonce));
        let is_current = |entry: &Entry| entry.nonces == present && present.0.is_some();
        near.filter(is_current).or(seen.entry.filter(is_current))
    }

    /// A reader that found no valid entry makes sure that the nonces exist, then joins a flight or starts one.
    pub(super) fn miss(&self, state: &mut State, reader: usize, promised: Version, seen: Store) {
        let mut present = seen;
        if seen.tag.is_none() || seen.epoch.is_none() {
            self.connect(state);
            if state.store.tag.is_none() {
                let nonce = match self.variant {
                    Variant::CounterEvicted => 0,
                    _ => fresh(state),
                };
                state.store.tag = Some(nonce);
            }
            present = match self.variant {
                // Combines the group's result with nonces that were created later.
                Variant::NoncesOfTwoReads => Store {
                    tag: seen.tag.or(state.store.tag),
                    epoch: seen.epoch.or(state.store.epoch),
                    ..seen
                },
                _ => state.store,
            };
        }
        let nonces = (present.tag, present.epoch.map(|(_, nonce)| nonce));
        state.readers[reader] = Reader::Flying { promised };
        let joins = |flight: &&mut Flight| match self.variant {
            Variant::FlightByKey | Variant::PlainGetLoadSet | Variant::LockWithUncheckedFill => {
                true
            }
            _ => flight.nonces == nonces,
        };
        // These variants get no single flight, because joining flights would add a fault that is not theirs.
        let may_join = self.has_nonces();
        match state.flights.iter_mut().find(joins).filter(|_| may_join) {
            Some(flight) => flight.passengers.push(reader),
            None => state.flights.push(Flight {
                nonces,
                loaded: None,
                passengers: vec![reader],
            }),
        }
    }

    pub(super) fn reply(&self, state: &mut State) {
        let Some(seen) = state.group.take() else {
            return;
        };
        for reader in 0..READERS {
            let Reader::Grouped { promised } = state.readers[reader] else {
                continue;
            };
            match self.current(state.near, seen) {
                Some(entry) => {
                    state.readers[reader] = Reader::Done {
                        promised,
                        found: entry.version,
                        was_hit: true,
                    };
                }
                None => self.miss(state, reader, promised, seen),
            }
        }
    }

    pub(super) fn land(&self, state: &mut State, index: usize) {
        let flight = state.flights.remove(index);
        let Some(version) = flight.loaded else { return };
        let entry = Entry {
            version,
            nonces: flight.nonces,
        };
        self.connect(state);
        state.store.entry = Some(entry);
        state.store.lock = false;
        state.near = Some(entry);
        for reader in flight.passengers {
            if let Reader::Flying { promised } = state.readers[reader] {
                state.readers[reader] = Reader::Done {
                    promised,
                    found: version,
                    was_hit: false,
                };
            }
        }
    }

    pub(super) fn restart(&self, state: &mut State, store: Store) {
        state.store = store;
        state.process += 1;
    }
}

pub(super) fn fresh(state: &mut State) -> Nonce {
    state.next_nonce += 1;
    state.next_nonce
}
