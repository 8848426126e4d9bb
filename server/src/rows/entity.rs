//! What an entity must supply, in addition to its [`Table`], so that [`crate::rows::crud`] can serve it: plain SQL
//! functions. An entity that needs more defines its own handlers.

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
    /// Columns of other tables that may refer to a row and so prevent its deletion.
    const REFERENCES: &'static [Reference];

    /// Whether writing the document would change nothing.
    fn is_unchanged_by(&self, new: &Self::New) -> bool {
        document::to_value(new) == document::to_value(&self.document())
    }

    /// The tags of the cached answers that a write to this row makes stale.
    fn tags(&self) -> Vec<Tag>;

    /// The tags that a page may depend on, as far as they are known before it is read.
    fn page_tags(_request: &ListRequest<Self>, _now: DateTime<Utc>) -> Vec<Tag> {
        vec![Tag::list::<Self>()]
    }

    /// Those of [`Entity::page_tags`] that the page does depend on, once it has been read up to the row with the key
    /// `end`. `end` is `None` if the list ends with this page.
    fn actual_tags(
        request: &ListRequest<Self>,
        now: DateTime<Utc>,
        _end: Option<&KeyValue>,
    ) -> Vec<Tag> {
        Self::page_tags(request, now)
    }

    /// The rows of a page with their sort keys, plus one extra row if the list continues.
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

    /// Reads a row and locks it until the transaction ends.
    fn lock(
        conn: &mut Connection,
        id: Id<Self>,
    ) -> impl Future<Output = Result<Option<Self>>> + Send {
        select::for_update(conn, id)
    }

    /// Reads the rows that have one of these ids or natural keys, each with its key, and locks them until the
    /// transaction ends. Rows are locked in id order, so that two writers of many rows cannot deadlock.
    fn lock_many(
        conn: &mut Connection,
        ids: &[Id<Self>],
        keys: &[String],
    ) -> impl Future<Output = Result<Vec<(Self, String)>>> + Send {
        select::many_for_update(conn, ids, keys)
    }

    /// Writes the changes to shared rows, such as the stock of products, once after all rows of a call are written.
    fn finish(_write: &mut Write) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Locks what these rows share with other rows, such as products, for both their old and their new content.
    /// Called after the rows themselves are locked and before any of them is written.
    fn lock_shared(
        _write: &mut Write,
        _old: &[&Self],
        _new: &[&Value],
    ) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// The products that the fields of a row name. Writing the row may change their stock.
    fn products_of(_fields: &Value) -> Vec<Id<Product>> {
        Vec::new()
    }

    /// Adds the change of a row to the change log of its write.
    fn record(write: &mut Write, op: Op, before: Option<&Self>, after: Option<&Self>) {
        let tags = before.into_iter().chain(after).flat_map(Self::tags);
        write.log(Change::of_row(op, before, after, tags.collect()));
    }

    /// Creates what must exist before a row can be written, such as a partition, on other connections than that of the
    /// write. Returns whether anything is missing that a call with [`Prepare::Create`] creates. `fields` are those that
    /// the caller sent, complete or not, without the id and the version.
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

    /// Encodes rows for COPY, with their ids, versions and times unchanged. Their partitions must exist.
    fn copy(partitions: &Partitions, rows: impl Iterator<Item = Self>) -> Result<Vec<TableRows>>;

    /// Deletes a row that the transaction has locked.
    fn delete(write: &mut Write, old: &Self) -> impl Future<Output = Result<()>> + Send {
        select::delete_by_id(write, old.id())
    }
}

/// What [`Entity::prepare`] does about things that a row requires, such as a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepare {
    Create,
    /// Only find out whether the row would be refused. If it is, the rows written together with it must leave nothing
    /// behind.
    Check,
}

/// A column of another table that refers to the entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// A `select` of at most 1,001 rows that refer to id `$1`: one more than are reported exactly.
    pub(crate) select: &'static str,
    /// The text before the count, such as `products in it`.
    pub(crate) what: &'static str,
    /// What the caller can do about them.
    pub(crate) advice: &'static str,
}

/// The id and version of a new row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity<R> {
    Minted,
    /// The caller chose the id. A row with this id may have existed before.
    Given {
        id: Id<R>,
        version: i64,
    },
}

impl<R> Identity<R> {
    /// The given id and version; if none are given, a new id for the instant `at` and version 1.
    pub(crate) fn resolve(self, at: DateTime<Utc>) -> (Id<R>, i64) {
        match self {
            Self::Minted => (Id::mint(at, rand::random()), 1),
            Self::Given { id, version } => (id, version),
        }
    }
}
