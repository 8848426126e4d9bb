//! An import as a job. Its file is kept in the database until it is imported, so that any server can run the job.

use std::sync::Arc;

use axum::response::Response;

use stockroom_common::{
    bulk::OnError,
    job::{ImportRequest, JobRequest},
};

use super::{Import, Step, cancelled, file::File, receive::copy_of_job, run as write_rows, turn};
use crate::{
    http::{actor::Actor, error::Result},
    jobs::{self, JobError, NewJob, Outcome, Run},
    rows::entity::Entity,
    store::Store,
    transfer::interrupt::Interrupt,
};

/// Stores the file and queues its import, in one transaction.
pub(super) async fn enqueue(
    store: &Store,
    actor: Actor,
    request: ImportRequest,
    file: File,
) -> Result<Response> {
    let (bytes, file) = file.into_bytes()?;
    let new = NewJob {
        at: store.options.clock.now(),
        actor,
        request: JobRequest::Import(request),
        seed: None,
        file_bytes: i64::try_from(bytes).ok(),
    };
    // Storing the file occupies a connection for as long as the file takes.
    let _turn = turn(store).await?;
    let mut transaction = store.database.bulk.begin().await?;
    let job = jobs::insert(&mut transaction, new).await?;
    jobs::store_file(&mut transaction, job.id, file).await?;
    transaction.commit().await?;
    store.jobs.notify();
    Ok(jobs::with_preference_applied(jobs::accepted(&job, "jobs")))
}

/// Imports the file of a job. Skips the rows that another server has already processed.
pub(crate) async fn run<E: Entity>(
    run: Arc<Run>,
    request: ImportRequest,
) -> Result<Outcome, JobError> {
    Ok(import::<E>(&run, &request).await?)
}

async fn import<E: Entity>(run: &Arc<Run>, request: &ImportRequest) -> Result<Outcome> {
    let interrupt = Interrupt::of_job(run);
    let interrupted = interrupt.interrupted.clone();
    let import = Import {
        store: run.store.clone(),
        actor: run.actor.clone(),
        request: request.clone(),
        file: copy_of_job(run, request.format, interrupted).await?,
        interrupt,
        wants_every_row: false,
        run: Some(run.clone()),
    };
    let _turn = tokio::select! {
        turn = run.store.transfers.clone().acquire_owned() => turn,
        () = run.until_stopped() => return Err(cancelled()),
    };
    // If the cache could not be invalidated, the relay does it later.
    let written = write_rows::<E>(&import).await;
    if written.is_err() && request.on_error == OnError::RejectAll {
        // Everything was rolled back, so the progress starts again.
        import.begin(Step::Writing);
    }
    let (report, _) = written?;
    Ok(Outcome {
        report: Some(report.into_totals()),
        file_bytes: None,
    })
}
