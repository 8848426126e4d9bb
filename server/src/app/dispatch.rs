//! Which kind of job is done by whom.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use stockroom_common::job::JobRequest;

use crate::{
    archive,
    jobs::{JobError, Outcome, Run},
    seed,
    transfer::{export, import},
};

/// Does a job that the queue has handed out.
pub(crate) fn dispatch(
    run: Arc<Run>,
    request: JobRequest,
) -> BoxFuture<'static, Result<Outcome, JobError>> {
    async move {
        match &request {
            JobRequest::Seed(request) => seed::load(&run, request).await,
            JobRequest::Import(request) => import::job::work(&run, request).await,
            JobRequest::Export(request) => export::job::work(&run, request).await,
            JobRequest::Partitions(request) => archive::job::work(&run, request).await,
        }
    }
    .boxed()
}
