//! A row as it was sent: its location, its content, and the faults found before it is written.

use serde_json::{Map, Value};
use stockroom_common::{FieldError, Id, Kind, Problem, document, table};

use crate::{
    http::error::{Error, Result},
    rows::{
        entity::{Entity, Prepare},
        table::NaturalKey,
    },
    store::Store,
};

/// Maximum faults that the refusal of a call lists.
pub(crate) const MAX_FAULTS: usize = 100;

/// The location of a row in what was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowLocation {
    /// The index in an array, from 0.
    Index(usize),
    /// The line of a file, from 1.
    Line(u64),
}

/// A row that was sent: its content, or the problem found before it is written.
#[derive(Clone, Debug)]
pub(crate) struct InputRow<E: Entity> {
    pub(crate) location: RowLocation,
    pub(crate) row: Result<Row<E>, Problem>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row<E: Entity> {
    pub(super) id: Option<Id<E>>,
    /// The version that the caller has seen.
    pub(super) version: Option<i64>,
    pub(super) fields: Value,
    /// The document that the fields form without a stored row; an error if they are incomplete.
    pub(super) complete: Result<E::New, FieldError>,
}

impl<E: Entity> InputRow<E> {
    /// Parses a row and applies the rules that need no database.
    pub(crate) fn read(location: RowLocation, value: Result<Value, FieldError>) -> Self {
        let row = value.and_then(Row::read);
        let row = row.map_err(|error| Problem::fields(Kind::Unreadable, vec![error]));
        let row = row.and_then(|row| match &row.complete {
            Ok(new) => {
                let mut errors = E::check(new);
                if row.id.is_some() || row.key().is_some() {
                    // The stored row may have this fault already, which is allowed. This is checked once it is found.
                    errors.retain(|error| !E::may_be_stored(new, error));
                }
                refused(errors).map(|()| row)
            }
            Err(_) => Ok(row),
        });
        Self { location, row }
    }

    /// Creates what the row needs, on other connections than that of the write: call it before the transaction begins.
    /// A refusal becomes the problem of the row. Returns the same as [`Entity::prepare`].
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

    /// The problem of the row, if any, with its location.
    pub(crate) fn errors(&self) -> Option<Problem> {
        let problem = self.row.as_ref().err()?;
        Some(self.location.locate(problem.clone()))
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
            let message = "has a NUL character";
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
        let complete: Result<E::New, FieldError> = document::from_value(&alone);
        if let Ok(new) = &complete {
            document::refuse_null(&value, &document::to_value(new))?;
        }
        if let Err(error) = &complete {
            let key = E::NATURAL_KEY.and_then(|key| value[key.field].as_str());
            // An existing row may be changed in part, so a missing field is not a fault yet.
            let is_part = error.code == "required" && error.pointer.rfind('/') == Some(0);
            if !is_part || id.is_none() && key.is_none() {
                return Err(error.clone());
            }
        }
        Ok(Self {
            id,
            version,
            fields: value,
            complete,
        })
    }

    /// The value of its natural key.
    pub(super) fn key(&self) -> Option<&str> {
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
        .map_err(|error| FieldError::new(format!("/{name}"), error.code, error.message))
}

pub(super) fn refused(errors: Vec<FieldError>) -> Result<(), Problem> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::fields(Kind::Invalid, errors))
    }
}

impl RowLocation {
    /// Turns a problem of the row at this location into one of the whole call.
    pub(crate) fn locate(self, problem: Problem) -> Problem {
        let located = |error: FieldError| match self {
            Self::Index(index) => FieldError {
                pointer: format!("/{index}{}", error.pointer),
                ..error
            },
            Self::Line(line) => error.at_line(line),
        };
        let detail = match self {
            Self::Index(index) => format!("Row {index}: {}", problem.detail),
            Self::Line(line) => format!("Line {line}: {}", problem.detail),
        };
        Problem {
            detail,
            errors: problem.errors.into_iter().map(located).collect(),
            ..problem
        }
    }
}

/// Refuses a call if rows are faulty, and reports the faults of all rows at once.
///
/// # Errors
/// The problem of the first faulty row, with up to [`MAX_FAULTS`] faults of all rows.
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
            MAX_FAULTS => format!("{} ({MAX_FAULTS} errors or more)", first.detail),
            errors => format!("{} ({errors} errors)", first.detail),
        },
        errors,
        ..first
    }
    .into())
}
