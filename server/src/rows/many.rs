//! Rows that are sent many at a time, in an array or in a file, each written by all the rules of a single
//! write. One that is there already, by its id or its natural key, is changed as PATCH would: what is
//! left out stays. Any other is created.

mod delete;
pub(crate) mod lock;
mod prepare;
mod twins;

use serde_json::{Map, Value};

use stockroom_common::{
    FieldError, Id, Kind, Problem,
    bulk::{BulkRow, OnError, Outcome},
    change::Op,
    document, table,
};

use self::twins::Twins;
pub(crate) use self::{delete::delete_all, prepare::prepare_all};
use crate::{
    http::{
        error::{Error, Result},
        extract::checked_change,
    },
    rows::{
        crud,
        entity::{Entity, Identity, NaturalKey},
    },
    store::{Store, database::Connection, log, write::Write},
};

/// How often a write of many rows is begun again where others were faster. Each time one of them has got further: it
/// found none of what it waits for, or all.
pub(crate) const ATTEMPTS: usize = 10;
/// Faults that a refused call names.
pub(crate) const MAX_FAULTS: usize = 100;

/// Where a row was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In an array, from 0.
    Index(usize),
    /// In a file, from 1.
    Line(u64),
}

/// What to do about what a row needs to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepare {
    Make,
    /// Only see whether the row would be refused: others that are written with it may be, and then nothing is to be left.
    Foresee,
}

/// A row that was sent: what is wrong with it by itself, or what it says.
#[derive(Clone, Debug)]
pub(crate) struct Sent<E: Entity> {
    pub(crate) place: Place,
    pub(crate) row: Result<Row<E>, Problem>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row<E: Entity> {
    id: Option<Id<E>>,
    /// The version that the caller has seen.
    version: Option<i64>,
    fields: Value,
    /// The document that the fields make by themselves.
    whole: Result<E::New, FieldError>,
}

impl<E: Entity> Sent<E> {
    /// Reads a row and applies the rules that need no database.
    pub(crate) fn read(place: Place, value: Result<Value, FieldError>) -> Self {
        let row = value.and_then(Row::read);
        let row = row.map_err(|fault| Problem::fields(Kind::Unreadable, vec![fault]));
        let row = row.and_then(|row| match &row.whole {
            Ok(new) => {
                let mut faults = E::check(new);
                if row.id.is_some() || row.key().is_some() {
                    // It may be there and so already; that is seen once the row was looked for.
                    faults.retain(|fault| !E::may_be_stored(new, fault));
                }
                refused(faults).map(|()| row)
            }
            Err(_) => Ok(row),
        });
        Self { place, row }
    }

    /// Makes what the row needs to be there, on connections of its own: to be called before the
    /// transaction that writes it. Tells whether there is anything to make, where it is only to foresee that.
    pub(crate) async fn prepare(&mut self, store: &Store, how: Prepare) -> Result<bool> {
        let Ok(row) = &self.row else {
            return Ok(false);
        };
        match E::prepare(store, (row.id, row.version), &row.fields, how).await {
            Err(Error::Refused(problem)) if !problem.is(Kind::Unavailable) => {
                self.row = Err(*problem);
                Ok(false)
            }
            prepared => prepared,
        }
    }

