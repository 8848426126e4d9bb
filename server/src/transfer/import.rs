//! `POST /v1/{r}/import`: the rows of a file, CSV or NDJSON, gzipped or not. The file is first received and stored on
//! disk, so that a slow caller holds no lock, the file can be read twice, and memory does not grow with its size.
//! [`apply`] writes the rows with all the rules of single writes; [`restore`] writes them unchanged into an empty shop.

pub(crate) mod apply;
mod csv_table;
pub(crate) mod file;
pub(crate) mod job;
mod lines;
mod ndjson;
pub(crate) mod receive;
pub(crate) mod report;
pub(crate) mod restore;
mod space;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use stockroom_common::{
    Kind, Role,
    bulk::OnError,
    format::Format,
    job::{ImportMode, ImportRequest},
};
use tokio::sync::OwnedSemaphorePermit;

use self::{file::File, receive::receive, report::Report};
use crate::{
    http::{
        actor::{Actor, Principal},
        error::{Error, Result},
        extract::is_gzipped,
        parameters::{Parameters, unreadable},
    },
    jobs::{self, Run},
    rows::{crud::with_invalidation_header, entity::Entity},
    store::{
        Store,
        cache::{Invalidation, Tag},
        write::{Write, detached},
    },
    transfer::{
        interrupt::Interrupt,
        parameters::{BUSY, parse_format, take_on_error},
    },
};

/// How long a received file waits while other imports and exports run.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The parameters that every import accepts.
pub(crate) const PARAMETERS: &[&str] = &["dry_run", "report", "format"];

/// The parsed parameters of an import.
pub(crate) struct ImportParams {
    pub(crate) request: ImportRequest,
    wants_every_row: bool,
}

/// A received file and how to import it.
pub(crate) struct Import {
    pub(crate) store: Store,
    pub(crate) actor: Actor,
    pub(crate) request: ImportRequest,
    file: File,
    interrupt: Interrupt,
    wants_every_row: bool,
    /// The job that runs the import; none if the caller waits for the response.
    run: Option<Arc<Run>>,
}

/// The steps of an import. The whole file is read before any of it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reading,
    Writing,
}

/// `POST /v1/{r}/import?mode&on_error&dry_run&report&format&name`
pub(crate) async fn import<E: Entity>(
    State(store): State<Store>,
    mut parameters: Parameters,
    (principal, actor): (Principal, Actor),
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let modes = [
        ("apply", ImportMode::Apply),
        ("restore", ImportMode::Restore),
    ];
    let mode = parameters.one_of("mode", &modes)?;
    if mode == ImportMode::Restore {
        principal.require(Role::Admin)?;
    }
    let on_error = take_on_error(&mut parameters)?;
    if mode == ImportMode::Restore && on_error == OnError::RejectFailed {
        let message = "cannot be combined with mode=restore; leave it out";
        return Err(unreadable("on_error", "unknown_value", message));
    }
    let name = parameters.file_name()?;
    parameters.refuse_rest(&[&["mode", "on_error", "name"], PARAMETERS].concat())?;
    let mut asked = ImportParams::take(parameters, &headers, E::PATH)?;
    asked.request = ImportRequest {
        mode,
        on_error,
        name,
        ..asked.request
    };
    let (interrupt, _waiting) = Interrupt::of_caller(&store);
    let interrupted = interrupt.interrupted.clone();
    let file = receive(&store, body, asked.request.format, interrupted).await?;
    if jobs::is_preferred(&headers) && !asked.wants_every_row {
        return job::enqueue(&store, actor, asked.request, file).await;
    }
    let import = Import::new(store, actor, asked, (file, interrupt));
    let (report, done) = detached(async move {
        let _permit = turn(&import.store).await?;
        run::<E>(&import).await
    })
    .await?;
    Ok(with_invalidation_header(done, report.respond()?))
}

async fn run<E: Entity>(import: &Import) -> Result<(Report, Invalidation)> {
    match import.request.mode {
        ImportMode::Apply => apply::apply::<E>(import).await,
        ImportMode::Restore => restore::restore::<E>(import).await,
    }
}

