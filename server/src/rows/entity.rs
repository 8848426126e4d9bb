//! What an entity must supply so that [`crate::rows::crud`] can serve it, beside its [`Table`]: plain SQL functions. An
//! entity that needs more writes handlers of its own.

use std::future::Future;

use chrono::{DateTime, Utc};
use serde_json::Value;
use stockroom_common::{Id, Product, change::Op, document};

use crate::{
    http::error::Result,
    rows::{
        list::{KeyValue, ListRequest, select},
        table::Table,
    },
    store::{
        Store, cache::Tag, copy::TableRows, database::Connection, log::Change,
        partitions::Partitions, write::Write,
    },
};

pub(crate) trait Entity: Table {
    /// The columns elsewhere that may refer to a row and so keep it from being deleted.
    const REFERENCES: &'static [Reference];

    /// Whether the document would leave the row as it is.
    fn is_unchanged_by(&self, new: &Self::New) -> bool {
        document::to_value(new) == document::to_value(&self.document())
    }

    /// What a write to this row makes old.
    fn tags(&self) -> Vec<Tag>;

    /// What a page may depend on, named before it is read.
    fn page_tags(_request: &ListRequest<Self>, _now: DateTime<Utc>) -> Vec<Tag> {
        vec![Tag::list::<Self>()]
    }

    /// Which of those it does depend on, now that it was read as far as the row with the key `end`;
    /// none where the list ends with the page.
    fn actual_tags(
        request: &ListRequest<Self>,
        now: DateTime<Utc>,
        _end: Option<&KeyValue>,
    ) -> Vec<Tag> {
        Self::page_tags(request, now)
    }

    /// The rows of a page and their sort keys, one row more than its limit where there are more.
    fn page(
        conn: &mut Connection,
        request: &ListRequest<Self>,
    ) -> impl Future<Output = Result<Vec<(Self, KeyValue)>>> + Send {
        select::page(conn, request)
    }

    /// The rows with these ids that exist, in any order.
    fn by_ids(
        _partitions: &Partitions,
        conn: &mut Connection,
        ids: &[Id<Self>],
    ) -> impl Future<Output = Result<Vec<Self>>> + Send {
        select::by_ids(conn, ids)
    }

    /// The row, kept from being changed by others until the transaction ends.
    fn lock(
        conn: &mut Connection,
        id: Id<Self>,
    ) -> impl Future<Output = Result<Option<Self>>> + Send {
        select::for_update(conn, id)
    }

    /// The rows that have one of these ids or natural keys, each with its key, kept from being changed by
    /// others until the transaction ends. They are locked in the order of their ids, so that two who
    /// write many of them never wait for each other in a circle.
    fn lock_many(
        conn: &mut Connection,
        ids: &[Id<Self>],
        keys: &[String],
    ) -> impl Future<Output = Result<Vec<(Self, String)>>> + Send {
        select::many_for_update(conn, ids, keys)
    }

    /// Writes what rows that were written together have changed of what they share with others.
    fn finish(_write: &mut Write) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Likewise keeps what these rows, as they were and as they are to be, share with others.
    fn lock_shared(
        _write: &mut Write,
        _old: &[&Self],
        _new: &[&Value],
    ) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// The products that the fields of a row name, and whose stock they may move.
    fn products_of(_fields: &Value) -> Vec<Id<Product>> {
        Vec::new()
    }

    /// Logs what happened to a row in the write that does it.
    fn record(write: &mut Write, op: Op, before: Option<&Self>, after: Option<&Self>) {
        let tags = before.into_iter().chain(after).flat_map(Self::tags);
        write.log(Change::of_row(op, before, after, tags.collect()));
    }

    /// What has to be there before a row can be written, and is made on other connections; tells whether anything has
    /// to be. The fields are those that a caller sent, some or all, beside the id and the version.
    fn prepare(
        _store: &Store,
        _which: (Option<Id<Self>>, Option<i64>),
        _fields: &Value,
        _how: Prepare,
    ) -> impl Future<Output = Result<bool>> + Send {
        std::future::ready(Ok(false))
    }

    fn insert(
        write: &mut Write,
        identity: Identity<Self>,
        new: Self::New,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Writes `new` over `old`, which the transaction has locked, as the next version.
    fn update(
        write: &mut Write,
        old: &Self,
        new: Self::New,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Rows as they are, to be loaded in bulk; their partitions are there.
    fn copy(partitions: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>>;

    /// Deletes a row that the transaction has locked.
    fn delete(write: &mut Write, old: &Self) -> impl Future<Output = Result<()>> + Send {
        select::delete_by_id(write, old.id())
    }
}

/// What to do about what a row requires, such as a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepare {
    Create,
    /// Only find out whether the row would be refused: if it is, rows that are written with it must leave nothing behind.
    Check,
}

/// A column elsewhere that refers to the entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// `select` of at most 1,001 rows that refer to id `$1`.
    pub(crate) select: &'static str,
    /// What they are, before their count: `products in it`.
    pub(crate) what: &'static str,
    /// What can be done about them.
    pub(crate) advice: &'static str,
}

/// The id and version that a new row gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity<R> {
    Minted,
    /// The caller names the row, which may have lived before.
    Given {
        id: Id<R>,
        version: i64,
    },
}

impl<R> Identity<R> {
    /// The id and version, minted for the instant `at` where they are not given.
    pub(crate) fn resolve(self, at: DateTime<Utc>) -> (Id<R>, i64) {
        match self {
            Self::Minted => (Id::mint(at, rand::random()), 1),
            Self::Given { id, version } => (id, version),
        }
    }
}