    /// What is wrong with it, told with its place.
    pub(crate) fn faults(&self) -> Option<Problem> {
        let problem = self.row.as_ref().err()?;
        Some(self.place.blame(problem.clone()))
    }
}

impl<E: Entity> Row<E> {
    fn read(mut value: Value) -> Result<Self, FieldError> {
        let Some(members) = value.as_object_mut() else {
            let message = "must be an object with the fields of a row";
            return Err(FieldError::new("", "wrong_type", message));
        };
        if let Some(NaturalKey { field, .. }) = E::NATURAL_KEY
            && members
                .get(field)
                .and_then(Value::as_str)
                .is_some_and(|key| key.contains('\0'))
        {
            let message = "holds a NUL character";
            return Err(FieldError::new(
                format!("/{field}"),
                "invalid_text",
                message,
            ));
        }
        let id = take(members, "id")?;
        let version = take(members, "version")?;
        document::strip_read_only(&mut value);
        table::normalize(E::TABLE_COLUMNS, &mut value);
        let mut alone = Value::Object(Map::new());
        document::merge(&mut alone, value.clone());
        let whole: Result<E::New, FieldError> = document::from_value(&alone);
        if let Ok(new) = &whole {
            document::refuse_null(&value, &document::to_value(new))?;
        }
        if let Err(fault) = &whole {
            let key = E::NATURAL_KEY.and_then(|key| value[key.field].as_str());
            // A row that is there may be changed in part.
            let is_part = fault.code == "required" && fault.pointer.rfind('/') == Some(0);
            if !is_part || id.is_none() && key.is_none() {
                return Err(fault.clone());
            }
        }
        Ok(Self {
            id,
            version,
            fields: value,
            whole,
        })
    }

    /// What people know it by.
    fn key(&self) -> Option<&str> {
        self.fields[E::NATURAL_KEY?.field].as_str()
    }
}

fn take<T: serde::de::DeserializeOwned + serde::Serialize>(
    members: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, FieldError> {
    let Some(value) = members.remove(name) else {
        return Ok(None);
    };
    document::from_value(&value)
        .map(Some)
        .map_err(|fault| FieldError::new(format!("/{name}"), fault.code, fault.message))
}

fn refused(faults: Vec<FieldError>) -> Result<(), Problem> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Problem::fields(Kind::Invalid, faults)),
    }
}

/// Writes rows, one after the other; says of each what has become of it.
///
/// # Errors
/// With [`OnError::RejectAll`] that of a row that cannot be written, told with its place.
pub(crate) async fn write_all<E: Entity>(
    write: &mut Write,
    rows: &[Sent<E>],
    on_error: OnError,
) -> Result<Vec<(Place, BulkRow)>> {
    let mut twins = Twins::lock(write, rows).await?;
    let mut written: Vec<Option<(Place, BulkRow)>> = vec![None; rows.len()];
    for index in twins.order(rows) {
        write.check_running()?;
        let Sent { place, row } = rows[index].clone();
        let outcome = match row {
            Ok(row) => write_row(write, &mut twins, (index, row), on_error).await,
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
            Err(Error::Refused(problem)) => return Err(place.blame(*problem).into()),
            Err(error) => return Err(error),
        };
        written[index] = Some((place, row));
    }
    E::finish(write).await?;
    let written: Vec<(Place, BulkRow)> = written.into_iter().flatten().collect();
    acknowledge(write, &twins, &written).await?;
    Ok(written)
}

/// Touches what shows the rows that were found as they were to be: who wrote them so may not have come to
/// their tags, and from here on they are acknowledged.
async fn acknowledge<E: Entity>(
    write: &mut Write,
    twins: &Twins<E>,
    written: &[(Place, BulkRow)],
) -> Result<()> {
    let unchanged = written
        .iter()
        .map(|(_, row)| row)
        .filter(|row| row.outcome == Outcome::Unchanged);
    let unchanged = unchanged.filter_map(|row| twins.by_id.get(&row.id?));
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
    twins: &mut Twins<E>,
    (index, row): (usize, Row<E>),
    on_error: OnError,
) -> Result<BulkRow> {
    if on_error == OnError::RejectAll {
        let (outcome, row) = upsert(write, twins.of(index, &row), row)
            .await
            .map_err(refusal::<E>)?;
        return Ok(twins.keep(index, outcome, row));
    }
    begin_row(write).await?;
    let outcome = upsert(write, twins.of(index, &row), row).await;
    let (outcome, row) = end_row(write, outcome.map_err(refusal::<E>)).await?;
    Ok(twins.keep(index, outcome, row))
}

/// Begins what may be undone without the rest of the write.
async fn begin_row(write: &mut Write) -> Result<()> {
    if let Some(stock) = &mut write.stock {
        stock.begin_row();
    }
    execute(write.conn().await?, "savepoint row").await
}

