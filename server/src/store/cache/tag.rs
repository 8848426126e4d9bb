//! Tags: what a cached answer depends on, and what a write invalidates. The change log uses the same names.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};
use stockroom_common::{Customer, Id, Resource};

/// A name such as `product:0192…`, `products` or `orders:2026-11`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// A single row: for answers that are requested by its id.
    pub(crate) fn row<R: Resource>(id: Id<R>) -> Self {
        Self::from(format!("{}:{id}", R::NAME))
    }

    /// All lists of a resource. For orders only bulk loads touch it, because lists of orders have narrower
    /// tags.
    pub(crate) fn list<R: Resource>() -> Self {
        Self::from(R::PATH)
    }

    /// The orders of one customer. Bulk loads touch [`Tag::list`] instead, because they name no customers.
    pub(crate) fn orders_of(customer: Id<Customer>) -> Self {
        Self::from(format!("{}:orders", Self::row(customer)))
    }

    /// The orders placed in the month of `at`, in UTC.
    pub(crate) fn orders_in(at: DateTime<Utc>) -> Self {
        Self::from(format!("orders:{:04}-{:02}", at.year(), at.month()))
    }

    /// All orders, of any month.
    pub(crate) fn all_orders() -> Self {
        Self::from("orders:all")
    }

    /// The tag that every answer depends on. Deleting it invalidates the whole cache.
    pub fn epoch() -> Self {
        Self::from("epoch")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Tag {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Tag {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.as_str().into()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
