//! CSV as people and spreadsheets write it. Finds what the CSV reader does not report: the line in which a row begins,
//! the delimiter, and misplaced quotes.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stockroom_common::{
    FieldError,
    table::{self, Column},
};

use super::lines::{BYTE_ORDER_MARK, LineReader, ROW_LIMIT, broken, row_not_utf8, too_long};

/// Reads the rows of a table with these columns.
pub(super) fn lines(
    mut bytes: BufReader<impl Read + Send + 'static>,
    columns: &'static [Column],
) -> Result<LineReader, FieldError> {
    let start = Start::read(&mut bytes).map_err(|error| broken(&error))?;
    let watch = Watch::new(&start);
    // Append a random end marker to the file. If a quote is not closed, everything after it is in one cell, including
    // the marker.
    let end = format!("\u{1}the end {:x}\u{1}", rand::random::<u128>());
    let watched = Watched {
        bytes: bytes.chain(io::Cursor::new(format!("\n{end}\n"))),
        watch: watch.clone(),
    };
    let mut builder = csv::ReaderBuilder::new();
    let mut table = builder
        .delimiter(start.delimiter)
        .flexible(true)
        .from_reader(watched);
    let header = table.byte_headers().map_err(|error| csv_fault(&error))?;
    let header = cells(header)?;
    if header.iter().all(|name| name.is_empty() || *name == end) {
        let message = "the header with the column names is missing";
        return Err(FieldError::new("", "required", message));
    }
    let line = start.lines + 1;
    if header.iter().any(|name| name.contains(&end)) {
        let message = "a quote that begins here is not closed";
        return Err(FieldError::new("", "syntax", message).at_line(line));
    }
    let columns = table::read_header(columns, header.into_iter())?;
    if watch.seen().has_stray_quote(table.position().byte()) {
        return Err(unexpected_quote().at_line(line));
    }
    let mut record = csv::ByteRecord::new();
    let mut is_over = false;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
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
            if watch.seen().has_stray_quote(table.position().byte()) {
                return Some(Ok((line, Err(unexpected_quote()))));
            }
            // Spreadsheets write rows of only separators after a table.
            let is_blank =
                record.len() > 1 && record.iter().all(|cell| cell.trim_ascii().is_empty());
            if is_blank {
                continue;
            }
            let row = cells(&record);
            let row = row.and_then(|cells| table::read_row(&columns, &cells));
            return Some(Ok((line, row)));
        }
    })))
}

/// The start of a table: the delimiter, and the number of lines before the header.
struct Start {
    delimiter: u8,
    lines: u64,
}

impl Start {
    /// Skips the byte order mark that some programs write before UTF-8, and the line `sep=;` with which spreadsheets
    /// name the delimiter. Without that line, the header decides: spreadsheets write semicolons if the comma is the
    /// decimal separator, or tabs.
    fn read(bytes: &mut impl BufRead) -> io::Result<Self> {
        if bytes.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            bytes.consume(BYTE_ORDER_MARK.len());
        }
        let blank_lines = skip_blank_lines(bytes)?;
        let start = bytes.fill_buf()?;
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let header = start.split(is_break).next().unwrap_or_default();
        if header.len() == 5 && header[..4].eq_ignore_ascii_case(b"sep=") {
            let (delimiter, rest) = (header[4], &start[header.len()..]);
            let ends = if rest.starts_with(b"\r\n") { 2 } else { 1 };
            let read = header.len() + ends.min(rest.len());
            bytes.consume(read);
            let lines = blank_lines + 1;
            return Ok(Self { delimiter, lines });
        }
        let separates = |delimiter: &u8| header.contains(delimiter);
        let delimiter = [b',', b';', b'\t'].into_iter().find(separates);
        Ok(Self {
            delimiter: delimiter.unwrap_or(b','),
            lines: blank_lines,
        })
    }
}

