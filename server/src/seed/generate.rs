//! The generator. Each row is a function of the job and the row's index, and does not depend on rows generated before.
//! Popular products (Zipf), returning customers (a power law), seasons, weekdays and hours of the day.

mod calendar;

use std::ops::Range;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use fake::{
    Fake,
    faker::{
        address::en::{BuildingNumber, CityName, StreetName, ZipCode},
        name::{de_de, en, fr_fr},
    },
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};
use stockroom_common::{
    Address, Category, Customer, Id, Order, OrderItem, OrderStatus, Product, order::OrderNumber,
    seed::NewSeedJob,
};

pub(super) use self::calendar::begins_at;
use self::calendar::{Segment, segments};
use super::{
    batch_spec::{self, BatchSpec, SeedEntity},
    word_lists::{COUNTRIES, DEPARTMENTS, MATERIALS, NOTES, QUALITIES},
};
use crate::process::clock::month_start;

/// Exponent of the Zipf distribution: the frequency of a product of rank r is r to the power of minus this.
const ZIPF_EXPONENT: f64 = 1.07;
/// How long before the first order the products and the first customers are created.
pub(super) const WARMUP: Duration = Duration::days(60);
/// Exponent of the power law of customers: the higher, the more orders go to early customers.
const REPEAT_EXPONENT: f64 = 2.5;

/// Generates the rows of one job.
#[derive(Debug)]
pub struct Generator {
    request: NewSeedJob,
    begins_at: DateTime<Utc>,
    until: DateTime<Utc>,
    segments: Vec<Segment>,
    /// Id and price of each product, for the lines of orders.
    products: Vec<(Id<Product>, i64)>,
    popularity: Option<Zipf<f64>>,
}

/// The random number stream of an entity. The streams are independent of each other.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Category,
    Product,
    Customer,
    Order,
}

impl Generator {
    pub fn new(request: &NewSeedJob, until: DateTime<Utc>) -> Self {
        let until = until.trunc_subsecs(0);
        let begins_at = begins_at(until, request.months).unwrap_or(until);
        let mut generator = Self {
            request: request.clone(),
            begins_at,
            until,
            segments: segments(begins_at, until, request.orders),
            products: Vec::new(),
            popularity: Zipf::new(request.products.max(1) as f64, ZIPF_EXPONENT).ok(),
        };
        generator.products = (0..request.products)
            .map(|index| generator.product_key(index))
            .collect();
        generator
    }

    /// The whole job in batches of at most `size` rows, ordered so that rows only refer to earlier batches.
    pub(super) fn parts(&self, size: i64) -> impl Iterator<Item = BatchSpec> + Send {
        let [categories, products, customers] = [
            SeedEntity::Categories,
            SeedEntity::Products,
            SeedEntity::Customers,
        ]
        .map(|entity| batch_spec::cut(entity, 0..entity.rows(&self.request), size, None));
        let orders = self.segments.iter().flat_map(move |segment| {
            let month = month_start(segment.from, 0);
            batch_spec::cut(
                SeedEntity::Orders,
                segment.first..segment.end,
                size,
                Some(month),
            )
        });
        let parts = categories.chain(products).chain(customers).chain(orders);
        parts
            .zip(0..)
            .map(|(part, number)| BatchSpec { number, ..part })
    }

    /// The time range of the orders; empty if the job has none.
    pub(super) fn span(&self) -> Range<DateTime<Utc>> {
        self.begins_at..if self.request.orders > 0 {
            self.until
        } else {
            self.begins_at
        }
    }

    pub fn category(&self, index: i64) -> Category {
        let (department, _) = DEPARTMENTS[index as usize % DEPARTMENTS.len()];
        let at = self.begins_at - WARMUP;
        // The seed makes names unique across jobs, and the index makes them unique when departments repeat.
        let name = format!("{department} {}-{}", self.request.seed, index + 1);
        Category {
            id: self.category_id(index),
            version: 1,
            created_at: at,
            updated_at: at,
            description: format!("Everything for {}", department.to_lowercase()),
            name,
        }
    }

