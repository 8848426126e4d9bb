//! A file that was received, kept without a name: whatever happens, it goes with the last who has it open.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Seek},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    interrupt::Interrupted,
    receive::{Room, no_room},
};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use stockroom_common::{
    FieldError, Kind, document,
    format::Format,
    table::{self, Column},
};

/// Bytes that a row may have.
const ROW_LIMIT: usize = 1 << 20;
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
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The rows of a file, not yet read as those of an entity.
pub(crate) struct File {
    file: std::fs::File,
    format: Format,
    /// Bytes that it may have unpacked.
    limit: u64,
    interrupted: Interrupted,
    _room: Room,
}

/// A row: the line where it begins, and what stands there.
pub(crate) type Line = (u64, Result<Value, FieldError>);

/// Rows on their way out of a file; a fault that none can follow ends them.
type Reader = Box<dyn Iterator<Item = Result<Line, FieldError>> + Send>;

/// Rows on their way out of a file.
pub(crate) struct Lines {
    reader: Option<Reader>,
    /// Bytes that were read for them so far.
    read: Arc<AtomicU64>,
    rows: u64,
}

impl File {
    pub(super) fn new(
        file: std::fs::File,
        format: Format,
        room: Room,
        interrupted: Interrupted,
    ) -> Self {
        let limit = room.bytes().saturating_mul(MAX_RATIO).max(UNPACKED_FREE);
        let limit = limit.min(room.file_limit().saturating_mul(UNPACKED_LIMIT));
        Self {
            file,
            format,
            limit,
            interrupted,
            _room: room,
        }
    }

    /// How many bytes it has, and the file from its start on.
    pub(super) fn into_bytes(self) -> Result<(u64, std::fs::File)> {
        let mut file = self.file;
        file.rewind().map_err(no_room)?;
        Ok((file.metadata().map_err(no_room)?.len(), file))
    }

    /// The rows from the first on, for a table of those columns.
    ///
    /// # Errors
    /// 400 where the header names what is no column.
    pub(crate) async fn lines(&self, columns: &'static [Column]) -> Result<Lines> {
        let mut file = self.file.try_clone().map_err(no_room)?;
        let (format, limit) = (self.format, self.limit);
        let interrupted = self.interrupted.clone();
        let read = Arc::new(AtomicU64::new(0));
        let counter = read.clone();
        let open = move || {
            file.rewind()?;
            let mut start = [0; 2];
            let packed = file.read(&mut start)? == start.len() && start == GZIP;
            file.rewind()?;
            let bytes: Box<dyn Read + Send> = match packed {
                true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
                false => Box::new(file),
            };
            let bytes = Limited {
                bytes,
                left: limit,
                read: counter,
                interrupted,
            };
            Ok::<_, io::Error>(match format {
                Format::Csv => csv_lines(bytes, columns),
                Format::Ndjson => Ok(ndjson_lines(bytes)),
            })
        };
        let lines = tokio::task::spawn_blocking(open).await?.map_err(no_room)?;
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

fn broken(error: &io::Error) -> FieldError {
    FieldError::new("", "syntax", format!("cannot be read: {error}"))
}

fn ndjson_lines(bytes: impl Read + Send + 'static) -> Reader {
    let mut bytes = BufReader::with_capacity(1 << 16, bytes);
    let mut number = 0;
    let mut is_over = false;
    Box::new(std::iter::from_fn(move || {
        loop {
            if is_over {
                return None;
            }
            let mut line = Vec::new();
            number += 1;
            match (&mut bytes)
                .take(ROW_LIMIT as u64 + 1)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => return None,
                Ok(read) if read > ROW_LIMIT => {
                    is_over = true;
                    return Some(Err(too_long().at_line(number)));
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok((number, ndjson_row(&line, number)))),
                Err(error) => {
                    is_over = true;
                    return Some(Err(broken(&error).at_line(number)));
                }
            }
        }
    }))
}

fn ndjson_row(line: &[u8], number: u64) -> Result<Value, FieldError> {
    let line = match number {
        1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        _ => line,
    };
    if std::str::from_utf8(line).is_err() || line.contains(&0) {
        return Err(no_utf8());
    }
    document::from_slice(line)
}

fn no_utf8() -> FieldError {
    FieldError::new("", "syntax", "is not UTF-8; save the file in that encoding")
}

fn csv_lines(
    bytes: impl Read + Send + 'static,
    columns: &'static [Column],
) -> Result<Reader, FieldError> {
    let watch = Watch::default();
    // Where a quote is not closed, everything after it is in one cell, and the end as well.
    let end = format!("\u{1}the end {:x}\u{1}", rand::random::<u128>());
    let watched = Watched {
        bytes: bytes.chain(io::Cursor::new(format!("\n{end}\n"))),
        watch: watch.clone(),
    };
    let mut bytes = BufReader::with_capacity(1 << 16, watched);
    let delimiter = sniff_delimiter(&mut bytes).map_err(|error| broken(&error))?;
    let mut builder = csv::ReaderBuilder::new();
    let mut table = builder
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(bytes);
    let header = table.byte_headers().map_err(|error| csv_fault(&error))?;
    let header = cells(header)?;
    if header.iter().all(|name| name.is_empty() || *name == end) {
        let message = "there is no header, which names the columns";
        return Err(FieldError::new("", "required", message));
    }
    if header.iter().any(|name| name.contains(&end)) {
        let message = "a quote that begins here is not closed";
        return Err(FieldError::new("", "syntax", message).at_line(1));
    }
    let columns = table::read_header(columns, header.into_iter())?;
    let mut record = csv::ByteRecord::new();
    let mut is_over = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        watch.seen().since_row = 0;
        let read = table.read_byte_record(&mut record);
        let begun = record.position().map_or(0, csv::Position::byte);
        let line = watch.seen().line_of(begun);
        if let Err(error) = read {
            is_over = true;
            return Some(Err(csv_fault(&error).at_line(line)));
        }
        let last = record.iter().next_back().unwrap_or_default();
        if record.len() == 1 && last == end.as_bytes() {
            is_over = true;
            return None;
        }
        if last.trim_ascii_end().ends_with(end.as_bytes()) {
            is_over = true;
            let message = "a quote that begins here is not closed";
            return Some(Err(FieldError::new("", "syntax", message).at_line(line)));
        }
        let row = cells(&record);
        let row = row.and_then(|cells| table::read_row(&columns, cells.into_iter()));
        Some(Ok((line, row)))
    })))
}

