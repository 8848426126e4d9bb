//! `GET /v1/{r}/export`: a whole list as a stream, of one instant however long it takes. Memory does not
//! grow with the rows: a batch is read when the caller has taken the one before it.

use std::fmt;

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use sqlx::{Postgres, Transaction};
use stockroom_common::{Kind, document, format::Format, table::Column};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    entity::Entity,
    error::{Error, Result},
    import::BUSY,
    list::{self, ListRequest, Parameters, unreadable},
    state::AppState,
};

const BATCH: u32 = 1_000;
/// A caller may be slow; one that takes nothing for so long has gone.
const PATIENCE: &str = "set local idle_in_transaction_session_timeout = '10min'";

/// `GET /v1/{r}/export?format&sort&q&<filters>`
pub(crate) async fn export<E: Entity>(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let mut parameters = Parameters::read(&query.unwrap_or_default())?;
    let format = parameters.take("format");
    let format = parse_format(format.as_deref().unwrap_or("ndjson"))?;
    let mut request = ListRequest::<E>::whole(parameters, &state.cursor_key)?;
    request.in_batches_of(BATCH);
    let permit = state.transfers.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Error::refused(Kind::Unavailable, BUSY))?;
    let mut snapshot = state.pool.begin_with(list::SNAPSHOT).await?;
    sqlx::raw_sql(PATIENCE).execute(&mut *snapshot).await?;
    let mut rows = Rows {
        snapshot,
        request,
        format,
        is_begun: false,
        is_over: false,
        _permit: permit,
    };
    // Read before the answer begins: what is wrong with the request shows here.
    let first = rows.next().await?;
    let rest = stream::unfold(rows, |mut rows| async {
        let batch = rows.next().await.inspect_err(|error| {
            // All that the caller sees is an answer that breaks off.
            tracing::error!(%error, "an export failed on its way");
            rows.is_over = true;
        });
        Some((batch.transpose()?, rows))
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    let name = format!("attachment; filename=\"{}.{format}\"", E::PATH);
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.media_type()),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = name.parse() {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A list on its way out.
struct Rows<E: Entity> {
    snapshot: Transaction<'static, Postgres>,
    /// What comes next.
    request: ListRequest<E>,
    format: Format,
    is_begun: bool,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl<E: Entity> Rows<E> {
    /// The next batch as it is sent; none after the last.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let mut rows = E::page(&mut self.snapshot, &self.request).await?;
        // One more than asked for where the list goes on.
        self.is_over = rows.len() <= BATCH as usize;
        rows.truncate(BATCH as usize);
        if let Some((row, key)) = rows.last() {
            self.request.go_on_after(row, key);
        }
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        let rows = rows.iter().map(|(row, _)| row);
        let batch = match self.format {
            Format::Ndjson => ndjson(rows),
            Format::Csv => csv(rows, is_first),
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

/// Reads the parameter `format`.
pub(crate) fn parse_format(text: &str) -> Result<Format> {
    text.parse()
        .map_err(|message: String| unreadable("format", "unknown_value", message))
}
