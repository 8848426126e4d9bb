//! Rows that are sent many at a time, in an array or in a file, each written by all the rules of a single
//! write. One that is there already, by its id or its natural key, is changed as PATCH would: what is
//! left out stays. Any other is created.

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

/// How often a write of many rows is begun again where others were faster. Each time one of them has got further: it
/// found none of what it waits for, or all.
pub(crate) const ATTEMPTS: usize = 10;

/// Writes rows, one after the other; says of each what has become of it.
///
/// # Errors
/// With [`OnError::RejectAll`] that of a row that cannot be written, with its location.
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
                    // Not the row is at fault; the transaction may not even be there any more.
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

/// Touches what shows the rows that were found as they were to be: who wrote them so may not have come to
/// their tags, and from here on they are acknowledged.
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
    let unrelayed = log::unrelayed_tags(write.conn().await?, &ids).await?;
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
        return Ok(existing.keep(index, outcome, row));
    }
    begin_row(write).await?;
    let outcome = upsert(write, existing.of(index, &row), row).await;
    let (outcome, row) = end_row(write, outcome.map_err(refusal::<E>)).await?;
    Ok(existing.keep(index, outcome, row))
}

const fn failed(problem: Problem) -> BulkRow {
    BulkRow {
        outcome: Outcome::Failed,
        id: None,
        version: None,
        problem: Some(problem),
    }
}
