//! `mode=restore`: loads rows as they were exported, with their ids, versions and times, into an empty table. There are
//! no side effects: no stock moves, and the change log has one entry for all rows.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use stockroom_common::{FieldError, Kind, Problem, change::Op, document, partition::Family, table};

use super::{Import, Step, lines::Line, report::Report};
use crate::{
    http::error::{Error, Result},
    rows::{
        entity::Entity,
        many::{self, MAX_FAULTS, RowLocation},
    },
    shop::order,
    store::{
        Store,
        cache::{Invalidation, Tag},
        copy::TableRows,
        database::Connection,
        log::Change,
        write::Write,
    },
};

/// Rows in one COPY.
const BATCH: usize = 2_000;

pub(super) async fn restore<E: Entity>(import: &Import) -> Result<(Report, Invalidation)> {
    if let Some((_, report)) = import.found().await {
        return Ok((report, Invalidation::Done));
    }
    refuse_rows::<E>(&mut *import.store.database.bulk.acquire().await?).await?;
    refuse_faults::<E>(import, None).await?;
    let mut report = import.report()?;
    let mut write = Write::bulk(import.store.clone(), import.actor.clone());
    write.begin().await?;
    // Two restores at once would mix their rows. The second one waits here, then finds rows and is refused.
    sqlx::query("select pg_advisory_xact_lock(hashtext($1))")
        .bind(format!("restore {}", E::TABLE))
        .execute(write.conn()?)
        .await?;
    refuse_rows::<E>(write.conn()?).await?;
    let copy = |rows: Vec<E>| E::copy(&import.store.partitions, rows.into_iter());
    load_all(import, &mut write, &mut report, copy).await?;
    if import.is_dry_run() {
        write.abandon().await?;
        return Ok((report, Invalidation::Done));
    }
    write.log(Change {
        entity: E::NAME,
        entity_id: None,
        op: Op::Import,
        version: None,
        before: None,
        after: Some(json!({"rows": report.rows()})),
        tags: vec![Tag::epoch()],
    });
    import
        .save_progress(&mut write, report.rows(), &report)
        .await?;
    let done = write.commit().await?;
    let tables = match E::FAMILY {
        Some(_) => "orders, order_items",
        None => E::TABLE,
    };
    analyze(&import.store, tables).await;
    Ok((report, done))
}

/// Loads the whole file. `copy` converts its rows to rows of tables.
pub(crate) async fn load_all<E: Entity>(
    import: &Import,
    write: &mut Write,
    report: &mut Report,
    copy: impl Fn(Vec<E>) -> Result<Vec<TableRows>>,
) -> Result<()> {
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    import.begin(Step::Writing);
    loop {
        let batch = lines.next(BATCH, read::<E>).await?;
        let Some((first, _)) = batch.first() else {
            return Ok(());
        };
        let first = *first;
        let rows: Vec<(u64, E)> = batch
            .into_iter()
            .map(|(line, row)| Ok((line, row?)))
            .collect::<Result<_, Problem>>()?;
        report.loaded(rows.len() as u64);
        for table in copy(rows.iter().map(|(_, row)| row.clone()).collect())? {
            let loaded = table.load(write.conn()?).await;
            loaded.map_err(|error| at_fault(error, first, &rows))?;
        }
        import.count(Step::Writing, rows.len())?;
    }
}

/// Reads a row, including the fields that the server sets, all of which must be consistent.
fn read<E: Entity>((line, value): Line) -> (u64, Result<E, Problem>) {
    let unreadable = |fault: FieldError| Problem::fields(Kind::Unreadable, vec![fault]);
    let row = value.map_err(unreadable).and_then(|mut value: Value| {
        table::normalize(E::TABLE_COLUMNS, &mut value);
        let row: E = document::from_value(&value).map_err(unreadable)?;
        document::refuse_unknown(&value, &document::to_value(&row)).map_err(unreadable)?;
        match row.check_row() {
            errors if errors.is_empty() => Ok(row),
            errors => Err(Problem::fields(Kind::Invalid, errors)),
        }
    });
    let row = row.map_err(|problem| RowLocation::Line(line).locate(problem));
    (line, row)
}

