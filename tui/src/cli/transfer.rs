//! Lists as files: export and import.

use crate::{
    cli::{
        output::{eprint_line, unusable, write_out},
        shop::Shop,
    },
    io::api,
    messages::call::Failure,
    model::{
        entity::Entity,
        text::{self},
    },
};
use std::path::Path;
use stockroom_common::{bulk::ImportReport, document, format::Format, job::Job};

pub(crate) async fn export<R: Entity>(
    shop: &Shop,
    file: &Path,
    mut pairs: Vec<(String, String)>,
    format: Option<Format>,
) -> Result<(), Failure> {
    let is_stdout = file == Path::new("-");
    let named = format.or_else(|| Format::of_file(file));
    let format = match (named, is_stdout) {
        (Some(format), _) => format,
        (None, true) => Format::Csv,
        (None, false) => {
            let message = format!("{}: end the name in .csv or .ndjson.", file.display());
            return Err(unusable(message));
        }
    };
    pairs.push(("format".into(), format.to_string()));
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let http = shop.http().await?;
    let path = format!("/v1/{}/export?{query}", R::PATH);
    if is_stdout {
        return api::download_to(&http, &path, tokio::io::stdout())
            .await
            .map(|_| ());
    }
    let name = file.display().to_string();
    let written = api::download(&http, &path, name).await?;
    let written: crate::messages::call::Written = written.read().map_err(Failure::NoAnswer)?;
    eprint_line(&format!("{}: {}", written.file, text::bytes(written.bytes)));
    Ok(())
}

pub(crate) async fn import<R: Entity>(
    shop: &Shop,
    (file, format): (&Path, Option<Format>),
    mut pairs: Vec<(&'static str, &str)>,
    json: bool,
) -> Result<(), Failure> {
    let is_stdin = file == Path::new("-");
    let format = match (format.or_else(|| Format::of_file(file)), is_stdin) {
        (Some(format), _) => format,
        (None, true) => Format::Csv,
        (None, false) => {
            let message = format!(
                "{}: the name must end in .csv or .ndjson; .gz may follow.",
                file.display()
            );
            return Err(unusable(message));
        }
    };
    pairs.push(("format", format.as_str()));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    pairs.push(("name", &name));
    let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
    let http = shop.http().await?;
    let path = format!("/v1/{}/import?{query}", R::PATH);
    let answer = api::upload_file(&http, &path, &file.display().to_string()).await?;
    let job: Job = answer.read().map_err(Failure::NoAnswer)?;
    let job = shop.finish_job(&job).await?;
    let can_be_applied = job.can_be_applied();
    let report = job.report.unwrap_or_default();
    if json {
        write_out(&document::to_value(&report).to_string())?;
    }
    for row in &report.refused {
        let why = row
            .row
            .problem
            .as_ref()
            .map(|problem| problem.detail.as_str());
        eprint_line(&format!("line {}: {}", row.line, why.unwrap_or_default()));
    }
    let mut message = format!("{}.", counts(&report));
    if can_be_applied && report.created + report.updated > 0 {
        message.push_str(&format!(
            " Nothing is written yet; run: stockroom jobs apply {}",
            job.id
        ));
    }
    match report.failed {
        0 => {
            eprint_line(&message);
            Ok(())
        }
        _ => Err(unusable(message)),
    }
}

/// Formats the counts of an import: `3 new, 1 changed, 0 unchanged, 2 refused`.
pub(crate) fn counts(report: &ImportReport) -> String {
    format!(
        "{} new, {} changed, {} unchanged, {} refused",
        report.created, report.updated, report.unchanged, report.failed
    )
}
