//! What screens and dialogs ask the application to do, as plain data.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use stockroom_common::{document, format::Format};
use uuid::Uuid;

use crate::model::tab::Tab;

/// A row as the screen showed it when the user chose to change or delete it.
#[derive(Clone, Debug)]
pub struct RowSnapshot {
    pub label: String,
    pub version: i64,
    pub document: Value,
}

/// A row to delete, with the data that is needed to create it again.
#[derive(Clone, Debug)]
pub struct Deletion {
    pub tab: Tab,
    pub id: Uuid,
    pub row: RowSnapshot,
}

/// One change to many rows, sent in one call.
#[derive(Clone, Debug)]
pub struct Bulk {
    pub tab: Tab,
    pub action: BulkAction,
    pub rows: BTreeMap<Uuid, RowSnapshot>,
}

#[derive(Clone, Debug)]
pub enum BulkAction {
    /// Sets these fields to these values.
    Change(Value),
    Delete,
}

impl Bulk {
    /// The rows in the form that the API expects. Each carries its version, so that the server refuses a row that
    /// somebody else has changed since.
    pub fn body(&self) -> Value {
        let rows = self.rows.iter().map(|(id, row)| {
            let mut sent = json!({"id": id, "version": row.version});
            if let BulkAction::Change(fields) = &self.action {
                document::merge(&mut sent, fields.clone());
            }
            sent
        });
        rows.collect()
    }

    pub fn path(&self) -> String {
        let call = match self.action {
            BulkAction::Change(_) => "bulk",
            BulkAction::Delete => "bulk-delete",
        };
        format!("/v1/{}/{call}?on_error=reject_failed", self.tab.path())
    }
}

/// A job to add to the server's queue.
#[derive(Clone, Debug)]
pub struct StartJob {
    pub path: String,
    pub body: Option<Value>,
    pub on_complete: OnComplete,
}

/// What the client does when a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnComplete {
    /// Shows a message.
    Notify,
    /// Shows a dialog with the outcome of an import, including the refused rows.
    Review,
    /// Saves the export to this file.
    Save(String),
}

/// A file to upload for import. The server does a dry run first, which writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub file: String,
    /// Includes the query string.
    pub path: String,
}

impl Upload {
    pub fn new(resource: &str, file: String, format: Format) -> Self {
        let name = Path::new(&file).file_name().unwrap_or_default();
        let pairs = [
            ("format", format.to_string()),
            // Import the valid rows even if others are refused; the dry run shows which ones would be.
            ("on_error", "reject_failed".into()),
            ("dry_run", "true".into()),
            ("name", name.to_string_lossy().into_owned()),
        ];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        let path = format!("/v1/{resource}/import?{query}");
        Self { file, path }
    }
}
