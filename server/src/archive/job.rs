//! Archives, restores or deletes several partitions as a job, one after the other. Each action can safely be repeated,
//! so a server that takes the job over starts with the first partition.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use stockroom_common::{
    Kind,
    job::{JobRequest, NamedPartitions, PartitionAction, PartitionsRequest},
};

use super::actions as archive;
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
        extract::Document,
    },
    jobs::{self, JobError, NewJob, Outcome, Run},
    store::{Store, partitions::catalogue::Catalogue},
};

/// Delay before the next attempt if the tables were in use.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// `POST /v1/partitions/archive` `{"names": […]}`
pub(crate) async fn archive_all(
    State(store): State<Store>,
    actor: Actor,
    Document(named): Document<NamedPartitions>,
) -> Result<Response> {
    create(&store, actor, PartitionAction::Archive, named).await
}

/// `POST /v1/partitions/restore` `{"names": […]}`
pub(crate) async fn restore_all(
    State(store): State<Store>,
    actor: Actor,
    Document(named): Document<NamedPartitions>,
) -> Result<Response> {
    create(&store, actor, PartitionAction::Restore, named).await
}

/// `POST /v1/partitions/delete` `{"names": […]}`: deletes them permanently.
pub(crate) async fn delete_all(
    State(store): State<Store>,
    actor: Actor,
    Document(named): Document<NamedPartitions>,
) -> Result<Response> {
    create(&store, actor, PartitionAction::Delete, named).await
}

async fn create(
    store: &Store,
    actor: Actor,
    action: PartitionAction,
    named: NamedPartitions,
) -> Result<Response> {
    let mut errors = named.check();
    let catalogue = Catalogue::read(&mut *store.database.reads.acquire().await?).await?;
    for (index, name) in named.names.iter().enumerate() {
        if catalogue.named(name).is_none() {
            let message = format!("there is no partition {name}; GET /v1/partitions lists them");
            let pointer = format!("/names/{index}");
            errors.push(stockroom_common::FieldError::new(
                pointer,
                "not_found",
                message,
            ));
        }
    }
    if !errors.is_empty() {
        return Err(Error::fields(Kind::Invalid, errors));
    }
    let names = named.names;
    let new = NewJob {
        at: store.options.clock.now(),
        actor,
        request: JobRequest::Partitions(PartitionsRequest { action, names }),
        seed: None,
        file_bytes: None,
    };
    jobs::accept(store, new).await
}

/// Applies the action to each partition. The first refusal ends the job, except 503, which is retried.
pub(crate) async fn work(run: &Arc<Run>, request: &PartitionsRequest) -> Result<Outcome, JobError> {
    run.progress().began(0);
    for name in &request.names {
        run.check_running()?;
        // Exports and long imports lock the tables until they end. Try again until the action succeeds or the job
        // stops.
        while let Err(error) = once(run, request.action, name).await {
            match error {
                Error::Refused(problem) if problem.is(Kind::Unavailable) => {}
                error => return Err(at(name, error).into()),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_DELAY) => {}
                () = run.until_stopped() => {}
            }
            run.check_running()?;
        }
        run.progress().done(0, 1);
    }
    Ok(Outcome::default())
}

async fn once(run: &Run, action: PartitionAction, name: &str) -> Result<()> {
    let (store, actor) = (&run.store, &run.actor);
    // If the cache could not be invalidated, the relay does it later.
    match action {
        PartitionAction::Archive => archive::archive(store, actor, name).await,
        PartitionAction::Restore => archive::restore(store, actor, name).await,
        PartitionAction::Delete => archive::delete(store, actor, name).await,
    }
    .map(|_| ())
}

/// Adds the name of the partition to a refusal that does not mention it.
fn at(name: &str, error: Error) -> Error {
    match error {
        Error::Refused(mut problem) => {
            if !problem.detail.contains(name) {
                problem.detail = format!("{name}: {}", problem.detail);
            }
            Error::Refused(problem)
        }
        error => error,
    }
}
