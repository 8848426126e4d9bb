//! Counters of the cache, for `/metrics` and `/v1/stats`.

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use stockroom_common::stats::CacheStats;

/// Cheap to clone; all clones share the same counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) bypasses: Counter,
    pub(crate) fills: Counter,
    /// Misses answered by the load of another request or server.
    pub(crate) collapsed: Counter,
    pub(crate) loads: Counter,
    pub(crate) round_trips: Counter,
    /// Requests that these round trips answered.
    pub(crate) batched: Counter,
    pub(crate) invalidations: Counter,
    pub(crate) deferred: Counter,
    pub(crate) repairs: Counter,
}

impl Counters {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("cache_hits", "Reads answered from the cache", &self.hits),
            (
                "cache_misses",
                "Reads that found no current entry",
                &self.misses,
            ),
            (
                "cache_bypasses",
                "Reads that did not ask the cache",
                &self.bypasses,
            ),
            ("cache_fills", "Answers stored in the cache", &self.fills),
            (
                "cache_collapsed",
                "Misses answered by another request's load",
                &self.collapsed,
            ),
            ("cache_loads", "Answers read from the database", &self.loads),
            (
                "cache_round_trips",
                "Round trips to the store for reads",
                &self.round_trips,
            ),
            (
                "cache_grouped",
                "Reads answered by those round trips",
                &self.batched,
            ),
            (
                "cache_invalidations",
                "Writes whose tags were deleted",
                &self.invalidations,
            ),
            (
                "cache_deferred",
                "Writes whose tags the relay has to delete",
                &self.deferred,
            ),
            (
                "cache_relay_repairs",
                "Changes whose tags the relay deleted",
                &self.repairs,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    pub(super) fn stats(&self, store: &str, is_up: bool) -> CacheStats {
        CacheStats {
            store: store.into(),
            is_up,
            hits: self.hits.get(),
            misses: self.misses.get(),
            bypasses: self.bypasses.get(),
            fills: self.fills.get(),
            collapsed: self.collapsed.get(),
            loads: self.loads.get(),
            round_trips: self.round_trips.get(),
            invalidations: self.invalidations.get(),
            deferred: self.deferred.get(),
            relay_repairs: self.repairs.get(),
        }
    }
}
