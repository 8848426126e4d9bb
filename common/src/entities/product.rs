//! Products: what is sold, its price and its stock.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Category, FieldError, Id, Resource,
    check::{Checks, MAX_PRICE_MINOR, MAX_STOCK, MAX_TOTAL_MINOR, UNPRINTABLE},
    table::Column,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: Id<Product>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub category_id: Id<Category>,
    pub sku: String,
    pub name: String,
    pub description: String,
    /// In minor units of the shop's currency (cents).
    pub price_minor: i64,
    /// Pieces that can still be ordered.
    pub stock: i64,
    /// An inactive product stays in existing orders and is refused in new ones.
    pub active: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    pub category_id: Id<Category>,
    pub sku: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub price_minor: i64,
    #[serde(default)]
    pub stock: i64,
    #[serde(default = "active")]
    pub active: bool,
}

const fn active() -> bool {
    true
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProductFilter {
    pub category_id: Option<Id<Category>>,
    pub active: Option<bool>,
}

impl Resource for Product {
    const PATH: &'static str = "products";
    const NAME: &'static str = "product";
    const SORTS: &'static [&'static str] = &["name", "sku", "price_minor", "stock", "created_at"];
    const DEFAULT_SORT: &'static str = "name";
    const FILTERS: &'static [&'static str] = &["category_id", "active"];

    const TABLE_COLUMNS: &'static [Column] = &[
        Column::word("id"),
        Column::integer("version"),
        Column::word("created_at"),
        Column::word("updated_at"),
        Column::word("category_id"),
        Column::line("sku"),
        Column::line("name"),
        Column::text("description"),
        Column::integer("price_minor"),
        Column::integer("stock"),
        Column::flag("active"),
    ];

    type New = NewProduct;
    type Filter = ProductFilter;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn times(&self) -> [DateTime<Utc>; 2] {
        [self.created_at, self.updated_at]
    }

    fn document(&self) -> NewProduct {
        NewProduct {
            category_id: self.category_id,
            sku: self.sku.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            price_minor: self.price_minor,
            stock: self.stock,
            active: self.active,
        }
    }

    fn check(new: &NewProduct) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.key("/sku", &new.sku, 64);
        checks.required_line("/name", &new.name, 200);
        checks.text("/description", &new.description, 2_000);
        checks.range("/price_minor", new.price_minor, 0, MAX_PRICE_MINOR);
        checks.range("/stock", new.stock, 0, MAX_STOCK);
        checks.into_errors()
    }

    fn may_be_stored(document: &NewProduct, fault: &FieldError) -> bool {
        // Cancelled orders return their pieces to the stock, which may then exceed what a caller may set.
        let is_given_back = fault.pointer == "/stock" && document.stock > MAX_STOCK;
        is_given_back && document.stock <= MAX_TOTAL_MINOR || fault.code == UNPRINTABLE
    }
}
