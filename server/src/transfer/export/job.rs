//! An export as a job: its file is kept in the database, to be fetched from any server once it is whole.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, RawQuery, Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use stockroom_common::{
    Category, Customer, Id, Kind, Order, Product, Resource,
    bulk::MAX_ROWS,
    job::{ExportRequest, JobRequest, NamedRows},
};

use super::{ByIds, List, Rows, Source};
use crate::{
    http::{
        error::{Error, Result},
        extract::{Actor, Document},
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

/// Bytes that the ids of as many rows as may be named take, and some more.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// `POST /v1/{r}/export?format&name&sort&q&<filters>`, or `?format&name` with the ids of rows as the body.
pub(crate) async fn create<E: Entity>(
    State(store): State<Store>,
    RawQuery(query): RawQuery,
    actor: Actor,
    request: Request,
) -> Result<Response> {
    let mut parameters = Parameters::read(&query.unwrap_or_default())?;
    let format = parameters.take("format");
    let format = parse_format(format.as_deref().unwrap_or("ndjson"))?;
    let name = parameters.file_name()?;
    let query = parameters.encoded();
    // Read now, so that what is wrong with it shows at once.
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
        actor: actor.0,
        request: JobRequest::Export(export),
        seed: None,
        file_bytes: None,
    };
    jobs::accept(&store, new).await
}

/// Whether there is a body.
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
    let mut request = ListRequest::whole(parameters, &store.cursor_key)?;
    request.in_batches_of(super::BATCH);
    Ok(request)
}

/// Writes the file of a job, from the start where another server has begun it.
pub(crate) async fn work(run: &Arc<Run>, request: &ExportRequest) -> Result<Outcome, JobError> {
    match request.resource.as_str() {
        Category::PATH => export::<Category>(run, request).await,
        Product::PATH => export::<Product>(run, request).await,
        Customer::PATH => export::<Customer>(run, request).await,
        Order::PATH => export::<Order>(run, request).await,
        other => {
            let detail = format!("This server knows no {other}.");
            Err(Error::refused(Kind::NotFound, detail).into())
        }
    }
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
        return Err(Error::refused(Kind::Unavailable, "The server stops.").into());
    };
    let mut file = ChunkWriter::begin(run).await?;
    let mut rows = Rows::of(&run.store, source, request.format, turn).await?;
    run.progress().began(0);
    loop {
        run.check_running()?;
        let before = rows.rows;
        // What was read is kept while more is read.
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
