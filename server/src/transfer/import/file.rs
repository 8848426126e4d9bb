//! A received file. It is stored without a name, so that it disappears when its last handle is closed, even after a
//! crash.

use std::{
    io::{self, BufRead, BufReader, Read, Seek},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    csv_table,
    lines::{Line, LineReader, wrong_encoding},
    ndjson,
    space::{DiskSpace, cannot_store},
};
use crate::{
    http::error::{Error, Result},
    process::interrupted::Interrupted,
};
use flate2::read::MultiGzDecoder;
use stockroom_common::{FieldError, Kind, format::Format, table::Column};

/// Bytes of rows in memory at a time.
const BATCH_BYTES: u64 = 4 << 20;
/// Maximum number of rows in a file.
const MAX_ROWS: u64 = 50_000_000;
/// Maximum ratio of the decompressed size to the size as sent. Tables shrink to a tenth or a fiftieth; a file that
/// shrinks to a thousandth has no real content.
const MAX_RATIO: u64 = 100;
/// Maximum decompressed size, in multiples of the maximum size as sent. It holds whatever the ratio.
const UNPACKED_LIMIT: u64 = 32;
/// Decompressed size in bytes that is always allowed, even for very small files.
const UNPACKED_FREE: u64 = 4 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The rows of a file, not yet parsed as rows of an entity.
pub(crate) struct File {
    file: std::fs::File,
    format: Format,
    /// Maximum decompressed size in bytes.
    limit: u64,
    interrupted: Interrupted,
    _space: DiskSpace,
}

/// Reads the rows of a file.
pub(crate) struct Lines {
    reader: Option<LineReader>,
    /// Decompressed bytes read so far.
    read: Arc<AtomicU64>,
    rows: u64,
}

impl File {
    pub(super) fn new(
        file: std::fs::File,
        format: Format,
        space: DiskSpace,
        interrupted: Interrupted,
    ) -> Self {
        let limit = space.bytes().saturating_mul(MAX_RATIO).max(UNPACKED_FREE);
        let limit = limit.min(space.file_limit().saturating_mul(UNPACKED_LIMIT));
        Self {
            file,
            format,
            limit,
            interrupted,
            _space: space,
        }
    }

    /// The size in bytes, and the file positioned at its start.
    pub(super) fn into_bytes(self) -> Result<(u64, std::fs::File)> {
        let mut file = self.file;
        file.rewind().map_err(cannot_store)?;
        Ok((file.metadata().map_err(cannot_store)?.len(), file))
    }

    /// The rows from the first one on, for a table with these columns.
    ///
    /// # Errors
    /// 400 if the header names an unknown column, or the file is UTF-16.
    pub(crate) async fn lines(&self, columns: &'static [Column]) -> Result<Lines> {
        let mut file = self.file.try_clone().map_err(cannot_store)?;
        let (format, limit) = (self.format, self.limit);
        let interrupted = self.interrupted.clone();
        let read = Arc::new(AtomicU64::new(0));
        let counter = read.clone();
        let open = move || {
            file.rewind()?;
            let mut start = [0; 2];
            let packed = file.read(&mut start)? == start.len() && start == GZIP;
            file.rewind()?;
            let bytes: Box<dyn Read + Send> = if packed {
                Box::new(MultiGzDecoder::new(BufReader::new(file)))
            } else {
                Box::new(file)
            };
            let bytes = Limited {
                bytes,
                left: limit,
                read: counter,
                interrupted,
            };
            let mut bytes = BufReader::with_capacity(1 << 16, bytes);
            let is_utf16 = is_utf16(bytes.fill_buf().unwrap_or_default());
            Ok::<_, io::Error>(match format {
                _ if is_utf16 => Err(wrong_encoding("UTF-16")),
                Format::Csv => csv_table::lines(bytes, columns),
                Format::Ndjson => Ok(ndjson::lines(bytes)),
            })
        };
        let lines = tokio::task::spawn_blocking(open)
            .await?
            .map_err(cannot_store)?;
        match lines {
            Ok(lines) => Ok(Lines {
                reader: Some(lines),
                read,
                rows: 0,
            }),
            Err(fault) => Err(Error::fields(Kind::Unreadable, vec![fault.at_line(1)])),
        }
    }
}

