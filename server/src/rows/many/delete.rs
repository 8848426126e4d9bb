//! Deletes many rows in one write, each by the rules of a single delete.

use std::collections::HashMap;

use stockroom_common::{
    Id, Kind, Problem,
    bulk::{BulkRow, OnError, Outcome, RowToDelete},
    change::Op,
};
use uuid::Uuid;

use super::{
    RowLocation, failed,
    savepoint::{begin_row, end_row, undo_row},
    upsert::version_required,
};
use crate::{
    http::error::{Error, Result},
    rows::{crud, entity::Entity, referenced::referenced},
    store::write::Write,
};

/// Deletes rows one after the other and returns the outcome of each.
///
/// # Errors
/// With [`OnError::RejectAll`], the error of the first row that cannot be deleted, with its location.
pub(crate) async fn delete_all<E: Entity>(
    write: &mut Write,
    rows: &[RowToDelete],
    on_error: OnError,
) -> Result<Vec<BulkRow>> {
    let mut there = lock::<E>(write, rows).await?;
    let mut seen: HashMap<Uuid, usize> = HashMap::new();
    let mut done = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        write.check_running()?;
        let earlier = seen.insert(row.id, index);
        let outcome = match (earlier, there.remove(&row.id)) {
            (Some(earlier), _) => {
                let message = format!("is already in row {earlier}");
                Err(Error::field(Kind::Invalid, "/id", "repeated", message))
            }
            (None, Some(old)) => delete_row(write, &old, row.version).await,
            (None, None) => Err(missing::<E>(write, row.id).await?),
        };
        done.push(match outcome {
            Ok(row) => row,
            Err(Error::Refused(problem)) if is_row_s_own(&problem) => match on_error {
                OnError::RejectFailed => failed(*problem),
                OnError::RejectAll => {
                    return Err(RowLocation::Index(index).locate(*problem).into());
                }
            },
            Err(error) => return Err(error),
        });
    }
    E::finish(write).await?;
    Ok(done)
}

/// Locks the rows that exist, then what they share with other rows, such as products: the order of all writers.
/// Returns the rows.
async fn lock<E: Entity>(write: &mut Write, rows: &[RowToDelete]) -> Result<HashMap<Uuid, E>> {
    let mut ids: Vec<Id<E>> = rows.iter().map(|row| Id::new(row.id)).collect();
    ids.sort();
    ids.dedup();
    let locked = E::lock_many(write.conn()?, &ids, &[]).await?;
    let old: Vec<&E> = locked.iter().map(|(row, _)| row).collect();
    E::lock_shared(write, &old, &[]).await?;
    let rows = locked.into_iter();
    Ok(rows.map(|(row, _)| (row.id().uuid(), row)).collect())
}

async fn missing<E: Entity>(write: &mut Write, id: Uuid) -> Result<Error> {
    let id = Id::<E>::new(id);
    match crud::check_archived(write.conn()?, id).await {
        Ok(()) => Ok(crud::not_found(id)),
        Err(error @ Error::Refused(_)) => Ok(error),
        Err(error) => Err(error),
    }
}

async fn delete_row<E: Entity>(write: &mut Write, old: &E, seen: Option<i64>) -> Result<BulkRow> {
    if seen.is_none() && write.store.options.require_if_match {
        return Err(version_required());
    }
    if let Some(seen) = seen.filter(|seen| *seen != old.version()) {
        let message = format!(
            "is {seen}, and the {} has changed since: it is {} now; leave the version out to delete it anyway",
            E::NAME,
            old.version()
        );
        return Err(Error::field(
            Kind::PreconditionFailed,
            "/version",
            "changed",
            message,
        ));
    }
    begin_row(write).await?;
    match E::delete(write, old).await {
        Err(error) if error.is_foreign_key_violation() => {
            undo_row(write).await?;
            return Err(referenced(write.conn()?, old.id()).await?);
        }
        outcome => end_row(write, outcome).await?,
    }
    E::record(write, Op::Delete, Some(old), None);
    Ok(BulkRow {
        outcome: Outcome::Deleted,
        id: Some(old.id().uuid()),
        version: Some(old.version()),
        problem: None,
    })
}

/// Whether the row caused the problem, not the database.
fn is_row_s_own(problem: &Problem) -> bool {
    !problem.is(Kind::Internal) && !problem.is(Kind::Unavailable)
}
