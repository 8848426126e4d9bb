//! The import of a file: a prompt for the file, then a review of what it would do, then of what it has done. The file
//! is uploaded once, as a job. The server first runs the import and rolls it back, so that the user sees the outcome
//! before anything is written. On confirmation it applies the file that it already has.

use std::path::Path;

use stockroom_common::{format::Format, job::Job};

use crate::{
    dialogs::line::Line,
    messages::{
        call::{Answer, Owner, Reply},
        context::Context,
        event::Effect,
        request::Request,
    },
    model::{
        intent::{OnComplete, StartJob, Upload},
        paths, text,
    },
    settings::keys::Command,
};

/// The prompt for the file name.
#[derive(Debug)]
pub struct ImportPrompt {
    /// The resource, as it appears in the API's paths.
    pub resource: &'static str,
    pub line: Line,
}

/// What a file would do, or has done, with the refused rows.
#[derive(Debug)]
pub struct ImportReview {
    pub job: Box<Job>,
    /// Index of the first refused row on the screen.
    pub top: usize,
}

impl ImportPrompt {
    pub fn new(resource: &'static str) -> Self {
        let line = Line::default();
        Self { resource, line }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => self.upload(ctx),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }

    fn upload(&self, ctx: &mut Context<'_>) {
        let file = paths::absolute_path(self.line.text());
        let Some(format) = Format::of_file(Path::new(&file)) else {
            return ctx.error("The file name must end in .csv or .ndjson; .gz may follow.");
        };
        ctx.request(Request::Close);
        let name = Path::new(&file).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        ctx.info(format!("Nothing is written yet: checking {name}."));
        let ticket = ctx.ticket(Owner::Import);
        let upload = Upload::new(self.resource, file, format);
        ctx.effects.push(Effect::Upload { ticket, upload });
    }
}

impl ImportReview {
    pub const fn new(job: Box<Job>) -> Self {
        Self { job, top: 0 }
    }

    /// Whether nothing is written yet and the import can be applied.
    pub fn is_preview(&self) -> bool {
        self.job.can_be_applied()
    }

    /// How many rows would be, or were, created or updated.
    pub fn changes(&self) -> u64 {
        let report = self.job.report.as_ref();
        report.map_or(0, |report| report.created + report.updated)
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let report = self.job.report.as_ref();
        let last = report.map_or(0, |report| report.refused.len().saturating_sub(1));
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(last),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows / 2),
            Command::PageDown => self.top = (self.top + ctx.rows / 2).min(last),
            Command::Yes => {
                ctx.request(Request::Close);
                if self.is_preview() && self.changes() > 0 {
                    ctx.info("Importing in the background.");
                    ctx.request(Request::StartJob(StartJob {
                        path: format!("/v1/jobs/{}/apply", self.job.id),
                        body: None,
                        on_complete: OnComplete::Review,
                    }));
                }
            }
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }
}

/// Handles the reply to the upload.
pub fn uploaded(reply: &Reply, ctx: &mut Context<'_>) {
    match reply.result.as_ref().map(Answer::read::<Job>) {
        Ok(Ok(job)) => ctx.request(Request::JobStarted(Box::new(job), OnComplete::Review)),
        Ok(Err(error)) => ctx.error(error),
        Err(failure) => {
            let reason = text::sentence(failure.message());
            ctx.error(format!("{reason} Nothing was written."));
        }
    }
}