impl Lines {
    /// The next rows, converted by `read`: at most `limit` rows and about `BATCH_BYTES`; none after the last.
    ///
    /// # Errors
    /// 400 if the file breaks off or a row has no end; 413 if the file has more than `MAX_ROWS` rows.
    pub(crate) async fn next<T: Send + 'static>(
        &mut self,
        limit: usize,
        read: impl Fn(Line) -> T + Send + 'static,
    ) -> Result<Vec<T>> {
        let Some(mut lines) = self.reader.take() else {
            return Ok(Vec::new());
        };
        let counter = self.read.clone();
        let begun = counter.load(Relaxed);
        let take = move || {
            let mut is_first = true;
            let rows = std::iter::from_fn(|| {
                let has_room = counter.load(Relaxed) - begun < BATCH_BYTES;
                let is_next = std::mem::take(&mut is_first) || has_room;
                is_next.then(|| lines.next()).flatten()
            });
            let rows = rows.take(limit).map(|line| line.map(&read));
            let rows: Result<Vec<T>, FieldError> = rows.collect();
            (lines, rows)
        };
        let (lines, rows) = tokio::task::spawn_blocking(take).await?;
        self.reader = Some(lines);
        let rows = rows.map_err(|fault| Error::fields(Kind::Unreadable, vec![fault]))?;
        self.rows += rows.len() as u64;
        if self.rows > MAX_ROWS {
            let detail = format!("The file has more than {MAX_ROWS} rows; split it.");
            return Err(Error::refused(Kind::TooLarge, detail));
        }
        Ok(rows)
    }
}

/// Whether the text starts with a UTF-16 byte order mark, or every other byte is 0, as in most UTF-16.
fn is_utf16(start: &[u8]) -> bool {
    let start = &start[..start.len().min(64)];
    let is_zero = |from: usize| {
        let mut bytes = start.iter().skip(from).step_by(2).peekable();
        bytes.peek().is_some() && bytes.all(|byte| *byte == 0)
    };
    start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || is_zero(0) || is_zero(1)
}

/// A reader that fails after too many bytes, because a small compressed file can decompress to any size.
struct Limited {
    bytes: Box<dyn Read + Send>,
    left: u64,
    read: Arc<AtomicU64>,
    interrupted: Interrupted,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupted.is_set() {
            return Err(io::Error::other("the import was interrupted"));
        }
        let read = self.bytes.read(buffer)?;
        self.read.fetch_add(read as u64, Relaxed);
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let message = "it decompresses to more than a hundred times its size, or to too much; split it, or send it uncompressed";
                return Err(io::Error::other(message));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_to_too_much_is_no_end_of_the_file() {
        let bytes = Limited {
            bytes: Box::new(b"{}\n{}\n{}\n".as_slice()),
            left: 6,
            read: Arc::default(),
            interrupted: Interrupted::default(),
        };
        let fault = ndjson::lines(BufReader::new(bytes)).find_map(Result::err);
        assert!(fault.unwrap().message.contains("decompresses to more"));
    }

    #[test]
    fn other_encodings_are_called_by_their_name() {
        for utf16 in [
            b"\xff\xfen\0a\0".as_slice(),
            b"\xfe\xff\0n\0a",
            b"n\0a\0m\0e\0",
            b"\0n\0a\0m\0e",
        ] {
            assert!(is_utf16(utf16), "{utf16:?}");
        }
        assert!(!is_utf16(b"name\n") && !is_utf16(b"") && !is_utf16("näme".as_bytes()));
        assert!(
            super::super::lines::row_not_utf8(b"Caf\xe9")
                .message
                .contains("Windows-1252")
        );
        assert!(
            super::super::lines::row_not_utf8(b"Caf\x81")
                .message
                .contains("another encoding")
        );
    }
}
