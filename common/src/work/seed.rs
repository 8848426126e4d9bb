//! Seed jobs: bulk generation of realistic test data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, check::Checks};

/// Products that one job may make at the most: it keeps their prices in memory.
pub const MAX_PRODUCTS: i64 = 1_000_000;
/// Rows of another entity that one job may make at the most.
pub const MAX_ROWS: i64 = 1_000_000_000;

/// The code of the refusal of a job that spares shops in use.
pub const IN_USE: &str = "in_use";

/// What to generate. The same seed, sizes and `until` give the same rows. On the wire what is absent is
/// 0, or a year; on the command line it is a small shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct NewSeedJob {
    /// A number that decides the data; also part of every e-mail and SKU, so that two jobs never collide
    #[arg(long, default_value_t = Self::SMALL.seed)]
    pub seed: u32,
    /// How many categories
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.categories)]
    pub categories: i64,
    /// How many products
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.products)]
    pub products: i64,
    /// How many customers
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.customers)]
    pub customers: i64,
    /// How many orders
    #[serde(default)]
    #[arg(long, default_value_t = Self::SMALL.orders)]
    pub orders: i64,
    /// Over how many months back from its end the orders are spread
    #[serde(default = "one_year")]
    #[arg(long, default_value_t = Self::SMALL.months)]
    pub months: u32,
    /// The end of the shop's history, such as 2026-11-01T00:00:00Z; the last midnight in UTC, if absent
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(long)]
    pub until: Option<DateTime<Utc>>,
    /// Rows a second at the most, so that others do not feel it; as many as it can, if absent. It has no
    /// part in what the rows are
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[arg(long)]
    pub rate: Option<u32>,
}

const fn one_year() -> u32 {
    12
}

impl NewSeedJob {
    /// A shop that is there in seconds.
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

    /// Whether both make the same rows, so that one can go on with the other.
    pub fn gives_the_rows_of(&self, other: &Self) -> bool {
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
