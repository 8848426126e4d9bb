//! The one trait that server and client share: what a resource is called and what it is made of.

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
    /// The keys that a list may be sorted by, ascending; a `-` before one reverses it.
    const SORTS: &'static [&'static str];
    /// The order of a list that asks for none, in the form of `sort`.
    const DEFAULT_SORT: &'static str;
    /// The query parameters of a list beside `limit`, `cursor`, `sort`, `q` and `count`.
    const FILTERS: &'static [&'static str];

    /// The columns of the resource as a table.
    const TABLE_COLUMNS: &'static [Column];

    /// The part of the row that a caller writes: the body of POST and PUT, the target of a merge patch.
    type New: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static;
    /// The filters of a list, all optional.
    type Filter: Serialize + DeserializeOwned + Clone + Debug + Default + Send + Sync + 'static;

    fn id(&self) -> Id<Self>;

    /// Starts at 1 and grows by one with each write; the row's ETag.
    fn version(&self) -> i64;

    /// What a caller would have to PUT to leave the row as it is.
    fn document(&self) -> Self::New;

    /// The rules that need no database, each broken one with the field it belongs to.
    fn check(new: &Self::New) -> Vec<FieldError>;

    /// When it was created, and last changed.
    fn times(&self) -> [DateTime<Utc>; 2];

    /// Whether a row may be as it is although nobody may write it so: the server has made it so, or it is older than
    /// the rule.
    fn may_be_stored(_document: &Self::New, fault: &FieldError) -> bool {
        fault.code == UNPRINTABLE
    }

    /// What the server derives of the row and does not fit it.
    fn check_derived(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// The same of a whole row as it was stored, with what the server sets.
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
                // It would be stored as the second after it.
                let message = "is a leap second; write the one before it or after it";
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
