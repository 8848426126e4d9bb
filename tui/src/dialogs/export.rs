//! The prompt for the file to which a list is exported.

use std::path::Path;

use stockroom_common::{document, job::NamedRows};
use uuid::Uuid;

use crate::{
    dialogs::line::Line,
    messages::{context::Context, request::Request},
    model::{
        intent::{OnComplete, StartJob},
        paths,
    },
    settings::keys::Command,
};

#[derive(Debug)]
pub struct ExportPrompt {
    /// The path and query to export from, without a format.
    path: String,
    /// The marked rows; none to export the whole list.
    ids: Option<Vec<Uuid>>,
    pub line: Line,
}

impl ExportPrompt {
    pub fn new(path: String, ids: Option<Vec<Uuid>>, file: String) -> Self {
        let line = Line::new(file);
        Self { path, ids, line }
    }

    pub fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::Open => self.start(ctx),
            Command::Back => ctx.request(Request::Close),
            _ => {}
        }
    }

    fn start(&mut self, ctx: &mut Context<'_>) {
        let file = paths::absolute_path(self.line.text());
        let format = match file.rsplit_once('.') {
            Some((name, "csv")) if !name.is_empty() => "csv",
            Some((name, "ndjson" | "jsonl")) if !name.is_empty() => "ndjson",
            _ => return ctx.error("End the file name in .csv or .ndjson."),
        };
        let name = Path::new(&file).file_name().unwrap_or_default();
        let pairs = [("format", format), ("name", &name.to_string_lossy())];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        let ids = self.ids.take();
        ctx.request(Request::Close);
        ctx.request(Request::StartJob(StartJob {
            path: format!("{}{query}", self.path),
            body: ids.map(|ids| document::to_value(&NamedRows { ids })),
            on_complete: OnComplete::Save(file),
        }));
    }
}
