//! One row of many: changed where it exists, created where it does not.

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

/// What the database refuses, as the caller is told.
pub(super) fn refusal<E: Entity>(error: Error) -> Error {
    if error.is_duplicate_key_of(E::TABLE) {
        let message = "a row with this id was created meanwhile; send it again";
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
        // Whoever sends an old file must not bring back what was deleted since.
        let name = E::NAME;
        let message =
            format!("is {seen}, but the {name} is gone; leave the version out to create it");
        return Err(Error::field(
            Kind::PreconditionFailed,
            "/version",
            "gone",
            message,
        ));
    }
    let new = row
        .whole
        .map_err(|fault| Error::fields(Kind::Unreadable, vec![fault]))?;
    refused(E::check(&new))?;
    let identity = match row.id {
        // A row that lived before goes on where it ended, so that no old ETag ever fits again.
        Some(id) => {
            let last = log::last_of(write.conn().await?, id).await?;
            let version = last.map_or(1, |(version, _)| version + 1);
            Identity::Given { id, version }
        }
        None => Identity::Minted,
    };
    let created = E::insert(write, identity, new).await.map_err(|error| {
        // By what the row was looked for it can be found now; by anything else it conflicts with another row.
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

/// The refusal of a write that does not say which version of a row it is for, where the server wants that.
pub(super) fn version_required() -> Error {
    let message = "is missing; say which version of the row you have seen";
    Error::field(Kind::PreconditionRequired, "/version", "required", message)
}

fn changed_since<E: Entity>(old: &E, seen: Option<i64>) -> Error {
    let message = format!(
        "is {}, and the {} has changed since: it is {} now; leave the version out to write over it",
        seen.unwrap_or_default(),
        E::NAME,
        old.version()
    );
    Error::field(Kind::PreconditionFailed, "/version", "changed", message)
}
