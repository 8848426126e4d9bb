//! `POST /v1/{r}/import`: the rows of a file, CSV or NDJSON, gzipped or not. The file is received first
//! and kept on disk, so that no slow caller ever holds a lock, and it can be read twice; memory does not
//! grow with it. [`apply`] writes its rows by all the rules, [`restore`] as they are into an empty shop.

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
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::Response,
};
use stockroom_common::{
    Kind,
    bulk::OnError,
    format::Format,
    job::{ImportMode, ImportRequest},
};
use tokio::sync::OwnedSemaphorePermit;

use self::{file::File, receive::receive, report::Report};
use crate::{
    http::{
        error::{Error, Result},
        extract::{Actor, is_gzipped},
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

/// How long a file waits while others are under way.
const TURN: Duration = Duration::from_secs(60);
/// The parameters that say what file it is and how much is told.
pub(crate) const PARAMETERS: &[&str] = &["dry_run", "report", "format"];

/// What is to be done with a file.
pub(crate) struct ImportParams {
    pub(crate) request: ImportRequest,
    wants_every_row: bool,
}

/// A file that was received, and what is to be done with it.
pub(crate) struct Import {
    pub(crate) store: Store,
    pub(crate) actor: Actor,
    pub(crate) request: ImportRequest,
    file: File,
    interrupt: Interrupt,
    wants_every_row: bool,
    /// The job that does it; none where its caller waits for the answer.
    run: Option<Arc<Run>>,
}

/// The steps of an import. All of a file is read before anything of it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reading,
    Writing,
}

/// `POST /v1/{r}/import?mode&on_error&dry_run&report&format&name`
pub(crate) async fn import<E: Entity>(
    State(store): State<Store>,
    RawQuery(query): RawQuery,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut parameters = Parameters::read(&query.unwrap_or_default())?;
    let modes = [
        ("apply", ImportMode::Apply),
        ("restore", ImportMode::Restore),
    ];
    let mode = parameters.one_of("mode", &modes)?;
    let on_error = take_on_error(&mut parameters)?;
    if mode == ImportMode::Restore && on_error == OnError::RejectFailed {
        let message = "a shop is restored whole or not at all; leave it out";
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

/// The right to hold a connection for long, which exports and imports share. The file is here already,
/// so it waits for its turn.
pub(crate) async fn turn(store: &Store) -> Result<OwnedSemaphorePermit> {
    let turn = store.transfers.clone().acquire_owned();
    match tokio::time::timeout(TURN, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::refused(Kind::Unavailable, BUSY)),
    }
}

/// The format that the caller names, or that the type of the body tells.
fn take_format(parameters: &mut Parameters, headers: &HeaderMap) -> Result<Format> {
    // Whether it is gzipped the file shows itself.
    is_gzipped(headers)?;
    if let Some(format) = parameters.take("format") {
        return parse_format(&format);
    }
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    media_type.and_then(Format::of_media_type).ok_or_else(|| {
        let detail = "Send the file as `Content-Type: text/csv` or `application/x-ndjson`, or say \
            `format=csv` or `format=ndjson`.";
        Error::refused(Kind::UnsupportedMediaType, detail)
    })
}

/// What ends an import that is to stop; nobody is told of it.
fn cancelled() -> Error {
    Error::refused(Kind::Unavailable, "The job is to stop.")
}

impl ImportParams {
    /// Reads what every import may be asked for with; it is loaded whole or not at all.
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

    /// Begins a step, perhaps once more.
    fn begin(&self, step: Step) {
        if let Some(run) = &self.run {
            run.progress().restart(step as usize);
        }
    }

    /// Tells that so many more rows are through a step.
    ///
    /// # Errors
    /// 503 where the job is to stop: what is not committed is given up.
    fn count(&self, step: Step, rows: usize) -> Result<()> {
        if let Some(run) = &self.run {
            run.progress().done(step as usize, rows as i64);
        }
        self.check_running()
    }

    /// Refuses to go on where nobody wants it any more.
    fn check_running(&self) -> Result<()> {
        let run = self.run.as_ref();
        run.and_then(|run| run.stopped())
            .map_or(Ok(()), |_| Err(cancelled()))?;
        self.interrupt.interrupted.check()
    }

    /// How many rows a server has seen to that had the job before, and its report. It may not have come to
    /// end what is cached.
    async fn found(&self) -> Option<(u64, Report)> {
        let run = self.run.as_ref().filter(|run| run.rows_done > 0)?;
        self.store.cache.invalidate(&[Tag::epoch()]).await;
        Some((run.rows_done, Report::resume(run.report.clone())))
    }

    /// Writes down in the write's own transaction what it does, for whoever takes the job over.
    async fn mark(&self, write: &mut Write, rows: u64, report: &Report) -> Result<()> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        // From here on the row of the job is locked, which is not to last.
        write.write_log().await?;
        run.mark(write.conn().await?, rows, report.totals()).await
    }

    /// All rows are read: so many are to be written.
    fn is_read(&self) {
        if let Some(run) = &self.run {
            let mut progress = run.progress();
            let rows = progress.ended(Step::Reading as usize);
            progress.expect(Step::Writing as usize, rows);
        }
    }
}
