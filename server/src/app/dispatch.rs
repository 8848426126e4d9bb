//! Maps each kind of job to the function that does its work.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use stockroom_common::job::JobRequest;

use crate::{
    app::entities,
    archive,
    jobs::{JobError, Outcome, Run},
    seed,
};

/// Does the work of a job that this server has claimed.
pub(crate) fn dispatch(
    run: Arc<Run>,
    request: JobRequest,
) -> BoxFuture<'static, Result<Outcome, JobError>> {
    async move {
        match &request {
            JobRequest::Seed(request) => seed::load(&run, request).await,
            JobRequest::Import(request) => {
                let entity = entities::of_path(&request.resource)?;
                (entity.import)(run, request.clone()).await
            }
            JobRequest::Export(request) => {
                let entity = entities::of_path(&request.resource)?;
                (entity.export)(run, request.clone()).await
            }
            JobRequest::Partitions(request) => archive::job::work(&run, request).await,
        }
    }
    .boxed()
}
