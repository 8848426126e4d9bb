//! Encodes rows for `COPY … (format binary)`: see "Binary Format" on PostgreSQL's manual page of COPY.

use chrono::{DateTime, Utc};
use serde::Serialize;

use uuid::Uuid;

use crate::{http::error::Result, store::database::Connection};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Microseconds between the Unix epoch (1970) and PostgreSQL's epoch (2000).
const EPOCH_2000: i64 = 946_684_800_000_000;

/// A buffer to which rows are written field by field.
#[derive(Debug)]
pub(crate) struct CopyRows(Vec<u8>);

/// Encoded rows of one table, ready to load.
#[derive(Debug)]
pub(crate) struct TableRows {
    /// The COPY statement.
    statement: String,
    bytes: Vec<u8>,
}

impl TableRows {
    pub(crate) async fn load(&self, conn: &mut Connection) -> Result<()> {
        conn.copy_in(&self.statement, &self.bytes).await
    }
}

impl CopyRows {
    pub(crate) fn new() -> Self {
        let mut bytes = SIGNATURE.to_vec();
        // No flags, no header extension.
        bytes.extend_from_slice(&[0; 8]);
        Self(bytes)
    }

    /// Begins a row; exactly `fields` fields must follow.
    pub(crate) fn row(&mut self, fields: i16) -> &mut Self {
        self.0.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub(crate) fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.field(value.as_bytes())
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.field(&[u8::from(value)])
    }

    pub(crate) fn time(&mut self, value: DateTime<Utc>) -> &mut Self {
        self.i64(value.timestamp_micros() - EPOCH_2000)
    }

    pub(crate) fn jsonb(&mut self, value: &impl Serialize) -> &mut Self {
        // The version of the jsonb wire format (1), then the JSON text.
        let mut bytes = vec![1];
        let written = serde_json::to_writer(&mut bytes, value);
        debug_assert!(written.is_ok(), "wire types can be written");
        self.field(&bytes)
    }

    /// Finishes the rows, to be loaded into these columns of `table`.
    pub(crate) fn finish(mut self, table: &str, columns: &str) -> TableRows {
        self.0.extend_from_slice(&(-1_i16).to_be_bytes());
        TableRows {
            statement: format!("copy {table} ({columns}) from stdin (format binary)"),
            bytes: self.0,
        }
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}
