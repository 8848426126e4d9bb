//! All errors of the server, and the one place that turns them into responses.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sqlx::{error::ErrorKind, postgres::PgDatabaseError};
use stockroom_common::{FieldError, Kind, Problem, problem};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The response is exactly this problem.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Logged. The response says only whether to try again.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Logged. The response says only that the caller should try again.
    #[error("PostgreSQL cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The connection broke during `commit`: the write may or may not have taken effect.
    #[error("the outcome of a write is unknown: {0}")]
    OutcomeUnknown(sqlx::Error),
    /// Another write has created the row meanwhile, so the whole write must be repeated, which then finds the row. If
    /// repeating does not help, the response is this problem.
    #[error("{}", .0.detail)]
    CreatedMeanwhile(Box<Problem>),
    /// The clock of this machine is wrong, so the server does not start.
    #[error("{0}")]
    Clock(String),
    /// The server is not configured for this kind of pooler, so it does not start.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode; add --transaction-pooling, or \
            connect to PostgreSQL directly, which is faster"
    )]
    Pooled,
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A spawned write panicked, or was cancelled when the runtime shut down.
    #[error("task: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

/// The detail of the response to [`Error::OutcomeUnknown`].
pub(crate) const OUTCOME_UNKNOWN: &str = "The outcome of the write is unknown: it may have been done. Read the rows before you \
            send it again. A PUT with your own id and `If-None-Match: *` can be sent again safely: it creates the \
            row once.";

/// A constraint that a write may violate, and the field error that the response then contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constraint {
    pub(crate) name: &'static str,
    pub(crate) pointer: &'static str,
    pub(crate) message: &'static str,
}

impl Error {
    pub(crate) fn refused(kind: Kind, detail: impl Into<String>) -> Self {
        Self::Refused(Box::new(Problem::new(kind, detail)))
    }

    pub(crate) fn fields(kind: Kind, errors: Vec<FieldError>) -> Self {
        Self::Refused(Box::new(Problem::fields(kind, errors)))
    }

    pub(crate) fn field(kind: Kind, pointer: &str, code: &str, message: impl Into<String>) -> Self {
        Self::fields(kind, vec![FieldError::new(pointer, code, message)])
    }

    /// Converts the violation of a listed constraint into a refusal: 409 for a duplicate, 422 for a missing
    /// reference or a value out of range. Any other error is returned unchanged.
    pub(crate) fn on_constraint(self, constraints: &[Constraint]) -> Self {
        let Self::Database(error) = &self else {
            return self;
        };
        let Some(database) = error.as_database_error() else {
            return self;
        };
        let broken = constraints
            .iter()
            .find(|known| database.constraint() == Some(known.name));
        let Some(Constraint {
            pointer, message, ..
        }) = broken
        else {
            return self;
        };
        match database.kind() {
            ErrorKind::UniqueViolation => {
                Self::field(Kind::Conflict, pointer, "duplicate", *message)
            }
            ErrorKind::ForeignKeyViolation => {
                Self::field(Kind::Invalid, pointer, "not_found", *message)
            }
            _ => Self::field(Kind::Invalid, pointer, "out_of_range", *message),
        }
    }