/// What separates the cells: spreadsheets write semicolons where the comma is taken, or tabs. Takes the
/// mark that some put before UTF-8 away.
fn sniff_delimiter(bytes: &mut impl BufRead) -> io::Result<u8> {
    if bytes.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        bytes.consume(BYTE_ORDER_MARK.len());
    }
    let start = bytes.fill_buf()?;
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let separates = |delimiter: &u8| header.contains(delimiter);
    Ok([b',', b';', b'\t']
        .into_iter()
        .find(separates)
        .unwrap_or(b','))
}

fn cells(record: &csv::ByteRecord) -> Result<Vec<&str>, FieldError> {
    let cells = record.iter().map(std::str::from_utf8);
    cells.collect::<Result<_, _>>().map_err(|_| no_utf8())
}

fn csv_fault(error: &csv::Error) -> FieldError {
    match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => too_long(),
        csv::ErrorKind::Io(error) => broken(error),
        _ => FieldError::new("", "syntax", error.to_string()),
    }
}

fn too_long() -> FieldError {
    let message = format!("has more than {ROW_LIMIT} bytes; a quote may not be closed");
    FieldError::new("", "too_long", message)
}

/// What was seen of a table on its way to the reader, which counts no lines between its records.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// Bytes read since a row began: one that never ends must not fill the memory.
    since_row: usize,
    /// Bytes read in all, but for the mark before UTF-8.
    read: u64,
    /// Where lines break beyond the last row, and whether by a feed (the other half is a return).
    breaks: VecDeque<(u64, bool)>,
    /// Feeds up to the last row.
    feeds: u64,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The line of the row that was looked for from that byte on: blank lines come before it.
    fn line_of(&mut self, mut byte: u64) -> u64 {
        while let Some((place, is_feed)) = self.breaks.pop_front_if(|(place, _)| *place <= byte) {
            self.feeds += u64::from(is_feed);
            byte = byte.max(place + 1);
        }
        self.feeds + 1
    }

    fn see(&mut self, bytes: &[u8]) {
        let bytes = match self.read {
            0 => bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes),
            _ => bytes,
        };
        let places = (self.read..).zip(bytes);
        let breaks = places.filter(|(_, byte)| matches!(byte, b'\n' | b'\r'));
        self.breaks
            .extend(breaks.map(|(place, byte)| (place, *byte == b'\n')));
        self.read += bytes.len() as u64;
        self.since_row += bytes.len();
    }
}

