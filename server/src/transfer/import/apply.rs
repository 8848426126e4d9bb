//! `mode=apply`: writes every row with all the rules of a single write. `reject_all` uses one transaction;
//! `reject_failed` uses one transaction per batch, so that other writers do not wait for long. The whole file is read
//! before anything is written, so that a file that breaks off is refused.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use stockroom_common::{Problem, bulk::OnError};

use super::{Import, Step, file::Lines, lines::Line, report::Report};
use crate::{
    http::error::{Error, Result},
    rows::{
        entity::{Entity, Prepare},
        many::{self, ATTEMPTS, InputRow, MAX_FAULTS, RowLocation, lock},
    },
    store::{cache::Invalidation, write::Write},
};

/// Rows that are read, locked and logged at a time.
const BATCH: usize = 500;
/// How often to check whether other imports have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum number of attempts to write a file all or nothing. A race lost to another writer causes a new attempt.
const WHOLE_ATTEMPTS: usize = 3;

pub(super) async fn apply<E: Entity>(import: &Import) -> Result<(Report, Invalidation)> {
    if import.request.on_error == OnError::RejectFailed {
        import.begin(Step::Reading);
        let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
        loop {
            let rows = lines.next(BATCH, drop).await?.len();
            if rows == 0 {
                break;
            }
            import.count(Step::Reading, rows)?;
        }
        import.is_read();
        return in_batches::<E>(import).await;
    }
    if let Some((_, report)) = import.found().await {
        return Ok((report, Invalidation::Done));
    }
    let (faulty, needs) = prepare_all::<E>(import, Prepare::Check).await?;
    many::refuse(faulty)?;
    if needs {
        prepare_all::<E>(import, Prepare::Create).await?;
    }
    let mut attempt = 1;
    loop {
        match all_or_nothing::<E>(import).await {
            Err(error) if error.is_lost_race() && attempt < WHOLE_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// Reads and prepares all rows before any transaction. Returns the errors in the rows themselves, at most as many as a
/// refusal lists, and whether the rows need anything that must be created first, such as partitions.
async fn prepare_all<E: Entity>(import: &Import, how: Prepare) -> Result<(Vec<Problem>, bool)> {
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    let (mut faulty, mut needs) = (Vec::new(), false);
    import.begin(Step::Reading);
    loop {
        let mut rows = next::<E>(&mut lines).await?;
        if rows.is_empty() {
            import.is_read();
            return Ok((faulty, needs));
        }
        import.count(Step::Reading, rows.len())?;
        for row in &mut rows {
            needs |= row.prepare(&import.store, how).await?;
        }
        faulty.extend(rows.iter().filter_map(InputRow::errors));
        if faulty.len() >= MAX_FAULTS {
            // A refusal lists no more errors, so the remaining rows need not be checked.
            faulty.truncate(MAX_FAULTS);
            return Ok((faulty, needs));
        }
    }
}

async fn all_or_nothing<E: Entity>(import: &Import) -> Result<(Report, Invalidation)> {
    let mut report = import.report()?;
    let mut write = Write::bulk(import.store.clone(), import.actor.clone());
    write.begin().await?;
    let mut rows_read = 0;
    take_turn::<E>(import, &mut write, "pg_try_advisory_xact_lock").await?;
    lock_all::<E>(import, &mut write).await?;
    // Read the file again from the start, now that `lock_all` is done: a file has only one reader at a time.
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    import.begin(Step::Writing);
    loop {
        let rows = next::<E>(&mut lines).await?;
        if rows.is_empty() {
            break;
        }
        let count = rows.len();
        rows_read += count as u64;
        for (location, row) in many::write_all(&mut write, &rows, import.request.on_error).await? {
            report.push(line(location), row)?;
        }
        write.write_log().await?;
        import.count(Step::Writing, count)?;
    }
    if import.is_dry_run() {
        write.abandon().await?;
        return Ok((report, Invalidation::Done));
    }
    import.save_progress(&mut write, rows_read, &report).await?;
    Ok((report, write.commit().await?))
}

/// Waits until no other import writes the same entity all or nothing. With the exclusive lock (all or nothing), also
/// waits for the batches of others. Two imports that create the same rows in different orders would otherwise wait for
/// each other.
async fn take_turn<E: Entity>(import: &Import, write: &mut Write, lock: &str) -> Result<()> {
    let sql = format!("select {lock}(hashtext($1))");
    loop {
        let is_ours = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .bind(format!("import {}", E::TABLE))
            .fetch_one(write.conn()?)
            .await?;
        if is_ours {
            return Ok(());
        }
        // Poll, because other imports may take longer than a statement may wait. The loop also ends when this import
        // must stop.
        import.check_running()?;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Locks the existing rows that the file names and the rows that it shares with others, such as products, before any
/// of it is written.
async fn lock_all<E: Entity>(import: &Import, write: &mut Write) -> Result<()> {
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    lock::begin(write.conn()?).await?;
    loop {
        let rows = next::<E>(&mut lines).await?;
        if rows.is_empty() {
            return lock::take::<E>(write.conn()?, || import.check_running()).await;
        }
        // Nothing is counted here, but a stopped job must not read on.
        import.check_running()?;
        lock::add(write.conn()?, &rows).await?;
    }
}

async fn in_batches<E: Entity>(import: &Import) -> Result<(Report, Invalidation)> {
    let mut lines = import.file.lines(E::TABLE_COLUMNS).await?;
    let (rows_processed, mut report) = match import.found().await {
        Some(found) => found,
        None => (0, import.report()?),
    };
    let (mut done, mut last_line, mut rows_read) = (Invalidation::Done, None, 0);
    import.begin(Step::Writing);
    loop {
        let mut rows = next::<E>(&mut lines).await?;
        if rows.is_empty() {
            return Ok((report, done));
        }
        let count = rows.len();
        // Skip the rows that a previous server of the job has processed.
        let skipped =
            usize::try_from(rows_processed - rows_processed.min(rows_read)).unwrap_or(usize::MAX);
        rows_read += count as u64;
        if let Some(last) = rows.drain(..skipped.min(count)).next_back() {
            last_line = Some(line(last.location));
        }
        if rows.is_empty() {
            import.count(Step::Writing, count)?;
            continue;
        }
        let written = one_batch(import, (&mut rows, rows_read), &mut report).await;
        done = match written.map_err(|error| stopped(import, error, last_line))? {
            Invalidation::Done => done,
            other => other,
        };
        last_line = rows.last().map(|row| line(row.location));
        import.count(Step::Writing, count)?;
    }
}

async fn one_batch<E: Entity>(
    import: &Import,
    (rows, rows_read): (&mut [InputRow<E>], u64),
    report: &mut Report,
) -> Result<Invalidation> {
    many::prepare_all(&import.store, rows, import.request.on_error).await?;
    let mut attempt = 1;
    loop {
        let mut write = Write::bulk(import.store.clone(), import.actor.clone());
        write.begin().await?;
        take_turn::<E>(import, &mut write, "pg_try_advisory_xact_lock_shared").await?;
        let written = many::write_all(&mut write, rows, import.request.on_error).await;
        let written = match written {
            Err(error) if error.is_lost_race() && attempt < ATTEMPTS => {
                attempt += 1;
                continue;
            }
            written => written?,
        };
        for (location, row) in written {
            report.push(line(location), row)?;
        }
        if import.is_dry_run() {
            write.abandon().await?;
            return Ok(Invalidation::Done);
        }
        import.save_progress(&mut write, rows_read, report).await?;
        return write.commit().await;
    }
}

async fn next<E: Entity>(lines: &mut Lines) -> Result<Vec<InputRow<E>>> {
    let read = |(line, value): Line| InputRow::read(RowLocation::Line(line), value);
    lines.next(BATCH, read).await
}

const fn line(location: RowLocation) -> u64 {
    match location {
        RowLocation::Line(line) => line,
        RowLocation::Index(index) => index as u64,
    }
}

/// The error that stopped an import after some of its batches. The written batches stay, so it names the last line.
fn stopped(import: &Import, error: Error, last_line: Option<u64>) -> Error {
    let mut problem = error.into_problem();
    if let Some(line) = last_line.filter(|_| !import.is_dry_run()) {
        problem.detail = format!(
            "{} The rows up to line {line} are done; import the rest again.",
            problem.detail
        );
    }
    problem.into()
}
