//! Seed jobs: bulk generation of realistic test data.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, Id, check::Checks};

/// Products that one job may make at the most: it keeps their prices in memory.
pub const MAX_PRODUCTS: i64 = 1_000_000;
/// Rows of another entity that one job may make at the most.
pub const MAX_ROWS: i64 = 1_000_000_000;

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

    /// Whether that job is on its way to do what this one asks for.
    pub fn is_done_by(&self, job: &SeedJob) -> bool {
        let mut same = self.clone();
        same.until = same.until.or(job.request.until);
        !job.state.is_final() && same.gives_the_rows_of(&job.request)
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

/// A job and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedJob {
    pub id: Id<SeedJob>,
    pub state: SeedState,
    pub request: NewSeedJob,
    /// One entry for each entity, in the order in which they are loaded.
    pub progress: Vec<SeedProgress>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

impl SeedJob {
    /// The entity that is worked on, or the last one.
    pub fn present(&self) -> Option<&SeedProgress> {
        let unfinished = self
            .progress
            .iter()
            .find(|progress| progress.done < progress.total);
        unfinished.or(self.progress.last())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedState {
    /// Waits for its turn, or for a server.
    Queued,
    Running,
    Done,
    /// Stopped on request; the batches loaded until then stay.
    Cancelled,
    Failed,
}

impl SeedState {
    /// Whether nothing more comes of the job by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for SeedState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [
            Self::Queued,
            Self::Running,
            Self::Done,
            Self::Cancelled,
            Self::Failed,
        ];
        let state = known.into_iter().find(|state| state.as_str() == text);
        state.ok_or_else(|| format!("`{text}` is no state of a seed job"))
    }
}

/// `running: orders 45000 of 100000, 41200 rows/s, 2 s left`
impl fmt::Display for SeedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.as_str())?;
        if let Some(present) = self.present().filter(|_| self.state != SeedState::Queued) {
            let SeedProgress {
                entity,
                done,
                total,
                rows_per_second,
                eta_seconds,
            } = present;
            write!(f, ": {entity} {done} of {total}")?;
            if *rows_per_second > 0.0 {
                write!(f, ", {rows_per_second} rows/s")?;
            }
            if let Some(left) = eta_seconds.filter(|_| self.state == SeedState::Running) {
                write!(f, ", {left} s left")?;
            }
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedProgress {
    /// The resource's path, such as `orders`.
    pub entity: String,
    pub done: i64,
    pub total: i64,
    /// Rows a second since the entity was begun.
    pub rows_per_second: f64,
    /// Time left at that rate, in seconds; none before there is a rate.
    pub eta_seconds: Option<f64>,
}
