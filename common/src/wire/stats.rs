//! The shop in figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Id, OrderStatus, Product, Total};

/// How many months the figures go back at the most.
pub const MAX_MONTHS: u32 = 240;
/// Products that the figures of a month name.
pub const TOP_PRODUCTS: usize = 10;
/// How many they go back when the caller does not say.
pub const DEFAULT_MONTHS: u32 = 12;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub counts: Counts,
    /// The newest first.
    pub months: Vec<MonthStats>,
    pub cache: CacheStats,
}

/// How many rows there are of each resource, about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub categories: Total,
    pub products: Total,
    pub customers: Total,
    pub orders: Total,
}

/// The orders placed in one month, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthStats {
    /// Such as `2026-11`.
    pub month: String,
    pub orders: i64,
    /// In minor units; cancelled and returned orders bring none. A sum of many large totals needs more than 64 bits.
    pub revenue_minor: i128,
    /// Whether orders of the month lie in an archived partition, where they are not counted.
    #[serde(default)]
    pub archived: bool,
    /// Those statuses that occur.
    pub statuses: BTreeMap<OrderStatus, i64>,
    /// The products that brought the most, the first [`TOP_PRODUCTS`].
    pub top_products: Vec<ProductStats>,
}

/// What a product brought in one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductStats {
    pub product_id: Id<Product>,
    pub pieces: i64,
    /// In minor units; cancelled and returned orders bring none.
    pub revenue_minor: i128,
}

/// What the cache of the answering server has done since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// `redis`, `memory` or `off`.
    pub store: String,
    /// False while the circuit breaker is open: reads go to the database then.
    pub is_up: bool,
    pub hits: u64,
    pub misses: u64,
    pub bypasses: u64,
    pub fills: u64,
    /// Misses that were answered by the load of another request or server.
    pub collapsed: u64,
    pub loads: u64,
    pub round_trips: u64,
    pub invalidations: u64,
    pub deferred: u64,
    pub relay_repairs: u64,
}
