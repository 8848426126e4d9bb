//! The protocol as a model that a checker walks through in every order of its steps: readers of one
//! server with its memory, its groups and its flights, writers anywhere, the relay, and a store that
//! evicts, restarts empty or from an old snapshot and loses deletes. No read may be older than what was
//! promised before it started. Variants with one thing done wrong must be found out.

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Readers and writers at the most; a walk says how many of them act.
const READERS: usize = 3;
const WRITERS: usize = 2;

/// What is done in another way than by the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    AsDesigned,
    /// Get, load, set; a write deletes the entry after its commit.
    PlainGetLoadSet,
    /// The same, but only one at a time may load and set.
    LockWithUncheckedFill,
    /// A tag is a counter that writes increment and that begins anew once evicted.
    CounterEvicted,
    /// A reader joins whatever flight there is for the entry.
    FlightByKey,
    /// A group takes in who arrived after its read was sent.
    GroupTakesLatecomers,
    /// The epoch is not compared with the process that answers.
    SnapshotTrusted,
    /// A flight is joined by nonces some of which are of before a restart, others of after it.
    NoncesOfTwoReads,
}

type Version = u8;
type Nonce = u8;

/// Nonces of the tag and of the epoch.
type Nonces = (Option<Nonce>, Option<Nonce>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    version: Version,
    nonces: Nonces,
}

/// The keys of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    tag: Option<Nonce>,
    /// With the number of the process that it was made in.
    epoch: Option<(u8, Nonce)>,
    entry: Option<Entry>,
    lock: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Idle,
    /// Has arrived, with what was promised by then; waits for a group.
    Waiting {
        promised: Version,
    },
    /// Its group's read is sent.
    Grouped {
        promised: Version,
    },
    Flying {
        promised: Version,
    },
    Done {
        promised: Version,
        found: Version,
        was_hit: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Committed(Version),
    Deleted(Version),
    /// Acknowledged, or dead before it could be.
    Done,
}

/// A load under way, for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    nonces: Nonces,
    loaded: Option<Version>,
    passengers: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    committed: Version,
    promised: Version,
    /// Whether the log has changes that were not relayed.
    unrelayed: bool,
    store: Store,
    /// Which process the store is.
    process: u8,
    snapshot: Option<Store>,
    near: Option<Entry>,
    /// What the group that is under way has read.
    group: Option<Store>,
    flights: Vec<Flight>,
    readers: [Reader; READERS],
    writers: [Writer; WRITERS],
    next_nonce: Nonce,
    evictions: u8,
    was_repaired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Arrive(usize),
    SendGroup,
    Reply,
    Load(usize),
    Land(usize),
    Commit(usize),
    Delete(usize),
    Acknowledge(usize),
    /// The tags could not be deleted: acknowledged as deferred, or never, which promises as little.
    GiveUp(usize),
    Relay,
    EvictTag,
    EvictEntry,
    TakeSnapshot,
    RestartEmpty,
    RestartFromSnapshot,
}

struct Cache {
    variant: Variant,
    readers: usize,
    writers: usize,
}

impl Cache {
    fn has_nonces(&self) -> bool {
        use Variant::{LockWithUncheckedFill, PlainGetLoadSet};

        !matches!(self.variant, PlainGetLoadSet | LockWithUncheckedFill)
    }

    /// A connection is proven before it is used: the epoch is that of the process that answers.
    fn connect(&self, state: &mut State) {
        let fits = state
            .store
            .epoch
            .is_some_and(|(process, _)| process == state.process);
        let is_trusted = self.variant == Variant::SnapshotTrusted && state.store.epoch.is_some();
        if !fits && !is_trusted {
            state.store.epoch = Some((state.process, fresh(state)));
        }
    }

