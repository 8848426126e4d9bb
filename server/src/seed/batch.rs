//! A job cut into batches, and a batch turned into what COPY takes.

use std::{collections::BTreeMap, ops::Range};

use chrono::{DateTime, Utc};
use stockroom_common::{
    Category, Customer, Kind, Order, Product, Resource, partition::Family, seed::NewSeedJob,
};

use super::{copy::CopyRows, generate::Generator};
use crate::{
    cache::Tag,
    error::{Error, Result},
    partitions::Partitions,
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

#[derive(Debug)]
pub(super) struct TableRows {
    /// The COPY statement.
    pub(super) statement: String,
    pub(super) bytes: Vec<u8>,
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
            Entity::Categories => vec![categories(indexes.map(|i| generator.category(i)))],
            Entity::Products => vec![products(indexes.map(|i| generator.product(i)))],
            Entity::Customers => vec![customers(indexes.map(|i| generator.customer(i)))],
            Entity::Orders => orders(partitions, indexes.map(|i| generator.order(i)))?,
        };
        Ok(Self { tables })
    }
}

fn table(name: &str, columns: &str, rows: CopyRows) -> TableRows {
    TableRows {
        statement: format!("copy {name} ({columns}) from stdin (format binary)"),
        bytes: rows.finish(),
    }
}

fn categories(categories: impl Iterator<Item = Category>) -> TableRows {
    let mut rows = CopyRows::new();
    for category in categories {
        rows.row(6)
            .uuid(category.id.uuid())
            .i64(category.version)
            .time(category.created_at)
            .time(category.updated_at)
            .text(&category.name)
            .text(&category.description);
    }
    let columns = "id, version, created_at, updated_at, name, description";
    table("categories", columns, rows)
}

fn products(products: impl Iterator<Item = Product>) -> TableRows {
    let mut rows = CopyRows::new();
    for product in products {
        rows.row(11)
            .uuid(product.id.uuid())
            .i64(product.version)
            .time(product.created_at)
            .time(product.updated_at)
            .uuid(product.category_id.uuid())
            .text(&product.sku)
            .text(&product.name)
            .text(&product.description)
            .i64(product.price_minor)
            .i64(product.stock)
            .bool(product.active);
    }
    let columns = "id, version, created_at, updated_at, category_id, sku, name, description, \
        price_minor, stock, active";
    table("products", columns, rows)
}

fn customers(customers: impl Iterator<Item = Customer>) -> TableRows {
    let mut rows = CopyRows::new();
    for customer in customers {
        rows.row(8)
            .uuid(customer.id.uuid())
            .i64(customer.version)
            .time(customer.created_at)
            .time(customer.updated_at)
            .text(&customer.name)
            .text(&customer.email)
            .text(&customer.phone)
            .jsonb(&customer.address);
    }
    let columns = "id, version, created_at, updated_at, name, email, phone, address";
    table("customers", columns, rows)
}

/// Orders and their lines, straight into their partitions.
fn orders(partitions: &Partitions, orders: impl Iterator<Item = Order>) -> Result<Vec<TableRows>> {
    let mut by_partition: BTreeMap<String, (CopyRows, CopyRows)> = BTreeMap::new();
    for order in orders {
        let suffix = partitions.suffix_of(Family::Orders, order.placed_at);
        let suffix = suffix.ok_or_else(|| {
            let detail = format!("There is no partition for {}.", order.placed_at);
            Error::refused(Kind::Conflict, detail)
        })?;
        let new = || (CopyRows::new(), CopyRows::new());
        let (rows, lines) = by_partition.entry(suffix).or_insert_with(new);
        rows.row(9)
            .time(order.placed_at)
            .uuid(order.id.uuid())
            .i64(order.version)
            .time(order.created_at)
            .time(order.updated_at)
            .uuid(order.customer_id.uuid())
            .text(order.status.as_str())
            .i64(order.total_minor)
            .text(&order.note);
        for item in &order.items {
            lines
                .row(6)
                .time(order.placed_at)
                .uuid(order.id.uuid())
                .i32(item.line_no)
                .uuid(item.product_id.uuid())
                .i32(item.quantity)
                .i64(item.unit_price_minor);
        }
    }
    let columns = "placed_at, id, version, created_at, updated_at, customer_id, status, \
        total_minor, note";
    let line_columns = "placed_at, order_id, line_no, product_id, quantity, unit_price_minor";
    let tables = by_partition
        .into_iter()
        .flat_map(|(suffix, (rows, lines))| {
            [
                table(&format!("orders_{suffix}"), columns, rows),
                table(&format!("order_items_{suffix}"), line_columns, lines),
            ]
        });
    Ok(tables.collect())
}