/// Waits for a permit to occupy a connection for a long time. Exports and imports share these permits. An import can
/// wait, because its file has already arrived.
pub(crate) async fn turn(store: &Store) -> Result<OwnedSemaphorePermit> {
    let turn = store.transfers.clone().acquire_owned();
    match tokio::time::timeout(PERMIT_TIMEOUT, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::refused(Kind::Unavailable, BUSY)),
    }
}

/// The format from the parameter `format`, or else from the media type of the body.
fn take_format(parameters: &mut Parameters, headers: &HeaderMap) -> Result<Format> {
    // Only refuses other encodings: whether the file is gzipped is detected from its first bytes.
    is_gzipped(headers)?;
    if let Some(format) = parameters.take("format") {
        return parse_format(&format);
    }
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    media_type.and_then(Format::of_media_type).ok_or_else(|| {
        let detail = "Send the file as `Content-Type: text/csv` or `application/x-ndjson`, or add `format=csv` or `format=ndjson`.";
        Error::refused(Kind::UnsupportedMediaType, detail)
    })
}

/// The error that ends a stopped import. No caller sees it.
fn cancelled() -> Error {
    Error::refused(Kind::Unavailable, "The job was stopped.")
}

impl ImportParams {
    /// Reads the parameters that every import accepts. The others keep their defaults: all or nothing.
    pub(crate) fn take(
        mut parameters: Parameters,
        headers: &HeaderMap,
        resource: &str,
    ) -> Result<Self> {
        let format = take_format(&mut parameters, headers)?;
        let dry_run = parameters.one_of("dry_run", &[("false", false), ("true", true)])?;
        let reports = [("refused", false), ("rows", true)];
        let wants_every_row = parameters.one_of("report", &reports)?;
        let request = ImportRequest {
            resource: resource.into(),
            name: None,
            format,
            mode: ImportMode::default(),
            on_error: OnError::default(),
            dry_run,
        };
        Ok(Self {
            request,
            wants_every_row,
        })
    }
}

impl Import {
    pub(crate) fn new(
        store: Store,
        actor: Actor,
        asked: ImportParams,
        (file, interrupt): (File, Interrupt),
    ) -> Self {
        let ImportParams {
            request,
            wants_every_row,
        } = asked;
        Self {
            store,
            actor,
            request,
            file,
            interrupt,
            wants_every_row,
            run: None,
        }
    }

    pub(crate) const fn is_dry_run(&self) -> bool {
        self.request.dry_run
    }

    pub(crate) fn report(&self) -> Result<Report> {
        Report::new(self.wants_every_row)
    }

    /// Starts a step, or restarts it.
    fn begin(&self, step: Step) {
        if let Some(run) = &self.run {
            run.progress().restart(step as usize);
        }
    }

    /// Reports that this many more rows have completed a step.
    ///
    /// # Errors
    /// 503 if the import must stop: uncommitted work is then rolled back.
    fn count(&self, step: Step, rows: usize) -> Result<()> {
        if let Some(run) = &self.run {
            run.progress().done(step as usize, rows as i64);
        }
        self.check_running()
    }

    /// Fails if the import must stop: its job is stopped, or it is interrupted.
    fn check_running(&self) -> Result<()> {
        let run = self.run.as_ref();
        run.and_then(|run| run.stopped())
            .map_or(Ok(()), |_| Err(cancelled()))?;
        self.interrupt.interrupted.check()
    }

    /// The number of rows that a previous server of the job has processed, and its report. That server may have failed
    /// before it invalidated the cache, so this invalidates everything.
    async fn found(&self) -> Option<(u64, Report)> {
        let run = self.run.as_ref().filter(|run| run.rows_done > 0)?;
        self.store.cache.invalidate(&[Tag::epoch()]).await;
        Some((run.rows_done, Report::resume(run.report.clone())))
    }

    /// Records the progress of the job in the transaction of the write, for a server that takes the job over.
    async fn save_progress(&self, write: &mut Write, rows: u64, report: &Report) -> Result<()> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        // `save_rows_done` locks the row of the job, so write the log before it to keep that lock short.
        write.write_log().await?;
        run.save_rows_done(write.conn()?, rows, report.totals())
            .await
    }

    /// Ends the reading step. Its number of rows becomes the total of the writing step.
    fn is_read(&self) {
        if let Some(run) = &self.run {
            let mut progress = run.progress();
            let rows = progress.ended(Step::Reading as usize);
            progress.expect(Step::Writing as usize, rows);
        }
    }
}
