//! Statistics of the shop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Id, OrderStatus, Product, Total};

/// Maximum number of months that the statistics cover.
pub const MAX_MONTHS: u32 = 240;
/// Number of products listed for each month.
pub const TOP_PRODUCTS: usize = 10;
/// Number of months if the caller does not say.
pub const DEFAULT_MONTHS: u32 = 12;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub counts: Counts,
    /// Newest month first.
    pub months: Vec<MonthStats>,
    pub cache: CacheStats,
}

/// Number of rows of each resource, exact or estimated.
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
    /// In minor units, without cancelled and returned orders. A sum of many large totals needs more than 64 bits.
    pub revenue_minor: i128,
    /// Whether the month has an archived or deleted partition, whose orders are not counted.
    #[serde(default)]
    pub archived: bool,
    /// Number of orders in each status that occurs.
    pub statuses: BTreeMap<OrderStatus, i64>,
    /// The [`TOP_PRODUCTS`] products with the highest revenue.
    pub top_products: Vec<ProductStats>,
}

/// The sales of a product in one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductStats {
    pub product_id: Id<Product>,
    pub pieces: i64,
    /// In minor units, without cancelled and returned orders.
    pub revenue_minor: i128,
}

/// Counters of the cache of the answering server since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// `redis`, `memory` or `off`.
    pub store: String,
    /// False while the circuit breaker is open: reads then go to the database.
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
