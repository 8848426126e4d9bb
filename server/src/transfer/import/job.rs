//! An import as a job: its file is kept in the database until it is written, so that any server can do it.

use std::sync::Arc;

use axum::response::Response;

use stockroom_common::{
    Category, Customer, Kind, Order, Product, Resource,
    bulk::OnError,
    job::{ImportRequest, JobRequest},
};

use super::{Import, Step, cancelled, file::File, receive::copy_of_job, run as write_rows, turn};
use crate::{
    http::{
        error::{Error, Result},
        extract::Actor,
    },
    jobs::{self, JobError, NewJob, Outcome, Run},
    rows::entity::Entity,
    store::Store,
    transfer::interrupt::Interrupt,
};

/// Keeps the file and puts its import into the queue, both or neither.
pub(super) async fn enqueue(
    store: &Store,
    actor: Actor,
    request: ImportRequest,
    file: File,
) -> Result<Response> {
    let (bytes, file) = file.into_bytes()?;
    let new = NewJob {
        at: store.options.clock.now(),
        actor: actor.0,
        request: JobRequest::Import(request),
        seed: None,
        file_bytes: i64::try_from(bytes).ok(),
    };
    // It holds a connection for as long as the file takes.
    let _turn = turn(store).await?;
    let mut transaction = store.database.bulk.begin().await?;
    let job = jobs::insert(&mut transaction, new).await?;
    jobs::store_file(&mut transaction, job.id, file).await?;
    transaction.commit().await?;
    store.jobs.notify();
    Ok(jobs::as_preferred(jobs::accepted(&job, "jobs")))
}

/// Imports the file of a job. Where another server has seen to some of its rows, the others.
pub(crate) async fn work(run: &Arc<Run>, request: &ImportRequest) -> Result<Outcome, JobError> {
    let done = match request.resource.as_str() {
        Category::PATH => import::<Category>(run, request).await,
        Product::PATH => import::<Product>(run, request).await,
        Customer::PATH => import::<Customer>(run, request).await,
        Order::PATH => import::<Order>(run, request).await,
        other => {
            let detail = format!("This server knows no {other}.");
            Err(Error::refused(Kind::NotFound, detail))
        }
    };
    Ok(done?)
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
    // Where the cache could not be told, the relay does it.
    let written = write_rows::<E>(&import).await;
    if written.is_err() && request.on_error == OnError::RejectAll {
        // Nothing of it is left.
        import.begin(Step::Writing);
    }
    let (report, _) = written?;
    Ok(Outcome {
        report: Some(report.into_totals()),
        file_bytes: None,
    })
}
