//! Many rows sent in one call, in an array or in a file, each written by the rules of a single write. A row that exists
//! already, by its id or its natural key, is changed as PATCH would: fields that are left out keep their values. Any
//! other row is created.

mod delete;
mod existing;
pub(crate) mod lock;
mod prepare;
mod row;
mod savepoint;
mod upsert;

use stockroom_common::{
    Id, Kind, Problem,
    bulk::{BulkRow, OnError, Outcome},
};

pub(crate) use self::{
    delete::delete_all,
    prepare::prepare_all,
    row::{InputRow, MAX_FAULTS, RowLocation, refuse},
};
use self::{
    existing::ExistingRows,
    row::Row,
    savepoint::{begin_row, end_row},
    upsert::{refusal, upsert},
};
use crate::{
    http::error::{Error, Result},
    rows::entity::Entity,
    store::{log, write::Write},
};

/// Maximum attempts of a write of many rows that loses races against other writers. Each lost race means that another
/// writer has made progress: rows are created in key order, so after a wait the rows of the other writer exist either
/// completely or not at all.
pub(crate) const ATTEMPTS: usize = 10;

/// Writes rows one after the other and returns the outcome of each, in the order sent.
///
/// # Errors
/// With [`OnError::RejectAll`], the error of a row that cannot be written, with its location.
pub(crate) async fn write_all<E: Entity>(
    write: &mut Write,
    rows: &[InputRow<E>],
    on_error: OnError,
) -> Result<Vec<(RowLocation, BulkRow)>> {
    let mut existing = ExistingRows::lock(write, rows).await?;
    let mut written: Vec<Option<(RowLocation, BulkRow)>> = vec![None; rows.len()];
    for index in existing.order(rows) {
        write.check_running()?;
        let InputRow { location, row } = rows[index].clone();
        let outcome = match row {
            Ok(row) => write_row(write, &mut existing, (index, row), on_error).await,
            Err(problem) => Err(problem.into()),
        };
        let row = match outcome {
            Ok(row) => row,
            Err(Error::Refused(problem)) if on_error == OnError::RejectFailed => {
                if problem.is(Kind::Internal) || problem.is(Kind::Unavailable) {
                    // The row is not at fault, and the transaction may have ended.
                    return Err(Error::Refused(problem));
                }
                failed(*problem)
            }
            Err(Error::Refused(problem)) => return Err(location.locate(*problem).into()),
            Err(error) => return Err(error),
        };
        written[index] = Some((location, row));
    }
    E::finish(write).await?;
    let written: Vec<(RowLocation, BulkRow)> = written.into_iter().flatten().collect();
    acknowledge(write, &existing, &written).await?;
    Ok(written)
}

/// Touches the tags of the rows that did not need to change. The writer who made them so may not have deleted their
/// tags from the cache yet, but this call acknowledges them, so from now on no cached answer may be older.
async fn acknowledge<E: Entity>(
    write: &mut Write,
    existing: &ExistingRows<E>,
    written: &[(RowLocation, BulkRow)],
) -> Result<()> {
    let unchanged = written
        .iter()
        .map(|(_, row)| row)
        .filter(|row| row.outcome == Outcome::Unchanged);
    let unchanged = unchanged.filter_map(|row| existing.by_id.get(&row.id?));
    let unchanged: Vec<&E> = unchanged.collect();
    if unchanged.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id<E>> = unchanged.iter().map(|row| row.id()).collect();
    let unrelayed = log::unrelayed_tags(write.conn()?, &ids).await?;
    let tags = unchanged.into_iter().flat_map(E::tags);
    unrelayed
        .into_iter()
        .chain(tags)
        .for_each(|tag| write.touch(tag));
    Ok(())
}

async fn write_row<E: Entity>(
    write: &mut Write,
    existing: &mut ExistingRows<E>,
    (index, row): (usize, Row<E>),
    on_error: OnError,
) -> Result<BulkRow> {
    if on_error == OnError::RejectAll {
        let (outcome, row) = upsert(write, existing.of(index, &row), row)
            .await
            .map_err(refusal::<E>)?;
        return Ok(existing.record(index, outcome, row));
    }
    begin_row(write).await?;
    let outcome = upsert(write, existing.of(index, &row), row).await;
    let (outcome, row) = end_row(write, outcome.map_err(refusal::<E>)).await?;
    Ok(existing.record(index, outcome, row))
}

const fn failed(problem: Problem) -> BulkRow {
    BulkRow {
        outcome: Outcome::Failed,
        id: None,
        version: None,
        problem: Some(problem),
    }
}