    pub fn product(&self, index: i64) -> Product {
        let mut rng = self.rng(Stream::Product, index);
        let (id, price_minor) = (
            Id::mint(self.product_time(index), rng.random()),
            price(&mut rng),
        );
        let category = rng.random_range(0..self.request.categories.max(1));
        let (department, nouns) = DEPARTMENTS[category as usize % DEPARTMENTS.len()];
        let quality = pick(&mut rng, QUALITIES);
        let material = pick(&mut rng, MATERIALS);
        let noun = pick(&mut rng, nouns);
        let code: String = department
            .chars()
            .take(3)
            .collect::<String>()
            .to_uppercase();
        let at = self.product_time(index);
        Product {
            id,
            version: 1,
            created_at: at,
            updated_at: at,
            category_id: self.category_id(category),
            sku: format!("{code}-{}-{:06}", self.request.seed, index + 1),
            name: format!("{quality} {material} {noun}"),
            description: format!("{noun} of {}, made to last.", material.to_lowercase()),
            price_minor,
            stock: rng.random_range(0..5_000),
            active: rng.random_bool(0.97),
        }
    }

    pub fn customer(&self, index: i64) -> Customer {
        let mut rng = self.rng(Stream::Customer, index);
        let at = self.customer_time(index);
        let id = Id::mint(at, rng.random());
        let name: String = match rng.random_range(0..10) {
            0 | 1 => de_de::Name().fake_with_rng(&mut rng),
            2 => fr_fr::Name().fake_with_rng(&mut rng),
            _ => en::Name().fake_with_rng(&mut rng),
        };
        let local: String = name
            .split_whitespace()
            .next_back()
            .unwrap_or("customer")
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let email = format!("{local}.{}-{}@example.org", self.request.seed, index + 1);
        let street: String = StreetName().fake_with_rng(&mut rng);
        let number: String = BuildingNumber().fake_with_rng(&mut rng);
        Customer {
            id,
            version: 1,
            created_at: at,
            updated_at: at,
            name,
            email: email.to_lowercase(),
            phone: format!(
                "+1 555 {:03} {:04}",
                rng.random_range(0..1_000),
                rng.random_range(0..10_000)
            ),
            address: Address {
                line1: format!("{number} {street}"),
                line2: String::new(),
                city: CityName().fake_with_rng(&mut rng),
                postal_code: ZipCode().fake_with_rng(&mut rng),
                country: pick(&mut rng, COUNTRIES).into(),
            },
        }
    }

    pub fn order(&self, index: i64) -> Order {
        let segment = self
            .segments
            .partition_point(|segment| segment.end <= index);
        let mut rng = self.rng(Stream::Order, index);
        let placed_at = self.segments[segment].instant(&mut rng);
        let id = Id::mint(placed_at, rng.random());
        let status = status(self.until - placed_at, &mut rng);
        let items = self.items(&mut rng);
        let steps = steps(status);
        let handled = Duration::hours(6) * (steps as i32 - 1);
        Order {
            id,
            number: OrderNumber::of(id),
            version: steps,
            created_at: placed_at,
            updated_at: (placed_at + handled).min(self.until).max(placed_at),
            placed_at,
            customer_id: self.buyer(placed_at, &mut rng),
            status,
            total_minor: items
                .iter()
                .map(|item| i64::from(item.quantity) * item.unit_price_minor)
                .sum(),
            items,
            note: if rng.random_bool(0.03) {
                pick(&mut rng, NOTES).into()
            } else {
                String::new()
            },
        }
    }

    fn items(&self, rng: &mut ChaCha8Rng) -> Vec<OrderItem> {
        let mut items: Vec<OrderItem> = Vec::new();
        for line_no in 1..=8 {
            let rank = self.popularity.map_or(1.0, |zipf| zipf.sample(rng)) as usize;
            let (product_id, unit_price_minor) =
                self.products[rank.clamp(1, self.products.len()) - 1];
            // Always draw the numbers below, so that a repeated product does not shift the later ones.
            let quantity = if rng.random_bool(0.75) {
                1
            } else {
                rng.random_range(2..=5)
            };
            let last = rng.random_bool(0.45);
            if items.iter().all(|item| item.product_id != product_id) {
                items.push(OrderItem {
                    line_no,
                    product_id,
                    quantity,
                    unit_price_minor,
                });
            }
            if last {
                break;
            }
        }
        for (item, line_no) in items.iter_mut().zip(1..) {
            item.line_no = line_no;
        }
        items
    }

