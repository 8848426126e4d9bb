//! What screens and dialogs ask of the application.

use serde_json::Value;
use stockroom_common::job::Job;
use uuid::Uuid;

use crate::{
    model::{
        entity::Target,
        form_spec::FormSpec,
        intent::{Bulk, Deletion, OnComplete, StartJob},
        query::{Chip, Query},
        tab::Tab,
        undo::Undo,
    },
    settings::keys::Command,
};

#[derive(Debug)]
pub enum Request {
    Open(Box<Dialog>),
    /// Closes the topmost dialog.
    Close,
    /// Closes the picker and hands the chosen row to the form below it.
    Picked {
        id: Uuid,
        label: String,
    },
    /// Changes the query of the list that is shown.
    SearchFor(String),
    GoTo(String),
    SortBy(String),
    FilterBy(Vec<Chip>),
    Views(ViewRequest),
    /// Saves how the lists are arranged.
    Remember,
    Bulk(Box<Bulk>),
    /// Undoes the last write.
    Undo,
    ClearMarks(Tab),
    ExportRows(Tab, Vec<Uuid>),
    Delete(Box<Deletion>),
    /// Sends the seed form again, for a shop in which people have written rows.
    SeedAnyway,
    /// Runs the action on partitions that was just confirmed.
    RunPartitionAction,
    StartJob(StartJob),
    /// A job is in the server's queue now.
    JobStarted(Box<Job>, OnComplete),
    /// Saves the export of a job under that name.
    SaveExport(Uuid, String),
    /// A row was written: lists read again, and its name is dropped. No row where it was deleted.
    Written {
        tab: Tab,
        row: Option<Value>,
        message: String,
        undo: Option<Undo>,
    },
    /// A form has created a row: a picker below it takes the row as the choice.
    TakeCreated {
        tab: Tab,
        row: Value,
    },
    /// Anything may have changed: every list reads again when it is next shown.
    Expire,
    /// Closes the form, and whatever lies over it.
    CloseForm,
    FollowLink(Target),
    /// Returns to where a link was followed from.
    GoBack,
    /// Runs a command where keys go now.
    Run(Command),
    Show(Toast),
    Quit,
}

/// What the saved views of a list are asked for.
#[derive(Debug)]
pub enum ViewRequest {
    Menu(Tab),
    AskName,
    Save(String),
    Show(Box<Query>),
    Delete(Tab, usize),
}

/// A dialog to open, as plain data: the application makes the component of it.
#[derive(Debug)]
pub enum Dialog {
    Form(FormSpec),
    Picker {
        tab: Tab,
        filter: PickerFilter,
        /// What the search line starts with.
        search: String,
    },
    Menu(Menu),
    Confirm(Confirm),
    Prompt {
        title: String,
        text: String,
        purpose: PromptPurpose,
    },
    Export {
        /// The path and query to export from, without a format.
        path: String,
        /// The rows, where they are marked ones.
        ids: Option<Vec<Uuid>>,
        file: String,
    },
    Import {
        /// The resource, as in paths.
        resource: &'static str,
    },
    /// What a file would do, or has done.
    ImportReview(Box<Job>),
    /// What a bulk call did not do.
    BulkOutcome {
        title: String,
        /// Rows that were refused, each with the reason.
        refused: Vec<(String, String)>,
    },
}

/// Which rows a picker offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickerFilter {
    All,
    /// Products that can be ordered: the active ones.
    Orderable,
}

/// A choice among a few lines.
#[derive(Debug)]
pub struct Menu {
    pub title: String,
    pub items: Vec<MenuItem>,
    pub selected: usize,
}

#[derive(Debug)]
pub struct MenuItem {
    pub label: String,
    pub on_select: Request,
    /// What the delete key does to it, if anything.
    pub on_delete: Option<Request>,
}

impl MenuItem {
    pub fn new(label: impl Into<String>, on_select: Request) -> Self {
        Self {
            label: label.into(),
            on_select,
            on_delete: None,
        }
    }
}

/// A question before something that is hard to take back.
#[derive(Debug)]
pub struct Confirm {
    pub question: String,
    /// What will and will not happen.
    pub consequence: String,
    /// What has to be typed for a yes, where one key is pressed too easily.
    pub typed: Option<String>,
    pub on_yes: Request,
}

/// What happens to the text of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptPurpose {
    Search,
    /// Goes to a value of the key that the list is sorted by.
    GoTo,
    /// Names a view.
    SaveView,
    /// Names the file for the export of a job.
    SaveExport(Uuid),
}

/// A line about what just happened; it stays until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toast {
    Info(String),
    Error(String),
}
