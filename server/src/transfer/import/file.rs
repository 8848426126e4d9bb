//! A file that was received, kept without a name: whatever happens, it goes with the last who has it open.

use std::{
    io::{self, BufRead, BufReader, Read, Seek},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    csv_table,
    lines::{Line, LineReader, no_utf8},
    ndjson,
    space::{DiskSpace, cannot_store},
};
use crate::{
    http::error::{Error, Result},
    process::interrupted::Interrupted,
};
use flate2::read::MultiGzDecoder;
use stockroom_common::{FieldError, Kind, format::Format, table::Column};

/// Bytes of rows that are held at a time.
const BATCH_BYTES: u64 = 4 << 20;
/// Rows that a file may have.
const MAX_ROWS: u64 = 50_000_000;
/// Unpacked, a file may be so many times as large as it was sent: tables shrink to a tenth or a fiftieth, and what
/// shrinks to a thousandth holds nothing.
const MAX_RATIO: u64 = 100;
/// However well it shrinks, it may be so many times as large as a file may be when it is sent.
const UNPACKED_LIMIT: u64 = 32;
/// Small ones may be so large in any case.
const UNPACKED_FREE: u64 = 4 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The rows of a file, not yet read as those of an entity.
pub(crate) struct File {
    file: std::fs::File,
    format: Format,
    /// Bytes that it may have unpacked.
    limit: u64,
    interrupted: Interrupted,
    _space: DiskSpace,
}

/// Rows on their way out of a file.
pub(crate) struct Lines {
    reader: Option<LineReader>,
    /// Bytes that were read for them so far.
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

    /// How many bytes it has, and the file from its start on.
    pub(super) fn into_bytes(self) -> Result<(u64, std::fs::File)> {
        let mut file = self.file;
        file.rewind().map_err(cannot_store)?;
        Ok((file.metadata().map_err(cannot_store)?.len(), file))
    }

    /// The rows from the first on, for a table of those columns.
    ///
    /// # Errors
    /// 400 where the header names what is no column.
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
                _ if is_utf16 => Err(no_utf8("UTF-16")),
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
    /// The next rows, at most `limit` and of no more than some MiB, as `read` makes of them; none after the
    /// last.
    ///
    /// # Errors
    /// 400 where the file breaks off, or a row has no end.
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

/// Whether every other byte is 0, as those of most UTF-16 are, or there is its mark.
fn is_utf16(start: &[u8]) -> bool {
    let start = &start[..start.len().min(64)];
    let is_zero = |from: usize| {
        let mut bytes = start.iter().skip(from).step_by(2).peekable();
        bytes.peek().is_some() && bytes.all(|byte| *byte == 0)
    };
    start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || is_zero(0) || is_zero(1)
}

/// Bytes that fail where there are too many of them: what is packed may unpack to anything.
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
                let message = "it unpacks to too much, or to more than a hundred times its size; split it, or send it unpacked";
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
        assert!(fault.unwrap().message.contains("unpacks to too much"));
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
            super::super::lines::not_utf8(b"Caf\xe9")
                .message
                .contains("Windows-1252")
        );
        assert!(
            super::super::lines::not_utf8(b"Caf\x81")
                .message
                .contains("another encoding")
        );
    }
}