    /// Whether a deleted row is still referenced, or a reference has no target.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        self.database_kind()
            .is_some_and(|kind| matches!(kind, ErrorKind::ForeignKeyViolation))
    }

    pub(crate) fn is_unique_violation(&self) -> bool {
        self.violated_unique().is_some()
    }

    pub(crate) fn is_unique_violation_of(&self, constraint: &str) -> bool {
        self.violated_unique() == Some(constraint)
    }

    /// Whether the primary key already exists in the table or one of its partitions.
    pub(crate) fn is_duplicate_key_of(&self, table: &str) -> bool {
        self.violated_unique()
            .is_some_and(|name| name.starts_with(table) && name.ends_with("_pkey"))
    }

    /// Whether the write waited too long for a lock, or was chosen as the victim of a deadlock.
    pub(crate) fn is_lost_lock(&self) -> bool {
        self.has_code("55P03") || self.has_code("40P01")
    }

    /// Whether a concurrent write interfered, so that the same write may succeed if repeated from its start.
    pub(crate) fn is_lost_race(&self) -> bool {
        self.is_lost_lock() || self.has_code("40001") || matches!(self, Self::CreatedMeanwhile(_))
    }

    /// Whether no partition accepts a row, or a partition named in the statement no longer exists.
    pub(crate) fn is_missing_partition(&self) -> bool {
        let no_partition = self.has_code("23514") && self.constraint().is_none();
        no_partition || self.has_code("42P01")
    }

    /// Whether the error is transient: the database is unreachable or busy.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is(Kind::Unavailable),
            Self::Database(error) => kind_of(error) == Kind::Unavailable,
            Self::Unreachable(_) => true,
            Self::CreatedMeanwhile(_)
            | Self::OutcomeUnknown(_)
            | Self::Clock(_)
            | Self::Pooled
            | Self::Migration(_)
            | Self::Task(_) => false,
        }
    }

    /// Whether the database lacks a function or an operator, for example one of an extension.
    pub(crate) fn is_missing_function(&self) -> bool {
        self.has_code("42883")
    }

    /// The value that violated a constraint, from PostgreSQL's detail: `Key (email)=(ada@example.org) …`.
    pub(crate) fn value_at_fault(&self) -> Option<String> {
        let Self::Database(error) = self else {
            return None;
        };
        let database = error
            .as_database_error()?
            .try_downcast_ref::<PgDatabaseError>()?;
        let (_, value) = database.detail()?.split_once(")=(")?;
        let (value, _) = value.split_once(')')?;
        // In a key with several columns, the last one is the most specific.
        value.rsplit(", ").next().map(str::to_owned)
    }

    fn has_code(&self, code: &str) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        let database = error.as_database_error();
        database.and_then(|error| error.code()).as_deref() == Some(code)
    }

    fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(error) => error.as_database_error()?.constraint(),
            _ => None,
        }
    }

    fn violated_unique(&self) -> Option<&str> {
        let Self::Database(error) = self else {
            return None;
        };
        let error = error.as_database_error()?;
        error
            .constraint()
            .filter(|_| matches!(error.kind(), ErrorKind::UniqueViolation))
    }

    fn database_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Database(error) => Some(error.as_database_error()?.kind()),
            _ => None,
        }
    }

    pub(crate) fn into_problem(self) -> Problem {
        let kind = match self {
            Self::Refused(problem) | Self::CreatedMeanwhile(problem) => return *problem,
            Self::Database(ref error) => kind_of(error),
            Self::Unreachable(_) => Kind::Unavailable,
            Self::OutcomeUnknown(_) => Kind::OutcomeUnknown,
            Self::Clock(_) | Self::Pooled | Self::Migration(_) | Self::Task(_) => Kind::Internal,
        };
        match kind {
            Kind::OutcomeUnknown => {
                tracing::error!(error = %self, "outcome unknown");
                Problem::new(kind, OUTCOME_UNKNOWN)
            }
            Kind::Unavailable => {
                tracing::warn!(error = %self, "unavailable");
                Problem::new(
                    kind,
                    "The database does not answer or is busy. Try again shortly.",
                )
            }
            Kind::Invalid => {
                tracing::warn!(error = %self, "the database refused a value");
                Problem::new(kind, "The database cannot store one of the values.")
            }
            _ => {
                tracing::error!(error = %self, "failed");
                Problem::new(kind, "The server failed. The server's log has the details.")
            }
        }
    }
}

/// Classifies database errors by what the caller can do about them.
fn kind_of(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        sqlx::Error::Database(database) => {
            let code = database
                .try_downcast_ref::<PgDatabaseError>()
                .map_or("", PgDatabaseError::code);
            match code.as_bytes() {
                // A conflict between transactions, a deadlock, a lock or statement timeout, or a
                // server that starts, stops or has become a standby.
                b"25006" | b"40001" | b"40P01" | b"55P03" | b"57014" | b"57P01" | b"57P02"
                | b"57P03" => Kind::Unavailable,
                // Connection errors, or a lack of resources such as too many connections.
                [b'0', b'8', ..] | [b'5', b'3', ..] => Kind::Unavailable,
                // Data exceptions: a value that the server's own checks did not reject.
                [b'2', b'2', ..] => Kind::Invalid,
                _ => Kind::Internal,
            }
        }
        _ => Kind::Internal,
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        problem_response(&self.into_problem())
    }
}

/// The response for a problem. A 503 asks the caller to retry after 1 s.
pub(crate) fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(problem)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(problem::MEDIA_TYPE),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
