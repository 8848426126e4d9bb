//! Tags: what a cached answer depends on, and what a write makes old. Their names are those in the
//! change log.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};
use stockroom_common::{Customer, Id, Resource};

/// A name such as `product:0192…`, `products` or `orders:2026-11`; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// One row, wherever it is shown by its id.
    pub(crate) fn row<R: Resource>(id: Id<R>) -> Self {
        Self::from(format!("{}:{id}", R::NAME))
    }

    /// Every list of a resource. Of orders only loads in bulk touch it: their lists have narrower tags.
    pub(crate) fn list<R: Resource>() -> Self {
        Self::from(R::PATH)
    }

    /// The orders of one customer. Loads in bulk do not name it but the list.
    pub(crate) fn orders_of(customer: Id<Customer>) -> Self {
        Self::from(format!("{}:orders", Self::row(customer)))
    }

    /// The orders placed in the month of `at`, in UTC.
    pub(crate) fn orders_in(at: DateTime<Utc>) -> Self {
        Self::from(format!("orders:{:04}-{:02}", at.year(), at.month()))
    }

    /// The orders of all times.
    pub(crate) fn all_orders() -> Self {
        Self::from("orders:all")
    }

    /// What every answer depends on: without it the whole cache is old.
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
