//! Orders: who bought what, and the status of each order.

mod number;
mod status;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};

pub use self::{number::OrderNumber, status::OrderStatus};
use crate::{
    Customer, FieldError, Id, Product, Resource,
    check::{Checks, MAX_PRICE_MINOR, MAX_TOTAL_MINOR},
    table::Column,
};

/// Maximum number of lines in one order.
pub const MAX_ITEMS: usize = 1_000;
/// Maximum number of pieces in one line.
pub const MAX_QUANTITY: i32 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: Id<Order>,
    /// The short number for people, derived from the id.
    pub number: OrderNumber,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// In whole milliseconds; the same instant as in the id, and never changed.
    pub placed_at: DateTime<Utc>,
    pub customer_id: Id<Customer>,
    pub status: OrderStatus,
    pub items: Vec<OrderItem>,
    /// The sum of the lines, in minor units of the shop's currency (cents).
    pub total_minor: i64,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    pub line_no: i32,
    pub product_id: Id<Product>,
    pub quantity: i32,
    pub unit_price_minor: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The current time if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<DateTime<Utc>>,
    pub customer_id: Id<Customer>,
    #[serde(default)]
    pub status: OrderStatus,
    pub items: Vec<NewOrderItem>,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrderItem {
    pub product_id: Id<Product>,
    pub quantity: i32,
    /// The product's price if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price_minor: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OrderFilter {
    pub customer_id: Option<Id<Customer>>,
    pub status: Option<OrderStatus>,
    /// Orders with at least one line of this product.
    pub product_id: Option<Id<Product>>,
    /// Placed at this instant or later.
    #[serde(default, deserialize_with = "moment")]
    pub placed_from: Option<DateTime<Utc>>,
    /// Placed before this instant.
    #[serde(default, deserialize_with = "moment")]
    pub placed_before: Option<DateTime<Utc>>,
}

impl Resource for Order {
    const PATH: &'static str = "orders";
    const NAME: &'static str = "order";
    const SORTS: &'static [&'static str] = &["placed_at"];
    const DEFAULT_SORT: &'static str = "-placed_at";
    const FILTERS: &'static [&'static str] = &[
        "customer_id",
        "status",
        "product_id",
        "placed_from",
        "placed_before",
    ];

    const TABLE_COLUMNS: &'static [Column] = &[
        Column::word("id"),
        Column::word("number"),
        Column::integer("version"),
        Column::word("created_at"),
        Column::word("updated_at"),
        Column::word("placed_at"),
        Column::word("customer_id"),
        Column::word("status"),
        Column::json("items"),
        Column::integer("total_minor"),
        Column::text("note"),
    ];

    type New = NewOrder;
    type Filter = OrderFilter;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn times(&self) -> [DateTime<Utc>; 2] {
        [self.created_at, self.updated_at]
    }

    fn document(&self) -> NewOrder {
        NewOrder {
            placed_at: Some(self.placed_at),
            customer_id: self.customer_id,
            status: self.status,
            items: self.items.iter().map(OrderItem::document).collect(),
            note: self.note.clone(),
        }
    }

    fn check(new: &NewOrder) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.text("/note", &new.note, 2_000);
        if new.items.is_empty() {
            checks.fail("/items", "required", "must have at least one line");
        }
        if new.items.len() > MAX_ITEMS {
            let message = format!(
                "has {} lines; at most {MAX_ITEMS} are allowed",
                new.items.len()
            );
            checks.fail("/items", "too_long", message);
            return checks.into_errors();
        }
        for (index, item) in new.items.iter().enumerate() {
            let at = |field| format!("/items/{index}/{field}");
            let (quantity, price) = (i64::from(item.quantity), item.unit_price_minor);
            checks.range(&at("quantity"), quantity, 1, i64::from(MAX_QUANTITY));
            checks.range(
                &at("unit_price_minor"),
                price.unwrap_or(0),
                0,
                MAX_PRICE_MINOR,
            );
        }
        checks.into_errors()
    }

    fn check_derived(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut derived = |holds: bool, pointer: &str, message: &str| {
            if !holds {
                errors.push(FieldError::new(pointer, "mismatch", message));
            }
        };
        derived(
            self.id.time() == Some(self.placed_at),
            "/placed_at",
            "must be the time in the order's id",
        );
        derived(
            self.number == OrderNumber::of(self.id),
            "/number",
            "must be the one that follows from the id",
        );
        derived(
            self.items
                .iter()
                .zip(1..)
                .all(|(item, n)| item.line_no == n),
            "/items",
            "must be numbered from 1",
        );
        derived(
            total_of(&self.items) == i128::from(self.total_minor),
            "/total_minor",
            "must be the sum of the lines",
        );
        if self.total_minor > MAX_TOTAL_MINOR {
            let message = format!(
                "is {}; the total of an order is at most {MAX_TOTAL_MINOR}",
                self.total_minor
            );
            errors.push(FieldError::new("/total_minor", "out_of_range", message));
        }
        errors
    }
}

/// The sum of the lines, in minor units. It may exceed 64 bits.
pub fn total_of(items: &[OrderItem]) -> i128 {
    let line = |item: &OrderItem| i128::from(item.quantity) * i128::from(item.unit_price_minor);
    items.iter().map(line).sum()
}

/// The total of an order with these lines, in minor units.
///
/// # Errors
/// If the total exceeds [`MAX_TOTAL_MINOR`].
pub fn check_total(items: &[OrderItem]) -> Result<i64, FieldError> {
    let total = total_of(items);
    let checked = i64::try_from(total).ok();
    checked
        .filter(|total| *total <= MAX_TOTAL_MINOR)
        .ok_or_else(|| {
            let message = format!(
                "add up to {total}; the total of an order is at most {MAX_TOTAL_MINOR}; split it"
            );
            FieldError::new("/items", "out_of_range", message)
        })
}

impl OrderItem {
    pub fn document(&self) -> NewOrderItem {
        NewOrderItem {
            product_id: self.product_id,
            quantity: self.quantity,
            unit_price_minor: Some(self.unit_price_minor),
        }
    }
}

/// Reads an instant in RFC 3339, or a bare date as its midnight in UTC.
pub fn parse_moment(text: &str) -> Option<DateTime<Utc>> {
    let instant = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    let midnight = || {
        let date = text.parse::<NaiveDate>().ok()?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc())
    };
    // RFC 3339 has four digits for the year.
    let moment = instant.ok().or_else(midnight);
    moment.filter(|at| (0..=9_999).contains(&at.year()))
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match parse_moment(&text) {
        Some(at) => Ok(Some(at)),
        None => Err(de::Error::custom(format!(
            "`{text}` is not a time; write 2026-11-24 or 2026-11-24T09:30:00Z"
        ))),
    }
}
