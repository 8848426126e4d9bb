//! `POST /v1/{r}/import`: the rows of a file, CSV or NDJSON, gzipped or not. The file is received first
//! and kept on disk, so that no slow caller ever holds a lock, and it can be read twice; memory does not
//! grow with it. [`apply`] writes its rows by all the rules, [`restore`] as they are into an empty shop.

pub(crate) mod apply;
pub(crate) mod file;
pub(crate) mod report;
pub(crate) mod restore;

use std::time::Duration;

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::Response,
};
use stockroom_common::{Kind, format::Format};
use tokio::sync::OwnedSemaphorePermit;

use self::{file::File, report::Report};
use crate::{
    bulk::take_on_error,
    crud::tell,
    entity::Entity,
    error::{Error, Result},
    export::parse_format,
    extract::Actor,
    list::{Parameters, unreadable},
    rows::OnError,
    state::AppState,
    write::detached,
};

/// How long a file waits while others are under way.
const TURN: Duration = Duration::from_secs(60);
/// What is said where imports and exports hold all the connections that they may.
pub(crate) const BUSY: &str =
    "As many imports and exports as may be are under way; try again when one has ended.";
/// The parameters that say what file it is and how much is told.
pub(crate) const PARAMETERS: &[&str] = &["dry_run", "report", "format"];

/// A file that was received, and what is to be done with it.
pub(crate) struct Import {
    pub(crate) state: AppState,
    pub(crate) actor: Actor,
    file: File,
    on_error: OnError,
    /// Whether all of it is undone in the end.
    pub(crate) is_dry_run: bool,
    wants_every_row: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Apply,
    Restore,
}

/// `POST /v1/{r}/import?mode&on_error&dry_run&report&format`
pub(crate) async fn import<E: Entity>(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let mut parameters = Parameters::read(&query.unwrap_or_default())?;
    let modes = [("apply", Mode::Apply), ("restore", Mode::Restore)];
    let mode = one_of(&mut parameters, "mode", &modes)?;
    let on_error = take_on_error(&mut parameters)?;
    if mode == Mode::Restore && on_error == OnError::RejectFailed {
        let message = "a shop is restored whole or not at all; leave it out";
        return Err(unreadable("on_error", "unknown_value", message));
    }
    parameters.refuse_rest(&[&["mode", "on_error"], PARAMETERS].concat())?;
    let import = Import {
        on_error,
        ..Import::receive(state, actor, parameters, &headers, body).await?
    };
    let (report, done) = detached(async move {
        let _permit = turn(&import.state).await?;
        match mode {
            Mode::Apply => apply::apply::<E>(&import).await,
            Mode::Restore => restore::restore::<E>(&import).await,
        }
    })
    .await?;
    Ok(tell(done, report.respond()?))
}

/// The right to hold a connection for long, which exports and imports share. The file is here already,
/// so it waits for its turn.
pub(crate) async fn turn(state: &AppState) -> Result<OwnedSemaphorePermit> {
    let turn = state.transfers.clone().acquire_owned();
    match tokio::time::timeout(TURN, turn).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::refused(Kind::Unavailable, BUSY)),
    }
}

/// The format that the caller names, or that the type of the body tells.
fn take_format(parameters: &mut Parameters, headers: &HeaderMap) -> Result<Format> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    // A file that is gzipped shows that itself.
    if encoding.is_some_and(|value| value != "gzip" && value != "identity") {
        let detail = "The body may be gzipped, or not be encoded at all.";
        return Err(Error::refused(Kind::UnsupportedMediaType, detail));
    }
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

/// One of the values that a parameter may have, the first where it is absent.
fn one_of<T: Copy>(parameters: &mut Parameters, name: &str, known: &[(&str, T)]) -> Result<T> {
    let told = parameters.take(name);
    let found = match told.as_deref() {
        None => known.first(),
        Some(text) => known.iter().find(|(value, _)| *value == text),
    };
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(|(value, _)| *value).collect();
        let told = told.unwrap_or_default();
        let message = format!("is `{told}`; it may be {}", known.join(" or "));
        unreadable(name, "unknown_value", message)
    })
}

impl Import {
    /// Takes in a file that is loaded whole or not at all.
    pub(crate) async fn receive(
        state: AppState,
        actor: Actor,
        mut parameters: Parameters,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self> {
        let format = take_format(&mut parameters, headers)?;
        let is_dry_run = one_of(
            &mut parameters,
            "dry_run",
            &[("false", false), ("true", true)],
        )?;
        let reports = [("refused", false), ("rows", true)];
        let wants_every_row = one_of(&mut parameters, "report", &reports)?;
        let file = File::receive(&state, body, format).await?;
        Ok(Self {
            state,
            actor,
            file,
            on_error: OnError::RejectAll,
            is_dry_run,
            wants_every_row,
        })
    }

    pub(crate) fn report(&self) -> Result<Report> {
        Report::new(self.wants_every_row)
    }
}
