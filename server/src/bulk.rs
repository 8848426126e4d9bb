//! `POST /v1/{r}/bulk`: many rows in one transaction, each by all the rules of a single write. A row that
//! is there already, by its id or its natural key, is written over; any other is created.

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sqlx::PgConnection;
use stockroom_common::{
    FieldError, Id, Kind, Problem,
    bulk::{BulkReport, BulkRow, MAX_ROWS, Outcome},
    change::Op,
    document,
};

use crate::{
    changes,
    crud::tell,
    entity::{Entity, Identity},
    error::{Error, Result},
    extract::{Actor, Document},
    list::{self, Parameters, unreadable},
    state::AppState,
    write::{Write, detached},
};

/// Bytes that the body of a call may have.
pub(crate) const BODY_LIMIT: usize = 16 << 20;
/// Faults that a refused call names.
const FAULTS: usize = 100;

/// What a row that fails means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnError {
    /// Nothing is written.
    RejectAll,
    /// The others are.
    RejectFailed,
}

/// A row as it was sent.
struct Row<E: Entity> {
    id: Option<Id<E>>,
    new: E::New,
}

/// `POST /v1/{r}/bulk?on_error`
pub(crate) async fn bulk<E: Entity>(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    actor: Actor,
    Document(rows): Document<Vec<Value>>,
) -> Result<Response> {
    let on_error = parse_on_error(&query.unwrap_or_default())?;
    if rows.len() > MAX_ROWS {
        let detail = format!("These are {} rows; one call takes {MAX_ROWS}.", rows.len());
        return Err(Error::refused(Kind::TooLarge, detail));
    }
    let mut rows: Vec<Result<Row<E>, Problem>> = rows.into_iter().map(Row::read).collect();
    if on_error == OnError::RejectAll {
        refuse_faults(&rows)?;
    }
    let (report, done) = detached(async move {
        // What needs other connections comes before the transaction, which never waits for one.
        for row in &mut rows {
            let Ok(sent) = row else { continue };
            match E::prepare(&state, sent.id, &sent.new).await {
                Err(Error::Refused(problem)) if !problem.is(Kind::Unavailable) => {
                    *row = Err(*problem)
                }
                prepared => prepared?,
            }
        }
        let mut write = Write::new(state, actor);
        let mut report = BulkReport::default();
        for (index, row) in rows.into_iter().enumerate() {
            report.push(write_row(&mut write, index, row, on_error).await?);
        }
        Ok((report, write.commit().await?))
    })
    .await?;
    Ok(tell(done, Json(report).into_response()))
}

/// Writes one row; what it fails with is its outcome, or that of the whole call.
async fn write_row<E: Entity>(
    write: &mut Write,
    index: usize,
    row: Result<Row<E>, Problem>,
    on_error: OnError,
) -> Result<BulkRow> {
    let row = match row {
        Ok(row) => row,
        Err(problem) if on_error == OnError::RejectAll => {
            return Err(at_row(index, Error::Refused(Box::new(problem))));
        }
        Err(problem) => return Ok(failed(problem)),
    };
    if on_error == OnError::RejectAll {
        let written = upsert(write, row).await;
        return written.map_err(|error| at_row(index, error.on_constraint(E::CONSTRAINTS)));
    }
    execute(write.conn().await?, "savepoint row").await?;
    match upsert(write, row).await {
        Ok(written) => {
            execute(write.conn().await?, "release savepoint row").await?;
            Ok(written)
        }
        Err(error) => {
            let error = error.on_constraint(E::CONSTRAINTS);
            let problem = error.into_problem();
            if problem.is(Kind::Internal) || problem.is(Kind::Unavailable) {
                // Not the row is at fault; the transaction may not even be there any more.
                return Err(Error::Refused(Box::new(problem)));
            }
            execute(write.conn().await?, "rollback to savepoint row").await?;
            Ok(failed(problem))
        }
    }
}

