//! The table of an entity: what selecting, sorting and filtering its rows takes.

use sqlx::{Postgres, QueryBuilder, postgres::PgRow};
use stockroom_common::{Resource, partition::Family};

use crate::http::error::{Constraint, Result};

pub(crate) trait Table: Resource {
    const TABLE: &'static str;
    /// The columns that [`Table::from_row`] reads, as they stand after `select`.
    const COLUMNS: &'static str;
    /// The expressions of the keys in [`Resource::SORTS`], in the same order.
    const SORT_KEYS: &'static [SortKey];
    /// The constraints that a write can break.
    const CONSTRAINTS: &'static [Constraint];
    /// The family of partitions that its rows lie in, by the time in their ids; none where its table is not partitioned.
    const FAMILY: Option<Family> = None;

    /// What identifies a row besides its id, if anything does.
    const NATURAL_KEY: Option<NaturalKey> = None;

    /// The expression that `q` searches, as in the search index; none where `q` is not a text search.
    const SEARCHED: Option<&'static str> = None;

    fn from_row(row: &PgRow) -> sqlx::Result<Self>;

    /// Appends ` and …` for each filter that is set and for the search text.
    ///
    /// # Errors
    /// 400 where the search text cannot be one.
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
    /// What must be unique, such as `lower(name)`.
    pub(crate) expression: &'static str,
}

/// A key that lists are sorted by; ties are broken by id.
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