struct Watched<R> {
    bytes: R,
    watch: Watch,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut seen = self.watch.seen();
        // What was read ahead may be of many rows; only what is read for one alone adds up.
        if seen.since_row > ROW_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.bytes.read(buffer)?;
        seen.see(&buffer[..read]);
        Ok(read)
    }
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
    use stockroom_common::{Category, Resource};

    use super::*;

    fn table(bytes: &'static [u8]) -> Result<Vec<Line>, FieldError> {
        csv_lines(bytes, Category::TABLE_COLUMNS)?.collect()
    }

    #[test]
    fn what_unpacks_to_too_much_is_no_end_of_the_file() {
        let bytes = Limited {
            bytes: Box::new(b"{}\n{}\n{}\n".as_slice()),
            left: 6,
            read: Arc::default(),
            interrupted: Interrupted::default(),
        };
        let fault = ndjson_lines(bytes).find_map(Result::err).unwrap();
        assert!(fault.message.contains("unpacks to too much"));
    }

    #[test]
    fn rows_know_the_line_where_they_begin() {
        let lines = table(b"\xef\xbb\xbfname;description\n\"a\nb\";x\n\nc;y;z\nd;\xff\n").unwrap();
        let places: Vec<u64> = lines.iter().map(|(line, _)| *line).collect();
        assert_eq!(places, [2, 5, 6]);
        let windows = table(b"name\r\na\r\n\r\n\"b\r\nc\"\r\nd\r\n").unwrap();
        let windows: Vec<u64> = windows.iter().map(|(line, _)| *line).collect();
        assert_eq!(windows, [2, 4, 6]);
        assert_eq!(lines[0].1.as_ref().unwrap()["name"], "a\nb");
        assert_eq!(lines[1].1.as_ref().unwrap_err().code, "syntax");
        assert!(lines[2].1.as_ref().unwrap_err().message.contains("UTF-8"));
        let lines = ndjson_lines(b"{\"a\": 1}\n\n{\"a\": 2".as_slice());
        let lines: Vec<Line> = lines.collect::<Result<_, _>>().unwrap();
        assert_eq!(lines[0], (1, Ok(serde_json::json!({"a": 1}))));
        assert_eq!(lines[1].0, 3);
        assert!(lines[1].1.is_err());
    }

    #[test]
    fn a_row_without_an_end_is_refused_before_it_fills_the_memory() {
        let endless: &'static [u8] =
            Vec::leak([b"name\n\"".as_slice(), &[b'x'; ROW_LIMIT * 3]].concat());
        let fault = table(endless).unwrap_err();
        assert_eq!((&*fault.code, fault.line), ("too_long", Some(2)));
        let endless: &'static [u8] = Vec::leak(vec![b'x'; ROW_LIMIT * 3]);
        let fault = ndjson_lines(endless).find_map(Result::err).unwrap();
        assert_eq!((&*fault.code, fault.line), ("too_long", Some(1)));
    }

    #[test]
    fn a_quote_that_is_not_closed_swallows_no_rows() {
        let fault = table(b"name,description\na,b\nA,\"x\nB,y\nC,z\n").unwrap_err();
        assert_eq!((&*fault.code, fault.line), ("syntax", Some(3)));
        let lines = table(b"name\n\"a\"").unwrap();
        assert_eq!(lines.len(), 1, "the last row may have no end of line");
        assert_eq!(table(b"name").unwrap(), []);
    }

    #[test]
    fn a_file_without_a_header_is_refused() {
        assert_eq!(table(b"").err().unwrap().code, "required");
        assert_eq!(table(b"Tea,Green\n").err().unwrap().code, "unknown_field");
    }
}
