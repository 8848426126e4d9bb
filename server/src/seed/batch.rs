//! A job cut into batches, and a batch turned into what COPY takes.

use std::ops::Range;

use chrono::{DateTime, Utc};
use stockroom_common::{Category, Customer, Order, Product, Resource, seed::NewSeedJob};

use super::generate::Generator;
use crate::{
    http::error::Result,
    rows::entity::Entity as _,
    store::{cache::Tag, copy::TableRows, partitions::Partitions},
};

/// Rows in one batch: one transaction, one step of the progress.
const BATCH_ROWS: i64 = 5_000;
/// A job with a rate loads so many batches a second, or so, that none of them is felt.
const BATCHES_PER_SECOND: u32 = 4;
const LEAST_ROWS: i64 = 100;

/// Rows in one batch of this job.
pub(super) fn size(request: &NewSeedJob) -> i64 {
    let paced = request
        .rate
        .map(|rate| i64::from(rate / BATCHES_PER_SECOND));
    paced.map_or(BATCH_ROWS, |rows| rows.clamp(LEAST_ROWS, BATCH_ROWS))
}

/// What a job makes, in the order in which it must be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    Categories,
    Products,
    Customers,
    Orders,
}

/// The rows of one batch, by their index in the job. Orders of one part lie in one month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its place in the job.
    pub(super) number: i64,
    pub(super) entity: Entity,
    pub(super) rows: Range<i64>,
    pub(super) month: Option<DateTime<Utc>>,
}

/// What one transaction loads.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) tables: Vec<TableRows>,
}

impl Entity {
    pub(super) const ALL: [Self; 4] = [
        Self::Categories,
        Self::Products,
        Self::Customers,
        Self::Orders,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Categories => Category::PATH,
            Self::Products => Product::PATH,
            Self::Customers => Customer::PATH,
            Self::Orders => Order::PATH,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Categories => Category::NAME,
            Self::Products => Product::NAME,
            Self::Customers => Customer::NAME,
            Self::Orders => Order::NAME,
        }
    }

    pub(super) const fn rows(self, request: &NewSeedJob) -> i64 {
        match self {
            Self::Categories => request.categories,
            Self::Products => request.products,
            Self::Customers => request.customers,
            Self::Orders => request.orders,
        }
    }
}

impl Part {
    pub(super) fn len(&self) -> i64 {
        self.rows.end - self.rows.start
    }

    /// What cached answers the batch makes old: lists, for no single row of it was there before.
    pub(super) fn tags(&self) -> Vec<Tag> {
        match self.month {
            Some(month) => vec![
                Tag::orders_in(month),
                Tag::all_orders(),
                Tag::list::<Order>(),
            ],
            None => vec![self.entity.path().into()],
        }
    }
}

/// Cuts rows into batches of at most `size`, which are yet to be numbered.
pub(super) fn cut(
    entity: Entity,
    rows: Range<i64>,
    size: i64,
    month: Option<DateTime<Utc>>,
) -> impl Iterator<Item = Part> {
    let starts = rows.clone().step_by(size as usize);
    starts.map(move |start| Part {
        number: 0,
        entity,
        rows: start..(start + size).min(rows.end),
        month,
    })
}

impl Batch {
    pub(super) fn generate(
        generator: &Generator,
        partitions: &Partitions,
        part: &Part,
    ) -> Result<Self> {
        let indexes = part.rows.clone();
        let tables = match part.entity {
            Entity::Categories => {
                Category::copy(partitions, indexes.map(|i| generator.category(i)))
            }
            Entity::Products => Product::copy(partitions, indexes.map(|i| generator.product(i))),
            Entity::Customers => Customer::copy(partitions, indexes.map(|i| generator.customer(i))),
            Entity::Orders => Order::copy(partitions, indexes.map(|i| generator.order(i))),
        };
        Ok(Self { tables: tables? })
    }
}
