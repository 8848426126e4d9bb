//! The table of an entity: what is needed to select, sort and filter its rows.

use sqlx::{Postgres, QueryBuilder, postgres::PgRow};
use stockroom_common::{Resource, partition::Family};

use crate::http::error::{Constraint, Result};

pub(crate) trait Table: Resource {
    const TABLE: &'static str;
    /// The columns that [`Table::from_row`] reads, as a `select` list.
    const COLUMNS: &'static str;
    /// The expressions of the keys in [`Resource::SORTS`], in the same order.
    const SORT_KEYS: &'static [SortKey];
    /// The constraints that a write can violate.
    const CONSTRAINTS: &'static [Constraint];
    /// The family of partitions that its rows belong to, by the time in their ids; `None` if it is not partitioned.
    const FAMILY: Option<Family> = None;

    /// The field that identifies a row besides its id, if any.
    const NATURAL_KEY: Option<NaturalKey> = None;

    /// The expression that `q` searches, the same as in the search index; `None` if `q` is not a text search.
    const SEARCHED: Option<&'static str> = None;

    fn from_row(row: &PgRow) -> sqlx::Result<Self>;

    /// Appends ` and …` for each filter that is set and for the search text.
    ///
    /// # Errors
    /// 400 if the search text is invalid.
    fn filter(
        sql: &mut QueryBuilder<Postgres>,
        filter: &Self::Filter,
        search: Option<&str>,
    ) -> Result<()>;
}

/// A field whose value identifies a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NaturalKey {
    pub(crate) field: &'static str,
    /// The expression that must be unique, such as `lower(name)`.
    pub(crate) expression: &'static str,
}

/// A key by which lists are sorted. Rows with equal keys are sorted by id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortKey {
    pub(crate) expression: &'static str,
    pub(crate) kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Integer,
    Time,
}
