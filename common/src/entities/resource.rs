//! The trait that server and client share: the names, columns and rules of a resource.

use std::fmt::Debug;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    FieldError, Id,
    check::{MAX_VERSION, UNPRINTABLE},
    table::Column,
};

/// A kind of row that the API lists, reads and writes under `/v1/{PATH}`.
pub trait Resource:
    Serialize + DeserializeOwned + Clone + Debug + Send + Sync + Unpin + 'static
{
    /// The plural in URLs.
    const PATH: &'static str;
    /// The singular in messages and in the change log.
    const NAME: &'static str;
    /// The keys that a list can be sorted by, ascending; the prefix `-` reverses the order.
    const SORTS: &'static [&'static str];
    /// The order of a list without the parameter `sort`, in the same notation.
    const DEFAULT_SORT: &'static str;
    /// The query parameters of a list besides those of every list, such as `limit`, `cursor`, `sort`, `q` and `count`.
    const FILTERS: &'static [&'static str];

    /// The columns of the resource in tables (CSV).
    const TABLE_COLUMNS: &'static [Column];

    /// The part of the row that a caller writes: the body of POST and PUT, and the target of a merge patch.
    type New: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// The filters of a list, all optional.
    type Filter: Serialize + DeserializeOwned + Clone + Debug + Default + Send + Sync + 'static;

    fn id(&self) -> Id<Self>;

    /// Starts at 1 and grows by one with each write. It is the row's ETag.
    fn version(&self) -> i64;

    /// The document that a caller would PUT to leave the row unchanged.
    fn document(&self) -> Self::New;

    /// Checks the rules that need no database. Returns one error for each broken rule, with its field.
    fn check(new: &Self::New) -> Vec<FieldError>;

    /// When the row was created, and when it was last changed.
    fn times(&self) -> [DateTime<Utc>; 2];

    /// Whether a stored row may break the rule of `fault` although no caller may write such a row: the server itself
    /// produced the value, or the row is older than the rule.
    fn may_be_stored(_document: &Self::New, fault: &FieldError) -> bool {
        fault.code == UNPRINTABLE
    }

    /// Checks the fields that the server derives from the row. Returns one error for each that does not match.
    fn check_derived(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// Checks a whole row as it was stored, including the fields that the server sets.
    fn check_row(&self) -> Vec<FieldError> {
        let document = self.document();
        let mut errors = Self::check(&document);
        errors.retain(|fault| !Self::may_be_stored(&document, fault));
        if !(1..=MAX_VERSION).contains(&self.version()) {
            let message = format!("is {}; it must be from 1 to {MAX_VERSION}", self.version());
            errors.push(FieldError::new("/version", "out_of_range", message));
        }
        for (pointer, at) in ["/created_at", "/updated_at"].into_iter().zip(self.times()) {
            if at.nanosecond() >= 1_000_000_000 {
                // It would be stored as the following second.
                let message = "is a leap second; write the second before or after it";
                errors.push(FieldError::new(pointer, "out_of_range", message));
            }
            if !(1..=9_999).contains(&at.year()) {
                let message = format!("is in the year {}; it must be from 1 to 9999", at.year());
                errors.push(FieldError::new(pointer, "out_of_range", message));
            }
        }
        errors.extend(self.check_derived());
        errors
    }
}
