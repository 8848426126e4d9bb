//! An export as a job. Its file is kept in the database, so that any server can send it once it is complete.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use stockroom_common::{
    Id, Kind,
    bulk::MAX_ROWS,
    job::{ExportRequest, JobRequest, NamedRows},
};

use super::{ByIds, List, Rows, Source};
use crate::{
    http::{
        actor::Actor,
        error::{Error, Result},
        extract::Document,
        parameters::{Parameters, unreadable},
    },
    jobs::{self, ChunkWriter, JobError, NewJob, Outcome, Run},
    rows::{
        entity::Entity,
        list::{ListRequest, total},
    },
    store::Store,
    transfer::parameters::parse_format,
};

/// Maximum size of the body in bytes: room for [`MAX_ROWS`] ids, and some more.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// `POST /v1/{r}/export?format&name&sort&q&<filters>`, or `?format&name` with the ids of rows in the body.
pub(crate) async fn create<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
    actor: Actor,
    request: Request,
) -> Result<Response> {
    let format = parameters.take("format");
    let format = parse_format(format.as_deref().unwrap_or("ndjson"))?;
    let name = parameters.file_name()?;
    let query = parameters.encoded();
    // Parse the ids or the list now, so that errors are reported at once.
    let ids = if request.headers().contains_key(header::CONTENT_TYPE) {
        parameters.refuse_rest(&["format", "name"])?;
        let Document(NamedRows { ids }) = Document::from_request(request, &store).await?;
        check_size(ids.len())?;
        Some(ids)
    } else if is_sent(request.headers()) {
        let detail = "Send the ids as `Content-Type: application/json`.";
        return Err(Error::refused(Kind::UnsupportedMediaType, detail));
    } else {
        list_of::<E>(&store, &query)?;
        None
    };
    let export = ExportRequest {
        resource: E::PATH.into(),
        name,
        format,
        query,
        ids,
    };
    let new = NewJob {
        at: store.options.clock.now(),
        actor,
        request: JobRequest::Export(export),
        seed: None,
        file_bytes: None,
    };
    jobs::accept(&store, new).await
}

/// Whether the request has a body.
fn is_sent(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

fn check_size(rows: usize) -> Result<()> {
    if (1..=MAX_ROWS).contains(&rows) {
        return Ok(());
    }
    let message = format!("names {rows} rows; from 1 to {MAX_ROWS} may be");
    Err(Error::field(Kind::Invalid, "/ids", "out_of_range", message))
}

fn list_of<E: Entity>(store: &Store, query: &str) -> Result<ListRequest<E>> {
    let parameters = Parameters::read(query)?;
    if parameters.has("id") {
        let message = "name rows in the body: {\"ids\": […]}";
        return Err(unreadable("id", "unknown_parameter", message));
    }
    let mut request = ListRequest::parse_whole_list(parameters, &store.cursor_key)?;
    request.set_batch_rows(super::BATCH);
    Ok(request)
}

/// Writes the file of a job. If another server has begun it, starts again from the first row.
pub(crate) async fn run<E: Entity>(
    run: Arc<Run>,
    request: ExportRequest,
) -> Result<Outcome, JobError> {
    export::<E>(&run, &request).await
}

async fn export<E: Entity>(run: &Run, request: &ExportRequest) -> Result<Outcome, JobError> {
    let store = &run.store;
    if let Some(ids) = &request.ids {
        run.progress().expect(0, ids.len() as i64);
        let ids = ids.iter().map(|id| Id::new(*id)).collect();
        return spool(run, ByIds::<E>::new(store, ids), request).await;
    }
    let list = list_of::<E>(store, &request.query)?;
    let search = list.search.as_deref();
    let mut conn = store.database.bulk.acquire().await?;
    let total = total::estimate::<E>(&mut conn, &list.filter, search).await?;
    drop(conn);
    run.progress().expect(0, total.value);
    spool(run, List(list), request).await
}

async fn spool<S: Source>(
    run: &Run,
    source: S,
    request: &ExportRequest,
) -> Result<Outcome, JobError> {
    let turn = tokio::select! {
        turn = run.store.transfers.clone().acquire_owned() => turn,
        () = run.until_stopped() => return run.check_running().map(|()| Outcome::default()),
    };
    let Ok(turn) = turn else {
        return Err(Error::refused(Kind::Unavailable, "The server is stopping.").into());
    };
    let mut file = ChunkWriter::begin(run).await?;
    let mut rows = Rows::of(&run.store, source, request.format, turn).await?;
    run.progress().began(0);
    loop {
        run.check_running()?;
        let before = rows.rows;
        // Store the previous batch while the next one is read.
        let (batch, ()) = tokio::try_join!(rows.next(), file.store())?;
        let Some(batch) = batch else {
            break;
        };
        run.progress().done(0, (rows.rows - before) as i64);
        file.push(&batch);
    }
    run.progress().ended(0);
    Ok(Outcome {
        report: None,
        file_bytes: Some(file.end().await?),
    })
}
