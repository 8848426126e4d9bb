//! Customers: who orders, and the address for deliveries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, Id, Resource, check::Checks, table::Column};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    pub id: Id<Customer>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub name: String,
    pub email: String,
    pub phone: String,
    pub address: Address,
}

/// A postal address; every part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    pub line1: String,
    pub line2: String,
    pub city: String,
    pub postal_code: String,
    /// Two capital letters (ISO 3166-1 alpha-2).
    pub country: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    pub name: String,
    pub email: String,
    #[serde(default)]
    pub phone: String,
    #[serde(default)]
    pub address: Address,
}

/// No filters: customers are searched with `q`, by name and e-mail address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CustomerFilter {}

impl Resource for Customer {
    const PATH: &'static str = "customers";
    const NAME: &'static str = "customer";
    const SORTS: &'static [&'static str] = &["name", "email", "created_at"];
    const DEFAULT_SORT: &'static str = "name";
    const FILTERS: &'static [&'static str] = &[];

    const TABLE_COLUMNS: &'static [Column] = &[
        Column::word("id"),
        Column::integer("version"),
        Column::word("created_at"),
        Column::word("updated_at"),
        Column::line("name"),
        Column::line("email"),
        Column::line("phone"),
        Column::line("address/line1"),
        Column::line("address/line2"),
        Column::line("address/city"),
        Column::line("address/postal_code"),
        Column::line("address/country"),
    ];

    type New = NewCustomer;
    type Filter = CustomerFilter;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn times(&self) -> [DateTime<Utc>; 2] {
        [self.created_at, self.updated_at]
    }

    fn document(&self) -> NewCustomer {
        NewCustomer {
            name: self.name.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            address: self.address.clone(),
        }
    }

    fn check(new: &NewCustomer) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.required_line("/name", &new.name, 200);
        checks.email("/email", &new.email);
        checks.line("/phone", &new.phone, 50);
        checks.line("/address/line1", &new.address.line1, 200);
        checks.line("/address/line2", &new.address.line2, 200);
        checks.line("/address/city", &new.address.city, 100);
        checks.line("/address/postal_code", &new.address.postal_code, 20);
        checks.country("/address/country", &new.address.country);
        checks.into_errors()
    }
}
