//! The outcome of the rows of a file. The response has the refused rows or, on request, a stream of every row, which
//! is kept on disk until all rows are written.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
};

use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Serialize;
use stockroom_common::{
    bulk::{BulkRow, ImportReport, ImportRow},
    format::Format,
};
use tokio::io::AsyncReadExt;

use super::space::cannot_store;
use crate::http::error::Result;

const CHUNK: usize = 1 << 16;

pub(crate) struct Report {
    totals: ImportReport,
    /// One line per row, if the caller wants every row.
    every_row: Option<BufWriter<File>>,
}

impl Report {
    pub(super) fn new(wants_every_row: bool) -> Result<Self> {
        let every_row = wants_every_row.then(|| tempfile::tempfile().map(BufWriter::new));
        Ok(Self {
            totals: ImportReport::default(),
            every_row: every_row.transpose().map_err(cannot_store)?,
        })
    }

    /// Continues the report of a previous server.
    pub(super) const fn resume(totals: ImportReport) -> Self {
        Self {
            totals,
            every_row: None,
        }
    }

    pub(super) const fn totals(&self) -> &ImportReport {
        &self.totals
    }

    pub(super) fn into_totals(self) -> ImportReport {
        self.totals
    }

    /// Adds the outcome of the row that begins in this line.
    pub(super) fn push(&mut self, line: u64, row: BulkRow) -> Result<()> {
        let row = ImportRow { line, row };
        self.totals.push(&row);
        self.write(&row)
    }

    /// Adds rows that were all loaded unchanged.
    pub(super) fn loaded(&mut self, rows: u64) {
        self.totals.created += rows;
    }

    /// Number of rows with an outcome so far.
    pub(super) fn rows(&self) -> u64 {
        let totals = &self.totals;
        totals.created + totals.updated + totals.unchanged + totals.failed
    }

    pub(crate) fn respond(mut self) -> Result<Response> {
        if self.every_row.is_none() {
            return Ok(Json(self.totals).into_response());
        }
        // The lines already contain the refused rows.
        self.totals.refused.clear();
        let totals = std::mem::take(&mut self.totals);
        self.write(&totals)?;
        let file = self.every_row.map(BufWriter::into_inner).transpose();
        let Some(mut file) = file.map_err(|error| cannot_store(error.into_error()))? else {
            return Ok(Json(totals).into_response());
        };
        file.rewind().map_err(cannot_store)?;
        let chunks = stream::unfold(tokio::fs::File::from_std(file), |mut file| async {
            let mut chunk = vec![0; CHUNK];
            match file.read(&mut chunk).await {
                Ok(0) => None,
                Ok(read) => {
                    chunk.truncate(read);
                    Some((Ok(Bytes::from(chunk)), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        let mut response = Body::from_stream(chunks).into_response();
        let media_type = HeaderValue::from_static(Format::Ndjson.media_type());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        Ok(response)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let Some(file) = &mut self.every_row else {
            return Ok(());
        };
        serde_json::to_writer(&mut *file, line).map_err(|error| cannot_store(error.into()))?;
        file.write_all(b"\n").map_err(cannot_store)
    }
}