/// Keeps what was done since, or undoes it where it was refused.
async fn end_row<T>(write: &mut Write, outcome: Result<T>) -> Result<T> {
    match outcome {
        Ok(done) => {
            execute(write.conn().await?, "release savepoint row").await?;
            Ok(done)
        }
        // All of it is to begin again.
        Err(error) if error.is_lost_race() => Err(error),
        Err(error) => {
            let problem = error.into_problem();
            if !problem.is(Kind::Internal) && !problem.is(Kind::Unavailable) {
                undo_row(write).await?;
            }
            Err(problem.into())
        }
    }
}

async fn undo_row(write: &mut Write) -> Result<()> {
    if let Some(stock) = &mut write.stock {
        stock.undo_row();
    }
    let undo = "rollback to savepoint row; release savepoint row";
    execute(write.conn().await?, undo).await
}

/// What the database refuses, as the caller is told.
fn refusal<E: Entity>(error: Error) -> Error {
    if error.is_duplicate_key_of(E::TABLE) {
        let message = "a row with this id was created meanwhile; send it again";
        return Error::field(Kind::Conflict, "/id", "duplicate", message);
    }
    error.on_constraint(E::CONSTRAINTS)
}

async fn upsert<E: Entity>(
    write: &mut Write,
    twin: Option<&E>,
    row: Row<E>,
) -> Result<(Outcome, E)> {
    let Some(old) = twin else {
        let created = create(write, row).await?;
        return Ok((Outcome::Created, created));
    };
    if row.id.is_some() && row.version.is_none() && write.store.options.require_if_match {
        return Err(version_required());
    }
    let new = checked_change(old, crud::merged(old, row.fields)?)?;
    if old.is_as(&new) {
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
        match is_found {
            true => Error::CreatedMeanwhile(Box::new(refusal::<E>(error).into_problem())),
            false => error,
        }
    })?;
    E::record(write, Op::Create, None, Some(&created));
    Ok(created)
}

/// The refusal of a write that does not say which version of a row it is for, where the server wants that.
fn version_required() -> Error {
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

const fn failed(problem: Problem) -> BulkRow {
    BulkRow {
        outcome: Outcome::Failed,
        id: None,
        version: None,
        problem: Some(problem),
    }
}

impl Place {
    /// A problem of the row there, as that of the whole call.
    pub(crate) fn blame(self, problem: Problem) -> Problem {
        let told = |fault: FieldError| match self {
            Self::Index(index) => FieldError {
                pointer: format!("/{index}{}", fault.pointer),
                ..fault
            },
            Self::Line(line) => fault.at_line(line),
        };
        let detail = match self {
            Self::Index(index) => format!("Row {index}: {}", problem.detail),
            Self::Line(line) => format!("Line {line}: {}", problem.detail),
        };
        Problem {
            detail,
            errors: problem.errors.into_iter().map(told).collect(),
            ..problem
        }
    }
}

/// Refuses a call for what is wrong with its rows by themselves, all of it at once.
///
/// # Errors
/// The problem of the first of them, with the faults of all.
pub(crate) fn refuse(faulty: Vec<Problem>) -> Result<()> {
    let Some(first) = faulty.first() else {
        return Ok(());
    };
    if first.errors.is_empty() {
        return Err(first.clone().into());
    }
    let first = first.clone();
    let errors = faulty.into_iter().flat_map(|problem| problem.errors);
    let errors: Vec<FieldError> = errors.take(MAX_FAULTS).collect();
    Err(Problem {
        detail: match errors.len() {
            1 => first.detail,
            MAX_FAULTS => format!("{} ({MAX_FAULTS} faults or more)", first.detail),
            faults => format!("{} ({faults} faults)", first.detail),
        },
        errors,
        ..first
    }
    .into())
}

async fn execute(conn: &mut Connection, statement: &'static str) -> Result<()> {
    sqlx::raw_sql(statement).execute(conn).await?;
    Ok(())
}