    fn delete(&self, state: &mut State) {
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

    /// What a reader finds in what its group has read: a current entry, near or in the store.
    fn current(&self, near: Option<Entry>, seen: Store) -> Option<Entry> {
        if !self.has_nonces() {
            return seen.entry;
        }
        let present = (seen.tag, seen.epoch.map(|(_, nonce)| nonce));
        let is_current = |entry: &Entry| entry.nonces == present && present.0.is_some();
        near.filter(is_current).or(seen.entry.filter(is_current))
    }

    /// A reader that found nothing joins a flight or begins one, with nonces in place.
    fn miss(&self, state: &mut State, reader: usize, promised: Version, seen: Store) {
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
                // What the group has read stands beside what was missing.
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
        // The plain variants are no worse than they are for single flight.
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

    fn reply(&self, state: &mut State) {
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

    fn land(&self, state: &mut State, index: usize) {
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

    fn restart(&self, state: &mut State, store: Store) {
        state.store = store;
        state.process += 1;
    }
}

fn fresh(state: &mut State) -> Nonce {
    state.next_nonce += 1;
    state.next_nonce
}

impl Model for Cache {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let empty = State {
            committed: 1,
            promised: 1,
            unrelayed: false,
            store: Store::default(),
            process: 0,
            snapshot: None,
            near: None,
            group: None,
            flights: Vec::new(),
            readers: [Reader::Idle; READERS],
            writers: [Writer::Idle; WRITERS],
            next_nonce: 10,
            evictions: 0,
            was_repaired: false,
        };
        // A cache that somebody has read through already, so that three readers reach further.
        let mut filled = empty.clone();
        self.connect(&mut filled);
        filled.store.tag = Some(0);
        let entry = Entry {
            version: 1,
            nonces: (Some(0), filled.store.epoch.map(|(_, nonce)| nonce)),
        };
        filled.store.entry = Some(entry);
        filled.near = Some(entry);
        vec![empty, filled]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        // Readers are alike, and so are writers: the next one begins.
        let idle = state
            .readers
            .iter()
            .position(|reader| *reader == Reader::Idle);
        let idle = idle.filter(|reader| *reader < self.readers);
        steps.extend(idle.map(Step::Arrive));
        let idle = state
            .writers
            .iter()
            .position(|writer| *writer == Writer::Idle);
        let idle = idle.filter(|writer| *writer < self.writers);
        steps.extend(idle.map(Step::Commit));
        let is_waiting = |reader: &Reader| matches!(reader, Reader::Waiting { .. });
        if state.group.is_none() && state.readers.iter().any(is_waiting) {
            steps.push(Step::SendGroup);
        }
        if state.group.is_some() {
            steps.push(Step::Reply);
        }
        for (index, flight) in state.flights.iter().enumerate() {
            let is_locked = self.variant == Variant::LockWithUncheckedFill && state.store.lock;
            match flight.loaded {
                None if is_locked => {}
                None => steps.push(Step::Load(index)),
                Some(_) => steps.push(Step::Land(index)),
            }
        }
        for (index, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Committed(_) => steps.extend([Step::Delete(index), Step::GiveUp(index)]),
                Writer::Deleted(_) => steps.push(Step::Acknowledge(index)),
                Writer::Idle | Writer::Done => {}
            }
        }
        if state.unrelayed {
            steps.push(Step::Relay);
        }
        if state.evictions < 1 {
            steps.extend(state.store.tag.map(|_| Step::EvictTag));
            steps.extend(state.store.entry.map(|_| Step::EvictEntry));
        }
        if state.process == 0 {
            if state.snapshot.is_none() {
                steps.push(Step::TakeSnapshot);
            }
            steps.push(Step::RestartEmpty);
            steps.extend(state.snapshot.map(|_| Step::RestartFromSnapshot));
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Arrive(reader) => {
                let promised = state.promised;
                state.readers[reader] = Reader::Waiting { promised };
                if self.variant == Variant::GroupTakesLatecomers && state.group.is_some() {
                    state.readers[reader] = Reader::Grouped { promised };
                }
            }
            Step::SendGroup => {
                self.connect(&mut state);
                state.group = Some(state.store);
                for reader in &mut state.readers {
                    if let Reader::Waiting { promised } = *reader {
                        *reader = Reader::Grouped { promised };
                    }
                }
            }
            Step::Reply => self.reply(&mut state),
            Step::Load(index) => {
                state.store.lock |= self.variant == Variant::LockWithUncheckedFill;
                state.flights[index].loaded = Some(state.committed);
            }
            Step::Land(index) => self.land(&mut state, index),
            Step::Commit(writer) => {
                state.committed += 1;
                state.unrelayed = true;
                state.writers[writer] = Writer::Committed(state.committed);
            }
            Step::Delete(writer) => {
                let Writer::Committed(version) = state.writers[writer] else {
                    return None;
                };
                self.delete(&mut state);
                state.writers[writer] = Writer::Deleted(version);
            }
            Step::Acknowledge(writer) => {
                let Writer::Deleted(version) = state.writers[writer] else {
                    return None;
                };
                state.promised = state.promised.max(version);
                state.writers[writer] = Writer::Done;
            }
            Step::GiveUp(writer) => state.writers[writer] = Writer::Done,
            Step::Relay => {
                self.delete(&mut state);
                state.unrelayed = false;
                state.was_repaired |= state.promised < state.committed;
                // What is relayed is promised as well.
                state.promised = state.committed;
            }
            Step::EvictTag => {
                state.store.tag = None;
                state.evictions += 1;
            }
            Step::EvictEntry => {
                state.store.entry = None;
                state.evictions += 1;
            }
            Step::TakeSnapshot => state.snapshot = Some(state.store),
            Step::RestartEmpty => self.restart(&mut state, Store::default()),
            Step::RestartFromSnapshot => {
                let store = state.snapshot?;
                self.restart(&mut state, store);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(FRESH, |_, state: &State| {
                state.readers.iter().all(|reader| match reader {
                    Reader::Done {
                        promised, found, ..
                    } => found >= promised,
                    _ => true,
                })
            }),
            Property::sometimes("the newest is found by a hit", |_, state: &State| {
                state.readers.iter().any(|reader| {
                    matches!(
                        reader,
                        Reader::Done {
                            found: 2..,
                            was_hit: true,
                            ..
                        }
                    )
                })
            }),
            Property::sometimes("two readers share a flight", |_, state: &State| {
                state
                    .flights
                    .iter()
                    .any(|flight| flight.passengers.len() > 1)
            }),
            Property::sometimes("the relay repairs", |_, state: &State| state.was_repaired),
        ]
    }
}

const FRESH: &str = "no read is older than what was promised before it";

#[test]
fn the_protocol_holds_in_every_order_of_its_steps() {
    // All three readers or both writers: together they would take hours.
    for (readers, writers) in [(3, 1), (2, 2)] {
        let cache = Cache {
            variant: Variant::AsDesigned,
            readers,
            writers,
        };
        let checker = cache.checker().threads(2).spawn_bfs().join();
        checker.assert_properties();
        stockroom_tests::say(&format!(
            "model of {readers} readers and {writers} writers: {} states, {} steps deep",
            checker.unique_state_count(),
            checker.max_depth()
        ));
    }
}

#[test]
fn every_wrong_variant_is_found_out() {
    for variant in [
        Variant::PlainGetLoadSet,
        Variant::LockWithUncheckedFill,
        Variant::CounterEvicted,
        Variant::FlightByKey,
        Variant::GroupTakesLatecomers,
        Variant::SnapshotTrusted,
        Variant::NoncesOfTwoReads,
    ] {
        let cache = Cache {
            variant,
            readers: READERS,
            writers: 1,
        };
        let found = HasDiscoveries::AnyFailures;
        let checker = cache.checker().threads(2).finish_when(found);
        let path = checker.spawn_bfs().join().discovery(FRESH);
        assert!(path.is_some(), "{variant:?} was not found out");
    }
}
