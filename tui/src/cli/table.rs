//! Prints rows on standard output: as a table for people, as CSV or JSON for programs.

use stockroom_common::{document, table};

use crate::{
    cli::{arguments::Output, output::write_out},
    messages::call::Failure,
    model::{
        entity::Entity,
        show::{Cell, Formatter},
        text,
    },
};

/// The alignment of a cell. Numbers are aligned to the right.
pub(crate) const RIGHT: bool = true;
pub(crate) const LEFT: bool = false;
/// The maximum width of a table cell in terminal columns; longer text is cut.
const MAX_WIDTH: usize = 60;

/// Prints rows in the format that the flags select.
pub(crate) fn print<R: Entity>(
    rows: &[R],
    output: Output,
    formatter: Formatter<'_>,
) -> Result<(), Failure> {
    match output {
        Output { json: true, .. } => rows
            .iter()
            .try_for_each(|row| write_out(&document::to_value(row).to_string())),
        Output { csv: true, .. } => {
            let header = R::TABLE_COLUMNS.iter().map(table::Column::name).collect();
            let cells = rows.iter().map(|row| {
                let row = document::to_value(row);
                R::TABLE_COLUMNS
                    .iter()
                    .map(|column| column.write(&row))
                    .collect()
            });
            csv(std::iter::once(header).chain(cells))
        }
        _ => aligned(&with_header::<R>(rows, formatter)),
    }
}

/// Prints records as CSV.
pub(crate) fn csv(records: impl Iterator<Item = Vec<String>>) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(Vec::new());
    for record in records {
        // Writing to memory cannot fail.
        let _ = out.write_record(record);
    }
    let text = out.into_inner().unwrap_or_default();
    write_out(String::from_utf8_lossy(&text).trim_end())
}

/// The columns of the client's list, plus the id, which the user may need for the next command.
fn with_header<R: Entity>(rows: &[R], formatter: Formatter<'_>) -> Vec<Vec<(String, bool)>> {
    let mut titles: Vec<(String, bool)> = R::COLUMNS
        .iter()
        .map(|column| {
            let sample = rows.first().map(|row| (column.cell)(row));
            (
                column.title.to_owned(),
                sample.is_some_and(|cell| is_number(&cell)),
            )
        })
        .collect();
    titles.push(("Id".into(), false));
    let cells = rows.iter().map(|row| {
        let mut cells: Vec<(String, bool)> = R::COLUMNS
            .iter()
            .map(|column| {
                let cell = (column.cell)(row);
                let cell_text = formatter.format(&cell);
                (
                    text::cut(&cell_text, MAX_WIDTH).into_owned(),
                    is_number(&cell),
                )
            })
            .collect();
        cells.push((row.id().to_string(), false));
        cells
    });
    std::iter::once(titles).chain(cells).collect()
}

const fn is_number(cell: &Cell) -> bool {
    matches!(cell, Cell::Integer(_) | Cell::Money(_))
}

/// Prints cells in aligned columns. Numbers are aligned to the right.
pub(crate) fn aligned(rows: &[Vec<(String, bool)>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|(cell, _)| text::width(cell))
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|((cell, is_number), width)| {
            let pad = " ".repeat(width.saturating_sub(text::width(cell)));
            if *is_number {
                format!("{pad}{cell}")
            } else {
                format!("{cell}{pad}")
            }
        });
        write_out(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