/// Reads the whole file and refuses it if any row is invalid, so that no load starts that cannot be completed. The rows
/// must be within `range`. Without a range, their partitions are created.
pub(crate) async fn refuse_faults<E: Entity>(
    import: &Import,
    range: Option<&Range<DateTime<Utc>>>,
) -> Result<()> {
    let store = &import.store;
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    let mut faulty: Vec<Problem> = Vec::new();
    import.begin(Step::Reading);
    loop {
        let rows = lines.next(BATCH, read::<E>).await?;
        if rows.is_empty() {
            import.is_read();
            return many::refuse(faulty);
        }
        import.count(Step::Reading, rows.len())?;
        for (line, row) in rows {
            let made = match (row, E::FAMILY) {
                (Err(problem), _) => Err(problem.into()),
                (Ok(row), Some(family)) => match range {
                    Some(range) => lies_in(range, &row),
                    None => ensure(store, family, &row).await,
                },
                (Ok(_), None) => Ok(()),
            };
            match made {
                Err(Error::Refused(problem)) if !problem.is(Kind::Unavailable) => {
                    let is_told = problem.errors.iter().any(|fault| fault.line.is_some());
                    faulty.push(if is_told {
                        *problem
                    } else {
                        RowLocation::Line(line).locate(*problem)
                    });
                }
                made => made?,
            }
        }
        faulty.truncate(MAX_FAULTS);
    }
}

fn lies_in<E: Entity>(range: &Range<DateTime<Utc>>, row: &E) -> Result<()> {
    let at = row.id().time().unwrap_or_default();
    if range.contains(&at) {
        return Ok(());
    }
    let message = format!(
        "is {at}; the partition has {} to before {}",
        range.start, range.end
    );
    Err(Error::field(
        Kind::Invalid,
        "/placed_at",
        "out_of_range",
        message,
    ))
}

async fn ensure<E: Entity>(store: &Store, family: Family, row: &E) -> Result<()> {
    let at = row.id().time().unwrap_or_default();
    if !order::may_be_placed(store, store.options.clock.now(), at) {
        let first = store.options.orders_from.date_naive();
        let message = format!("is {at}; this shop takes orders from {first} to one day from now");
        return Err(Error::field(
            Kind::Invalid,
            "/placed_at",
            "out_of_range",
            message,
        ));
    }
    store
        .partitions
        .ensure(&store.database.bulk, family, at)
        .await
}

async fn refuse_rows<E: Entity>(conn: &mut Connection) -> Result<()> {
    let sql = format!("select exists (select from {})", E::TABLE);
    let is_any: bool = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(conn)
        .await?;
    if is_any {
        let detail = format!(
            "The shop has {} already; a restore needs an empty shop.",
            E::PATH
        );
        return Err(Error::refused(Kind::Conflict, detail));
    }
    Ok(())
}

/// Converts the error of a COPY of many rows: adds the line of the row at fault, or the range of lines if the row
/// cannot be identified.
fn at_fault<E: Entity>(error: Error, first: u64, rows: &[(u64, E)]) -> Error {
    let value = error.value_at_fault();
    let is_twice = error.is_duplicate_key_of(E::TABLE);
    let error = if is_twice {
        let message = "is there twice, or was just created";
        Error::field(Kind::Conflict, "/id", "duplicate", message)
    } else {
        error.on_constraint(E::CONSTRAINTS)
    };
    let Error::Refused(problem) = error else {
        return error;
    };
    let line = value.and_then(|value| {
        let holds = |row: &E| holds(&document::to_value(row), &value);
        // Of two duplicates, the second is at fault.
        let mut found = rows.iter().filter(|(_, row)| holds(row));
        let (line, _) = if problem.is(Kind::Conflict) {
            found.next_back()?
        } else {
            found.next()?
        };
        Some(*line)
    });
    match (line, rows.last()) {
        (Some(line), _) => RowLocation::Line(line).locate(*problem).into(),
        (None, last) => {
            let last = last.map_or(first, |(line, _)| *line);
            let detail = format!("Between the lines {first} and {last}: {}", problem.detail);
            Problem { detail, ..*problem }.into()
        }
    }
}

/// Whether a value contains this text anywhere, in any case: the database may have changed the case.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own.to_lowercase() == text.to_lowercase(),
        Value::Array(elements) => elements.iter().any(|element| holds(element, text)),
        Value::Object(members) => members.values().any(|member| holds(member, text)),
        _ => false,
    }
}

/// Updates the planner's statistics instead of waiting for autovacuum.
pub(crate) async fn analyze(store: &Store, tables: &str) {
    let analyzed = async {
        let mut transaction = store.database.bulk.begin().await?;
        let sql = format!("set local statement_timeout = 0; analyze {tables}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok::<_, Error>(())
    };
    if let Err(error) = analyzed.await {
        tracing::warn!(%error, "the restored rows are not analyzed yet");
    }
}
