//! NDJSON: one row per line.

use std::io::{BufRead, Read};

use serde_json::Value;
use stockroom_common::{FieldError, document};

use super::lines::{BYTE_ORDER_MARK, LineReader, ROW_LIMIT, broken, row_not_utf8, too_long};

pub(super) fn lines(mut bytes: impl BufRead + Send + 'static) -> LineReader {
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
                Ok(_) => return Some(Ok((number, read_row(&line, number)))),
                Err(error) => {
                    is_over = true;
                    return Some(Err(broken(&error).at_line(number)));
                }
            }
        }
    }))
}

fn read_row(line: &[u8], number: u64) -> Result<Value, FieldError> {
    let line = match number {
        1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        _ => line,
    };
    if std::str::from_utf8(line).is_err() || line.contains(&0) {
        return Err(row_not_utf8(line));
    }
    document::parse(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::import::lines::Line;

    #[test]
    fn json_rows_know_their_line() {
        let lines = super::lines(b"{\"a\": 1}\n\n{\"a\": 2".as_slice());
        let lines: Vec<Line> = lines.collect::<Result<_, _>>().unwrap();
        assert_eq!(lines[0], (1, Ok(serde_json::json!({"a": 1}))));
        assert_eq!(lines[1].0, 3);
        assert!(lines[1].1.is_err());
    }

    #[test]
    fn a_json_row_without_an_end_is_refused_before_it_fills_the_memory() {
        let endless: &'static [u8] = Vec::leak(vec![b'x'; ROW_LIMIT * 3]);
        let fault = super::lines(endless).find_map(Result::err).unwrap();
        assert_eq!((&*fault.code, fault.line), ("too_long", Some(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_row_is_read_as_it_was_written(texts in proptest::collection::vec(any::<String>(), 0..6)) {
            let rows = texts.iter().map(|text| serde_json::json!({"name": text}));
            let file: Vec<u8> = rows.clone().flat_map(|row| format!("{row}\n").into_bytes()).collect();
            let lines = super::lines(std::io::Cursor::new(file)).collect::<Result<Vec<Line>, _>>();
            let read: Vec<_> = lines.unwrap().into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(read, rows.collect::<Vec<_>>());
        }

        #[test]
        fn every_line_of_noise_has_its_number(bytes in any::<Vec<u8>>()) {
            let count = bytes.split(|byte| *byte == b'\n').count() as u64;
            for line in super::lines(std::io::Cursor::new(bytes)) {
                let (number, _) = line.unwrap();
                prop_assert!((1..=count).contains(&number));
            }
        }
    }
}
