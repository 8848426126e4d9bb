use proptest::prelude::*;
use serde_json::{Value, json};
use stockroom_common::{Category, Resource};

use super::*;
use crate::transfer::import::lines::Line;

fn table(bytes: &'static [u8]) -> Result<Vec<Line>, FieldError> {
    lines(BufReader::new(bytes), Category::TABLE_COLUMNS)?.collect()
}

fn rows(bytes: &'static [u8]) -> Vec<(u64, Value)> {
    let rows = table(bytes).unwrap().into_iter();
    rows.map(|(line, row)| (line, row.unwrap())).collect()
}

#[test]
fn rows_know_the_line_where_they_begin() {
    let lines = table(b"\xef\xbb\xbfname;description\n\"a\nb\";x\n\nc;y;z\nd;\xff\n").unwrap();
    let places: Vec<u64> = lines.iter().map(|(line, _)| *line).collect();
    assert_eq!(places, [2, 5, 6]);
    assert_eq!(lines[0].1.as_ref().unwrap()["name"], "a\nb");
    assert_eq!(lines[1].1.as_ref().unwrap_err().code, "syntax");
    assert!(lines[2].1.as_ref().unwrap_err().message.contains("UTF-8"));
    let places = |bytes| rows(bytes).into_iter().map(|(line, _)| line);
    let windows = places(b"name\r\na\r\n\r\n\"b\r\nc\"\r\nd\r\n");
    assert_eq!(windows.collect::<Vec<_>>(), [2, 4, 6]);
    let mac = places(b"name\ra\r\r\"b\rc\"\rd\r");
    assert_eq!(mac.collect::<Vec<_>>(), [2, 4, 6]);
}

#[test]
fn tables_are_read_as_spreadsheets_leave_them() {
    let tea = json!({"name": "Tea", "description": "green, fine"});
    for bytes in [
        b"name;description\rTea;green, fine\r".as_slice(),
        b"sep=;\r\nName; DESCRIPTION\r\nTea;green, fine\r\n",
        b"sep=|\nname|description\nTea|green, fine",
        b"name,description,,\nTea,\"green, fine\",,\n,,,\n,\n",
        b"name\tdescription\nTea\tgreen, fine\n",
    ] {
        let rows = rows(bytes);
        assert_eq!(rows.len(), 1, "{bytes:?}");
        assert_eq!(rows[0].1, tea, "{bytes:?}");
    }
    assert_eq!(rows(b"sep=;\r\nname;description\r\na;b\r\n")[0].0, 3);
    let nameless = table(b"name,\nTea,7\n").unwrap().remove(0).1.unwrap_err();
    assert!(nameless.message.contains("no name"), "{}", nameless.message);
}

#[test]
fn a_quote_in_the_middle_of_a_cell_changes_no_text_silently() {
    let lines = table(
        b"name,description\n\"A\",\"He said \\\"hi\\\" twice\"\n\"B\",\"5\" pipe\"\nC,5\" pipe\n\"D\",\"\"\"E\"\"\"\n",
    );
    let lines = lines.unwrap();
    for (line, row) in &lines[..2] {
        let fault = row.as_ref().unwrap_err();
        assert!(
            fault.message.contains("middle of a cell"),
            "{line}: {fault}"
        );
    }
    let texts = lines[2..].iter().map(|(_, row)| row.as_ref().unwrap());
    let texts: Vec<&Value> = texts.map(|row| &row["description"]).collect();
    assert_eq!(texts, ["5\" pipe", "\"E\""]);
    assert_eq!(
        table(b"\"name\"x,description\na,b\n").unwrap_err().line,
        None
    );
}

#[test]
fn a_row_without_an_end_is_refused_before_it_fills_the_memory() {
    let endless: &'static [u8] =
        Vec::leak([b"name\n\"".as_slice(), &[b'x'; ROW_LIMIT * 3]].concat());
    let fault = table(endless).unwrap_err();
    assert_eq!((&*fault.code, fault.line), ("too_long", Some(2)));
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_table_is_read_as_it_was_written(
        texts in proptest::collection::vec(("[^\u{0}]{0,30}", "[a;,\t\"'\r\n ø]{0,12}"), 1..6),
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t')],
    ) {
        let mut written = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        written.write_record(["name", "description"]).unwrap();
        for (name, description) in &texts {
            written.write_record([name, description]).unwrap();
        }
        let read = table(Vec::leak(written.into_inner().unwrap())).unwrap();
        // Rows of only blank cells are left out: spreadsheets write them after a table.
        let is_blank = |cell: &str| cell.as_bytes().trim_ascii().is_empty();
        let expected: Vec<Value> = texts
            .iter()
            .filter(|(name, description)| !(is_blank(name) && is_blank(description)))
            .map(|(name, description)| json!({"name": name, "description": description}))
            .collect();
        let rows: Vec<Value> = read.into_iter().map(|(_, row)| row.unwrap()).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn no_file_breaks_the_reader(bytes in any::<Vec<u8>>(), text in "[na\",;\r\n]{0,60}") {
        drop(table(Vec::leak(bytes)));
        drop(table(Vec::leak(format!("name,description\n{text}").into_bytes())));
    }
}