/// Skips lines of only separators, which spreadsheets write for empty rows. Returns their number.
fn skip_blank_lines(bytes: &mut impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let start = bytes.fill_buf()?;
        let is_blank = |byte: &&u8| matches!(byte, b',' | b';' | b'\t' | b' ');
        let blanks = start.iter().take_while(is_blank).count();
        let ends = match &start[blanks..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => return Ok(lines),
        };
        lines += 1;
        bytes.consume(blanks + ends);
    }
}

fn cells(record: &csv::ByteRecord) -> Result<Vec<&str>, FieldError> {
    let cells = record.iter().map(std::str::from_utf8);
    cells
        .collect::<Result<_, _>>()
        .map_err(|_| row_not_utf8(record.as_slice()))
}

fn unexpected_quote() -> FieldError {
    let message = "a quote ends in the middle of a cell; within quotes, write each quote twice";
    FieldError::new("", "syntax", message)
}

fn csv_fault(error: &csv::Error) -> FieldError {
    match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => too_long(),
        csv::ErrorKind::Io(error) => broken(error),
        _ => FieldError::new("", "syntax", error.to_string()),
    }
}

/// Observes the bytes on their way to the CSV reader, because the reader does not count lines between records.
#[derive(Clone)]
struct Watch(Arc<Mutex<Seen>>);

struct Seen {
    delimiter: u8,
    cell: Cell,
    /// Bytes read since a row began, because a row that never ends must not fill the memory.
    since_row: usize,
    /// Total number of bytes read.
    read: u64,
    /// Byte offsets of the line breaks after the last row, and whether each counts: a line feed after a carriage
    /// return does not.
    breaks: VecDeque<(u64, bool)>,
    /// Byte offsets of text that follows a closing quote within the same cell.
    stray_quotes: VecDeque<u64>,
    /// Lines that ended before the last row.
    lines: u64,
    last: u8,
}

/// The state of the parser within a cell.
#[derive(Clone, Copy)]
enum Cell {
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes: the first of a pair, or the closing quote.
    Quote,
}

impl Watch {
    fn new(start: &Start) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            delimiter: start.delimiter,
            cell: Cell::Start,
            since_row: 0,
            read: 0,
            breaks: VecDeque::new(),
            stray_quotes: VecDeque::new(),
            lines: start.lines,
            last: 0,
        })))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The line of the row that begins at or after this byte offset; blank lines before it are counted.
    fn line_of(&mut self, mut byte: u64) -> u64 {
        while let Some((offset, is_own)) = self.breaks.pop_front_if(|(offset, _)| *offset <= byte) {
            self.lines += u64::from(is_own);
            byte = byte.max(offset + 1);
        }
        self.lines + 1
    }

    /// Whether the row that ends at this byte offset has a stray quote. Forgets those that it finds.
    fn has_stray_quote(&mut self, end: u64) -> bool {
        let mut has_any = false;
        while self
            .stray_quotes
            .pop_front_if(|offset| *offset < end)
            .is_some()
        {
            has_any = true;
        }
        has_any
    }

    fn see(&mut self, bytes: &[u8]) {
        for (offset, &byte) in (self.read..).zip(bytes) {
            let is_break = matches!(byte, b'\n' | b'\r');
            if is_break {
                let is_own = byte == b'\r' || self.last != b'\r';
                self.breaks.push_back((offset, is_own));
            }
            let is_end = is_break || byte == self.delimiter;
            self.cell = match (self.cell, byte) {
                (Cell::Start, b'"') | (Cell::Quote, b'"') => Cell::Quoted,
                (Cell::Quoted, b'"') => Cell::Quote,
                (Cell::Quoted, _) => Cell::Quoted,
                _ if is_end => Cell::Start,
                (Cell::Quote, _) => {
                    self.stray_quotes.push_back(offset);
                    Cell::Plain
                }
                _ => Cell::Plain,
            };
            self.last = byte;
        }
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
        // One read may cover many rows. Reads only add up while the same row is read, because each row resets this.
        if seen.since_row > ROW_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.bytes.read(buffer)?;
        seen.see(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
