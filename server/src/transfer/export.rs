//! `GET /v1/{r}/export`: a whole list as a stream, from one snapshot however long it takes. Memory does not grow with
//! the number of rows: a batch is read when the caller has taken the previous one.

pub(crate) mod job;

use std::{fmt, io};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use futures_util::stream;
use sqlx::AssertSqlSafe;
use stockroom_common::{Id, Kind, document, format::Format, page, table::Column};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    http::{
        error::{Error, Result},
        parameters::Parameters,
        respond::attachment,
    },
    process::lifecycle::Phase,
    rows::{
        entity::Entity,
        list::{self, ListQuery, ListRequest},
    },
    store::{
        Store,
        database::{Connection, Lease, Transaction},
    },
    transfer::parameters::{BUSY, parse_format},
};

/// Rows that are read at a time.
pub(crate) const BATCH: u32 = 1_000;

/// `GET /v1/{r}/export?format&sort&q&<filters>`, or `?format&id=a,b,…`
pub(crate) async fn export<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
) -> Result<Response> {
    let format = parameters.take("format");
    let format = parse_format(format.as_deref().unwrap_or("ndjson"))?;
    if let Some(ids) = parameters.take("id") {
        parameters.refuse_rest(&["format", "id"])?;
        let rows = ByIds::new(&store, ListQuery::<E>::parse_ids(&ids)?);
        return respond(&store, rows, format, E::PATH).await;
    }
    let mut request = ListRequest::<E>::parse_whole_list(parameters, &store.cursor_key)?;
    request.set_batch_rows(BATCH);
    respond(&store, List(request), format, E::PATH).await
}

/// The source of exported rows.
pub(crate) trait Source: Send + 'static {
    type Row: Entity;

    /// The next rows, and whether they are the last.
    fn next(
        &mut self,
        conn: &mut Connection,
    ) -> impl Future<Output = Result<(Vec<Self::Row>, bool)>> + Send;
}

struct List<E: Entity>(ListRequest<E>);

impl<E: Entity> Source for List<E> {
    type Row = E;

    async fn next(&mut self, conn: &mut Connection) -> Result<(Vec<E>, bool)> {
        let mut rows = E::page(conn, &self.0).await?;
        // `page` returns one row more than the limit if the list continues.
        let is_over = rows.len() <= BATCH as usize;
        rows.truncate(BATCH as usize);
        if let Some((row, key)) = rows.last() {
            self.0.continue_after(row, key);
        }
        Ok((rows.into_iter().map(|(row, _)| row).collect(), is_over))
    }
}

/// Rows by id. Ids that do not exist are skipped.
struct ByIds<E: Entity> {
    store: Store,
    /// In descending order: `next` takes ids from the end.
    ids: Vec<Id<E>>,
}

impl<E: Entity> ByIds<E> {
    fn new(store: &Store, mut ids: Vec<Id<E>>) -> Self {
        ids.sort_by_key(|id| std::cmp::Reverse(*id));
        ids.dedup();
        let store = store.clone();
        Self { store, ids }
    }
}

impl<E: Entity> Source for ByIds<E> {
    type Row = E;

    async fn next(&mut self, conn: &mut Connection) -> Result<(Vec<E>, bool)> {
        let rest = self.ids.len().saturating_sub(page::MAX_LIMIT as usize);
        let next = self.ids.split_off(rest);
        let mut rows = E::by_ids(&self.store.partitions, conn, &next).await?;
        rows.sort_by_key(E::id);
        Ok((rows, self.ids.is_empty()))
    }
}

/// Answers with the rows of a source, from one snapshot.
pub(crate) async fn respond<S: Source>(
    store: &Store,
    source: S,
    format: Format,
    name: &str,
) -> Result<Response> {
    let permit = store.transfers.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Error::refused(Kind::Unavailable, BUSY))?;
    let mut rows = Rows::of(store, source, format, permit).await?;
    // Read the first batch before the response starts, so that an error is still answered with its status.
    let first = rows.next().await?.unwrap_or_default();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(send(store.clone(), rows, first, sender));
    let body = stream::unfold(receiver, |mut receiver| async {
        match receiver.recv().await {
            Some(Some(batch)) => Some((Ok(batch), receiver)),
            Some(None) => None,
            // The sender stopped early. Fail, so that the body does not look complete.
            None => Some((Err(io::Error::other("the export was cut off")), receiver)),
        }
    });
    Ok(attachment(Body::from_stream(body), name, format))
}

/// Sends the rows, and finally `None` to mark the end. Stops early if the caller takes nothing for `request_timeout`,
/// or if the server cuts off the requests in progress. So the database connection is freed even if the caller hangs.
async fn send<S: Source>(
    store: Store,
    mut rows: Rows<S>,
    first: Bytes,
    sender: mpsc::Sender<Option<Bytes>>,
) {
    let mut batch = Some(first);
    loop {
        let is_last = batch.is_none();
        let sent = tokio::select! {
            sent = sender.send_timeout(batch, store.options.request_timeout) => sent.is_ok(),
            () = store.lifecycle.until(Phase::Over) => false,
        };
        if is_last || !sent {
            return;
        }
        batch = match rows.next().await {
            Ok(batch) => batch,
            Err(error) => {
                // The caller only sees that the response breaks off.
                tracing::error!(%error, "an export failed while it was sent");
                return;
            }
        };
    }
}

/// An export in progress.
struct Rows<S: Source> {
    snapshot: Transaction<Lease>,
    source: S,
    format: Format,
    /// Number of rows read so far.
    rows: usize,
    is_begun: bool,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S: Source> Rows<S> {
    async fn of(
        store: &Store,
        source: S,
        format: Format,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let mut snapshot = store.database.bulk.begin_with(list::SNAPSHOT).await?;
        // The transaction is idle while the caller takes a batch. `send` limits that to `request_timeout`.
        let idle = store.options.request_timeout * 2;
        let idle = format!(
            "set local idle_in_transaction_session_timeout = {}",
            idle.as_millis()
        );
        sqlx::raw_sql(AssertSqlSafe(idle))
            .execute(&mut *snapshot)
            .await?;
        Ok(Self {
            snapshot,
            source,
            format,
            rows: 0,
            is_begun: false,
            is_over: false,
            _permit: permit,
        })
    }

    /// The next batch in the format of the export; none after the last.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let (rows, is_over) = self.source.next(&mut self.snapshot).await?;
        self.is_over = is_over;
        self.rows += rows.len();
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        let batch = match self.format {
            Format::Ndjson => ndjson(rows.iter()),
            Format::Csv => csv(rows.iter(), is_first),
        };
        batch.map(|bytes| Some(bytes.into()))
    }
}

fn ndjson<'a, E: Entity>(rows: impl Iterator<Item = &'a E>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, row).map_err(unwritable)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn csv<'a, E: Entity>(rows: impl Iterator<Item = &'a E>, with_header: bool) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    if with_header {
        let names = E::TABLE_COLUMNS.iter().map(Column::name);
        table.write_record(names).map_err(unwritable)?;
    }
    for row in rows {
        let row = document::to_value(row);
        let values = E::TABLE_COLUMNS.iter().map(|column| column.write(&row));
        table.write_record(values).map_err(unwritable)?;
    }
    table.into_inner().map_err(unwritable)
}

fn unwritable(error: impl fmt::Display) -> Error {
    tracing::error!(%error, "a row cannot be written");
    Error::refused(Kind::Internal, "A row cannot be written.")
}
