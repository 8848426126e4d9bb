//! A file of rows on its way into the shop: which one, what it would do, and what it has done. It is sent
//! once, as a job; the server tries it first and undoes it again, so that one sees before anything is
//! written, and then does it for good with the file that it has.

use std::path::Path;

use stockroom_common::{format::Format, job::Job};

use crate::{
    dialogs::{line::Line, overlay::whole_path},
    messages::{
        context::{Context, Wish},
        event::{Answer, Effect, Owner, Reply},
    },
    model::text,
    screens::jobs::{Begin, Then},
    settings::keys::Command,
};

/// The line in which the name of the file is typed.
#[derive(Debug)]
pub struct Ask {
    /// The resource, as in paths.
    pub resource: &'static str,
    pub line: Line,
}

/// A file that is sent to the server, to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub file: String,
    /// With its query.
    pub path: String,
}

/// What a file would do, or has done, with the rows that were refused.
#[derive(Debug)]
pub struct Review {
    pub job: Box<Job>,
    /// The first refused row that is seen.
    pub top: usize,
}

impl Upload {
    fn new(resource: &str, file: String, format: Format) -> Self {
        let name = Path::new(&file).file_name().unwrap_or_default();
        let pairs = [
            ("format", format.to_string()),
            // One at fault does not keep the others out: which ones those are is seen before.
            ("on_error", "reject_failed".into()),
            ("dry_run", "true".into()),
            ("name", name.to_string_lossy().into_owned()),
        ];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        let path = format!("/v1/{resource}/import?{query}");
        Self { file, path }
    }
}

impl Ask {
    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                let file = whole_path(self.line.text());
                let Some(format) = Format::of_file(Path::new(&file)) else {
                    return ctx.bad("The file's name must end in .csv or .ndjson; .gz may follow.");
                };
                ctx.wish(Wish::Close);
                let name = Path::new(&file).file_name().unwrap_or_default();
                let name = name.to_string_lossy();
                ctx.good(format!("Nothing is written yet: looking through {name}."));
                let ticket = ctx.ticket(Owner::Import);
                let upload = Upload::new(self.resource, file, format);
                ctx.effects.push(Effect::Upload { ticket, upload });
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

impl Review {
    /// Whether it is yet to be written.
    pub fn is_preview(&self) -> bool {
        self.job.can_be_applied()
    }

    /// Rows that would be, or were, written.
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
                ctx.wish(Wish::Close);
                if self.is_preview() && self.changes() > 0 {
                    ctx.good("Importing it; you may go on meanwhile, or leave.");
                    ctx.wish(Wish::Begin(Begin {
                        path: format!("/v1/jobs/{}/apply", self.job.id),
                        body: None,
                        then: Then::Review,
                    }));
                }
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// The server has the file, or has not.
pub fn reply(reply: &Reply, ctx: &mut Context<'_>) {
    match reply.result.as_ref().map(Answer::read::<Job>) {
        Ok(Ok(job)) => ctx.wish(Wish::Begun(Box::new(job), Then::Review)),
        Ok(Err(error)) => ctx.bad(error),
        Err(failure) => ctx.bad(format!(
            "{} Nothing was written.",
            text::sentence(failure.message())
        )),
    }
}
