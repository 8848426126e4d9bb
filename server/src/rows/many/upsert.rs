//! Writes one row of many: changes it if it exists, creates it otherwise.

use stockroom_common::{Kind, bulk::Outcome, change::Op};

use super::row::{Row, refused};
use crate::{
    http::{
        error::{Error, Result},
        extract::checked_change,
    },
    rows::{
        crud,
        entity::{Entity, Identity},
    },
    store::{log, write::Write},
};

/// Converts an error of the database into the refusal that the caller receives.
pub(super) fn refusal<E: Entity>(error: Error) -> Error {
    if error.is_duplicate_key_of(E::TABLE) {
        let message = "another request has just created a row with this id; send it again";
        return Error::field(Kind::Conflict, "/id", "duplicate", message);
    }
    error.on_constraint(E::CONSTRAINTS)
}

pub(super) async fn upsert<E: Entity>(
    write: &mut Write,
    old: Option<&E>,
    row: Row<E>,
) -> Result<(Outcome, E)> {
    let Some(old) = old else {
        let created = create(write, row).await?;
        return Ok((Outcome::Created, created));
    };
    if row.id.is_some() && row.version.is_none() && write.store.options.require_if_match {
        return Err(version_required());
    }
    let new = checked_change(old, crud::merged(old, row.fields)?)?;
    if old.is_unchanged_by(&new) {
        return Ok((Outcome::Unchanged, old.clone()));
    }
    if row.version.is_some_and(|seen| seen != old.version()) {
        return Err(changed_since(old, row.version));
    }
    let updated = E::update(write, old, new).await?;
    E::record(write, Op::Update, Some(old), Some(&updated));
    Ok((Outcome::Updated, updated))
}

async fn create<E: Entity>(write: &mut Write, row: Row<E>) -> Result<E> {
    if let Some(seen) = row.version {
        // An old file must not bring back rows that were deleted since.
        let name = E::NAME;
        let message =
            format!("is {seen}, but the {name} was deleted; leave the version out to create it");
        return Err(Error::field(
            Kind::PreconditionFailed,
            "/version",
            "gone",
            message,
        ));
    }
    let new = row
        .complete
        .map_err(|fault| Error::fields(Kind::Unreadable, vec![fault]))?;
    refused(E::check(&new))?;
    let identity = match row.id {
        // A row that existed before continues after its last version, so that no old ETag ever matches again.
        Some(id) => {
            let last = log::last_of(write.conn()?, id).await?;
            let version = last.map_or(1, |(version, _)| version + 1);
            Identity::Given { id, version }
        }
        None => Identity::Minted,
    };
    let created = E::insert(write, identity, new).await.map_err(|error| {
        // A conflict on the key by which the row was looked up: another write has just created it, and a retry will
        // find it. A conflict on any other key is with a different row.
        let is_found = match row.id {
            Some(_) => error.is_duplicate_key_of(E::TABLE),
            None => error.is_unique_violation(),
        };
        if is_found {
            Error::CreatedMeanwhile(Box::new(refusal::<E>(error).into_problem()))
        } else {
            error
        }
    })?;
    E::record(write, Op::Create, None, Some(&created));
    Ok(created)
}

/// The refusal of a write without the version of its row, on a server that requires one.
pub(super) fn version_required() -> Error {
    let message = "is missing; give the version of the row that you have read";
    Error::field(Kind::PreconditionRequired, "/version", "required", message)
}

fn changed_since<E: Entity>(old: &E, seen: Option<i64>) -> Error {
    let message = format!(
        "is {}, and the {} has changed since: it is {} now; leave the version out to overwrite it",
        seen.unwrap_or_default(),
        E::NAME,
        old.version()
    );
    Error::field(Kind::PreconditionFailed, "/version", "changed", message)
}