    /// One of the customers who existed at that time, early ones more often.
    fn buyer(&self, at: DateTime<Utc>, rng: &mut ChaCha8Rng) -> Id<Customer> {
        let passed = (at - (self.begins_at - WARMUP)).num_seconds() as f64;
        let there = passed / self.customer_span() * self.request.customers as f64;
        let there = (there.floor() as i64).clamp(1, self.request.customers);
        let index = (there as f64 * rng.random::<f64>().powf(REPEAT_EXPONENT)) as i64;
        self.customer_id(index.min(there - 1))
    }

    /// Seconds from the first customer to the last, who is created shortly before the end.
    fn customer_span(&self) -> f64 {
        (self.until - (self.begins_at - WARMUP)).num_seconds() as f64 * 0.99
    }

    fn customer_time(&self, index: i64) -> DateTime<Utc> {
        let share = index as f64 / self.request.customers.max(1) as f64;
        self.begins_at - WARMUP + Duration::seconds((self.customer_span() * share) as i64)
    }

    fn product_time(&self, index: i64) -> DateTime<Utc> {
        let share = index as f64 / self.request.products.max(1) as f64;
        let days = WARMUP.num_seconds() as f64 * 0.9 * share;
        self.begins_at - WARMUP + Duration::seconds(days as i64 + 1)
    }

    fn category_id(&self, index: i64) -> Id<Category> {
        Id::mint(
            self.begins_at - WARMUP,
            self.rng(Stream::Category, index).random(),
        )
    }

    fn customer_id(&self, index: i64) -> Id<Customer> {
        Id::mint(
            self.customer_time(index),
            self.rng(Stream::Customer, index).random(),
        )
    }

    /// The id and price of a product. They are its first random numbers, because orders need them without the rest.
    fn product_key(&self, index: i64) -> (Id<Product>, i64) {
        let mut rng = self.rng(Stream::Product, index);
        let id = Id::mint(self.product_time(index), rng.random());
        (id, price(&mut rng))
    }

    fn rng(&self, stream: Stream, index: i64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(u64::from(self.request.seed));
        rng.set_stream((stream as u64) << 56 | index as u64);
        rng
    }
}

/// A price in minor units, from 1,550 to 72,399: low prices are more frequent, and all end in 99 or 50.
fn price(rng: &mut ChaCha8Rng) -> i64 {
    let euros = (4.0 + rng.random::<f64>() * 5.5).exp2() as i64;
    euros * 100 - if rng.random_bool(0.7) { 1 } else { 50 }
}

/// Draws the status of an order of that age.
fn status(age: Duration, rng: &mut ChaCha8Rng) -> OrderStatus {
    let shares: [(OrderStatus, u32); 6] = match age.num_hours() {
        ..24 => shares(55, 40, 2, 0, 3, 0),
        24..72 => shares(8, 42, 42, 3, 5, 0),
        72..240 => shares(1, 5, 40, 48, 5, 1),
        _ => shares(0, 0, 0, 91, 6, 3),
    };
    let mut draw = rng.random_range(0..100);
    for (status, share) in shares {
        if draw < share {
            return status;
        }
        draw -= share;
    }
    OrderStatus::Delivered
}

fn shares(
    pending: u32,
    paid: u32,
    shipped: u32,
    delivered: u32,
    cancelled: u32,
    returned: u32,
) -> [(OrderStatus, u32); 6] {
    let shares = [pending, paid, shipped, delivered, cancelled, returned];
    let mut index = 0;
    OrderStatus::ALL.map(|status| {
        index += 1;
        (status, shares[index - 1])
    })
}

/// The number of versions that an order with that status has had.
const fn steps(status: OrderStatus) -> i64 {
    match status {
        OrderStatus::Pending => 1,
        OrderStatus::Paid | OrderStatus::Cancelled => 2,
        OrderStatus::Shipped => 3,
        OrderStatus::Delivered => 4,
        OrderStatus::Returned => 5,
    }
}

fn pick<'a>(rng: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