async fn upsert<E: Entity>(write: &mut Write, Row { id, new }: Row<E>) -> Result<BulkRow> {
    let conn = write.conn().await?;
    let twin = match id {
        Some(id) => E::lock(conn, id).await?,
        None => select_twin::<E>(conn, &new).await?,
    };
    if let Some(old) = twin {
        if old.is_as(&new) {
            // Who wrote it so may not have come to its tags, and from here on it is acknowledged.
            let tags = changes::unrelayed_tags(conn, old.id()).await?;
            tags.into_iter()
                .chain(old.tags())
                .for_each(|tag| write.touch(tag));
            return Ok(done(Outcome::Unchanged, &old));
        }
        let row = E::update(write, &old, new).await?;
        write.record(Op::Update, Some(&old), Some(&row));
        return Ok(done(Outcome::Updated, &row));
    }
    let identity = match id {
        // A row that lived before goes on where it ended, so that no old ETag ever fits again.
        Some(id) => {
            let last = changes::last_of(conn, id).await?;
            let version = last.map_or(1, |(version, _)| version + 1);
            Identity::Given { id, version }
        }
        None => Identity::Minted,
    };
    let row = E::insert(write, identity, new).await?;
    write.record(Op::Create, None, Some(&row));
    Ok(done(Outcome::Created, &row))
}

/// The row that has the natural key of the document, kept from being changed by others.
async fn select_twin<E: Entity>(conn: &mut PgConnection, new: &E::New) -> Result<Option<E>> {
    match E::NATURAL_KEY {
        Some(key) => list::select_twin(conn, key.condition, (key.of)(new)).await,
        None => Ok(None),
    }
}

impl<E: Entity> Row<E> {
    /// Reads a row and applies the rules that need no database.
    fn read(mut value: Value) -> Result<Self, Problem> {
        let unreadable = |error| Problem::fields(Kind::Unreadable, vec![error]);
        let id = value.as_object_mut().and_then(|row| row.remove("id"));
        let id = id
            .map(document::from_value::<Id<E>>)
            .transpose()
            .map_err(|error| unreadable(FieldError::new("/id", error.code, error.message)))?;
        let new: E::New = document::from_value(value).map_err(unreadable)?;
        match E::check(&new) {
            faults if faults.is_empty() => Ok(Self { id, new }),
            faults => Err(Problem::fields(Kind::Invalid, faults)),
        }
    }
}

/// Refuses the call for what is wrong with its rows by themselves, all of it at once.
fn refuse_faults<E: Entity>(rows: &[Result<Row<E>, Problem>]) -> Result<()> {
    let faulty = rows.iter().enumerate();
    let faulty: Vec<(usize, &Problem)> = faulty
        .filter_map(|(index, row)| Some((index, row.as_ref().err()?)))
        .collect();
    let Some((_, first)) = faulty.first() else {
        return Ok(());
    };
    let is_unreadable = first.is(Kind::Unreadable);
    let faults = faulty.iter().flat_map(|(index, problem)| {
        problem
            .errors
            .iter()
            .map(move |fault| prefixed(*index, fault))
    });
    let kind = if is_unreadable {
        Kind::Unreadable
    } else {
        Kind::Invalid
    };
    Err(Error::fields(kind, faults.take(FAULTS).collect()))
}

/// The refusal of a row as that of the call.
fn at_row(index: usize, error: Error) -> Error {
    match error {
        Error::Refused(mut problem) => {
            problem.detail = format!("Row {index}: {}", problem.detail);
            problem.errors = problem
                .errors
                .iter()
                .map(|fault| prefixed(index, fault))
                .collect();
            Error::Refused(problem)
        }
        error => error,
    }
}

fn prefixed(index: usize, fault: &FieldError) -> FieldError {
    FieldError::new(
        format!("/{index}{}", fault.pointer),
        &*fault.code,
        &*fault.message,
    )
}

fn done<E: Entity>(outcome: Outcome, row: &E) -> BulkRow {
    BulkRow {
        outcome,
        id: Some(row.id().uuid()),
        version: Some(row.version()),
        problem: None,
    }
}

const fn failed(problem: Problem) -> BulkRow {
    BulkRow {
        outcome: Outcome::Failed,
        id: None,
        version: None,
        problem: Some(problem),
    }
}

fn parse_on_error(query: &str) -> Result<OnError> {
    let mut parameters = Parameters::read(query)?;
    let on_error = parameters.take("on_error");
    parameters.refuse_rest(&["on_error"])?;
    match on_error.as_deref() {
        None | Some("reject_all") => Ok(OnError::RejectAll),
        Some("reject_failed") => Ok(OnError::RejectFailed),
        Some(text) => {
            let message = format!("is `{text}`; it may be reject_all or reject_failed");
            Err(unreadable("on_error", "unknown_value", message))
        }
    }
}

async fn execute(conn: &mut PgConnection, statement: &'static str) -> Result<()> {
    sqlx::raw_sql(statement).execute(conn).await?;
    Ok(())
}
