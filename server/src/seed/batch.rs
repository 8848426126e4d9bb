//! The size of batches, and the conversion of a batch to rows for COPY.

use stockroom_common::{Category, Customer, Order, Product, seed::NewSeedJob};

use super::{
    batch_spec::{BatchSpec, SeedEntity},
    generate::Generator,
};
use crate::{
    http::error::Result,
    rows::entity::Entity as _,
    store::{copy::TableRows, partitions::Partitions},
};

/// Rows in one batch. A batch is one transaction and one step of the progress.
const BATCH_ROWS: i64 = 5_000;
/// Approximate batches per second of a job with a rate: its batches are small, so that none disturbs other users.
const BATCHES_PER_SECOND: u32 = 4;
const MIN_ROWS: i64 = 100;

/// Rows in one batch of this job. Stored with the job, because the numbers of its batches depend on it.
pub(super) fn size(request: &NewSeedJob) -> i64 {
    let paced = request
        .rate
        .map(|rate| i64::from(rate / BATCHES_PER_SECOND));
    paced.map_or(BATCH_ROWS, |rows| rows.clamp(MIN_ROWS, BATCH_ROWS))
}

/// The rows that one transaction loads.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) tables: Vec<TableRows>,
}

impl Batch {
    pub(super) fn generate(
        generator: &Generator,
        partitions: &Partitions,
        spec: &BatchSpec,
    ) -> Result<Self> {
        let indexes = spec.rows.clone();
        let tables = match spec.entity {
            SeedEntity::Categories => {
                Category::copy(partitions, indexes.map(|i| generator.category(i)))
            }
            SeedEntity::Products => {
                Product::copy(partitions, indexes.map(|i| generator.product(i)))
            }
            SeedEntity::Customers => {
                Customer::copy(partitions, indexes.map(|i| generator.customer(i)))
            }
            SeedEntity::Orders => Order::copy(partitions, indexes.map(|i| generator.order(i))),
        };
        Ok(Self { tables: tables? })
    }
}
