//! Splits a job into batches.

use std::ops::Range;

use chrono::{DateTime, Utc};
use stockroom_common::{Category, Customer, Order, Product, Resource, seed::NewSeedJob};

use crate::store::cache::Tag;

/// The entities that a job generates, in the order in which they must be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeedEntity {
    Categories,
    Products,
    Customers,
    Orders,
}

/// The rows of one batch, by their index in the job. All orders of a batch belong to the same month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchSpec {
    /// The number of the batch in the job, from 0.
    pub(super) number: i64,
    pub(super) entity: SeedEntity,
    pub(super) rows: Range<i64>,
    pub(super) month: Option<DateTime<Utc>>,
}

impl SeedEntity {
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

impl BatchSpec {
    pub(super) fn len(&self) -> i64 {
        self.rows.end - self.rows.start
    }

    /// The cache tags that the batch invalidates. Only lists are affected, because none of its rows existed before.
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

/// Splits rows into batches of at most `size` rows. The caller numbers them.
pub(super) fn cut(
    entity: SeedEntity,
    rows: Range<i64>,
    size: i64,
    month: Option<DateTime<Utc>>,
) -> impl Iterator<Item = BatchSpec> {
    let starts = rows.clone().step_by(size as usize);
    starts.map(move |start| BatchSpec {
        number: 0,
        entity,
        rows: start..(start + size).min(rows.end),
        month,
    })
}
