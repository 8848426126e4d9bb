//! A file of rows on its way into the shop: which one, what it would do, and what it has done. The server
//! tries it first and undoes it again, so that one sees before anything is written.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stockroom_common::{bulk::ImportReport, format::Format};

use crate::{
    context::{Context, Wish},
    event::{Answer, Owner, Reply},
    input::Line,
    keys::Command,
};

/// The line in which the name of the file is typed.
#[derive(Debug)]
pub struct Ask {
    /// The resource, as in paths.
    pub resource: &'static str,
    pub line: Line,
}

/// A file that is sent to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub resource: String,
    pub file: String,
    format: Format,
    is_dry_run: bool,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Uploaded {
    pub upload: Upload,
    pub report: ImportReport,
}

/// What a file would do, or has done, with the rows that were refused.
#[derive(Debug)]
pub struct Review {
    pub uploaded: Uploaded,
    /// The first refused row that is seen.
    pub top: usize,
}

impl Upload {
    pub const fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }

    pub fn path(&self) -> String {
        let format = self.format;
        let dry_run = if self.is_dry_run { "&dry_run=true" } else { "" };
        // One at fault does not keep the others out: which ones those are was seen before.
        format!(
            "/v1/{}/import?format={format}&on_error=reject_failed{dry_run}",
            self.resource
        )
    }
}

impl Ask {
    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => {
                let file = self.line.text().trim().to_owned();
                let Some(format) = Format::of_file(Path::new(&file)) else {
                    return ctx.bad("The file's name must end in .csv or .ndjson; .gz may follow.");
                };
                ctx.wish(Wish::Close);
                ctx.good(format!("Nothing is written yet: looking through {file}."));
                ctx.upload(Upload {
                    resource: self.resource.into(),
                    file,
                    format,
                    is_dry_run: true,
                });
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

impl Review {
    /// Whether it is yet to be written.
    pub const fn is_preview(&self) -> bool {
        self.uploaded.upload.is_dry_run
    }

    /// Rows that would be, or were, written.
    pub fn changes(&self) -> u64 {
        self.uploaded.report.created + self.uploaded.report.updated
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let last = self.uploaded.report.refused.len().saturating_sub(1);
        match command {
            Command::Up => self.top = self.top.saturating_sub(1),
            Command::Down => self.top = (self.top + 1).min(last),
            Command::PageUp => self.top = self.top.saturating_sub(ctx.rows / 2),
            Command::PageDown => self.top = (self.top + ctx.rows / 2).min(last),
            Command::Yes => {
                ctx.wish(Wish::Close);
                if self.is_preview() && self.changes() > 0 {
                    let upload = Upload {
                        is_dry_run: false,
                        ..self.uploaded.upload.clone()
                    };
                    ctx.good(format!(
                        "Importing {}; you may go on meanwhile.",
                        upload.file
                    ));
                    ctx.upload(upload);
                }
            }
            Command::Back => ctx.wish(Wish::Close),
            _ => {}
        }
    }
}

/// Shows what has become of a file.
pub fn reply(reply: &Reply, ctx: &mut Context<'_>) {
    match reply.result.as_ref().map(Answer::read::<Uploaded>) {
        Ok(Ok(uploaded)) => {
            if !uploaded.upload.is_dry_run {
                ctx.wish(Wish::Expire);
            }
            ctx.wish(Wish::Review(Review { uploaded, top: 0 }));
        }
        Ok(Err(error)) => ctx.bad(error),
        Err(failure) => {
            // Some of its rows may be there all the same.
            ctx.wish(Wish::Expire);
            ctx.bad(failure.message());
        }
    }
}

impl Context<'_> {
    fn upload(&mut self, upload: Upload) {
        let ticket = self.ticket(Owner::Import);
        self.effects
            .push(crate::event::Effect::Upload { ticket, upload });
    }
}
