//! Seed jobs: bulk generation of realistic test data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, check::Checks};

/// Maximum number of products in one job. The job keeps their prices in memory.
pub const MAX_PRODUCTS: i64 = 1_000_000;
/// Maximum number of customers, and of orders, in one job.
pub const MAX_ROWS: i64 = 1_000_000_000;

/// The error code if a job with `unless_in_use` is refused, because callers have written rows.
pub const IN_USE: &str = "in_use";

/// What to generate. The same seed, sizes, months and end give the same rows. In JSON, absent sizes are 0 and absent
/// months are 12; on the command line the defaults make a small shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct NewSeedJob {
    /// Number that determines the data; part of every e-mail address and SKU, so that two jobs never collide
    #[arg(long, default_value_t = Self::SMALL.seed)]
    pub seed: u32,
    /// Number of categories
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.categories)]
    pub categories: i64,
    /// Number of products
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.products)]
    pub products: i64,
    /// Number of customers
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.customers)]
    pub customers: i64,
    /// Number of orders
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.orders)]
    pub orders: i64,
    /// Number of months over which the orders are spread, counted back from the end (--until)
    #[serde(default = "one_year")]
    #[arg(long, default_value_t = Self::SMALL.months)]
    pub months: u32,
    /// End of the shop's history, such as 2026-11-01T00:00:00Z; the last midnight in UTC if absent
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(long)]
    pub until: Option<DateTime<Utc>>,
    /// Maximum number of rows per second, to spare other users; unlimited if absent. It does not affect the content
    /// of the rows
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(long)]
    pub rate: Option<u32>,
}

const fn one_year() -> u32 {
    12
}

impl NewSeedJob {
    /// A small shop that is loaded within seconds.
    pub const SMALL: Self = Self {
        seed: 1,
        categories: 20,
        products: 1_000,
        customers: 10_000,
        orders: 100_000,
        months: 24,
        until: None,
        rate: None,
    };

    /// Whether both jobs generate the same rows, so that one can continue the other.
    pub fn generates_same_rows(&self, other: &Self) -> bool {
        let rows = |job: &Self| {
            let sizes = [job.categories, job.products, job.customers, job.orders];
            (job.seed, sizes, job.months, job.until)
        };
        rows(self) == rows(other)
    }

    pub fn check(&self) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.range("/categories", self.categories, 0, 100_000);
        checks.range("/products", self.products, 0, MAX_PRODUCTS);
        for (pointer, rows) in [("/customers", self.customers), ("/orders", self.orders)] {
            checks.range(pointer, rows, 0, MAX_ROWS);
        }
        checks.range("/months", i64::from(self.months), 1, 240);
        if let Some(rate) = self.rate {
            checks.range("/rate", i64::from(rate), 1, MAX_ROWS);
        }
        let sizes = [self.categories, self.products, self.customers, self.orders];
        if sizes == [0; 4] {
            checks.fail("", "required", "there is nothing to do: all sizes are 0");
        }
        for (pointer, wanted, of, name) in [
            ("/categories", self.products, self.categories, "products"),
            ("/products", self.orders, self.products, "orders"),
            ("/customers", self.orders, self.customers, "orders"),
        ] {
            if wanted > 0 && of == 0 {
                checks.fail(
                    pointer,
                    "required",
                    format!("must be at least 1 for {name}"),
                );
            }
        }
        checks.into_errors()
    }
}
