//! The cache protocol as a model whose steps a checker explores in every order: readers of one server with its
//! memory, its groups and its flights; writers on any server; the relay; and a store that evicts, restarts empty or
//! from an old snapshot, and loses deletes. No read may be older than what was promised before it started. The
//! checker must find a violation in each variant that does one step wrong.

mod steps;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Upper limits; each check chooses how many readers and writers act.
const READERS: usize = 3;
const WRITERS: usize = 2;

/// How the model deviates from the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    AsDesigned,
    /// Get, load, set; a write deletes the entry after its commit.
    PlainGetLoadSet,
    /// Like `PlainGetLoadSet`, but only one reader at a time may load and set.
    LockWithUncheckedFill,
    /// A tag is a counter that writes increment and that restarts at zero after an eviction.
    CounterEvicted,
    /// A reader joins any flight for the entry, whatever its nonces.
    FlightByKey,
    /// A group admits readers that arrived after its read was sent.
    GroupTakesLatecomers,
    /// The epoch is not compared with the process that answers.
    SnapshotTrusted,
    /// A flight may be joined with a mixture of nonces from before and after a restart.
    NoncesOfTwoReads,
}

type Version = u8;
type Nonce = u8;

/// The nonces of the tag and of the epoch.
type Nonces = (Option<Nonce>, Option<Nonce>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    version: Version,
    nonces: Nonces,
}

/// The keys in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    tag: Option<Nonce>,
    /// The store process that the epoch was created in, and its nonce.
    epoch: Option<(u8, Nonce)>,
    entry: Option<Entry>,
    lock: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reader {
    Idle,
    /// Has arrived and waits for a group; `promised` is what was promised when it arrived.
    Waiting {
        promised: Version,
    },
    /// Its group has sent its read.
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
    /// Acknowledged, or its server died before it could be.
    Done,
}

/// A load in progress and the readers that wait for it.
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
    /// Whether the change log has entries that were not relayed.
    unrelayed: bool,
    store: Store,
    /// The number of the current store process.
    process: u8,
    snapshot: Option<Store>,
    near: Option<Entry>,
    /// The result of the current group's read.
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
    /// The tags could not be deleted. The write is acknowledged as deferred or not at all; either way nothing is
    /// promised.
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
        // Also start from a filled cache, so that three readers explore further.
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
        // Readers are interchangeable, and so are writers, so only the first idle one may start.
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
                // Relayed changes are promised as well.
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
fn protocol_holds_in_every_order_of_its_steps() {
    // Either all three readers or both writers; all of them together would take hours.
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
fn model_checker_rejects_every_wrong_variant() {
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
