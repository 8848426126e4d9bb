//! What screens and dialogs ask the application to do.

use serde_json::Value;
use stockroom_common::{Secret, job::Job};
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
    /// Closes the picker and passes the chosen row to the form below it.
    Picked {
        id: Uuid,
        label: String,
    },
    /// Changes the search of the current list. The next three change its position, its sort order and its filters.
    SearchFor(String),
    GoTo(String),
    SortBy(String),
    FilterBy(Vec<Chip>),
    Views(ViewRequest),
    /// Saves the layout of the lists.
    Remember,
    Bulk(Box<Bulk>),
    /// Undoes the last write.
    Undo,
    ClearMarks(Tab),
    ExportRows(Tab, Vec<Uuid>),
    Delete(Box<Deletion>),
    /// Sends the seed form again after the user has confirmed it, for a shop in which people have written rows.
    SeedAnyway,
    /// Runs the partition action that was just confirmed.
    RunPartitionAction,
    StartJob(StartJob),
    /// The server has queued a job.
    JobStarted(Box<Job>, OnComplete),
    /// Saves the export of a job to this file.
    SaveExport(Uuid, String),
    /// A row was written. Lists reload, and the known name of the row is dropped. `row` is `None` after a deletion.
    Written {
        tab: Tab,
        row: Option<Value>,
        message: String,
        undo: Option<Undo>,
    },
    /// A form has created a row. If a picker is open below the form, it chooses this row.
    TakeCreated {
        tab: Tab,
        row: Value,
    },
    /// Anything may have changed. Each list reloads when it is next shown.
    Expire,
    /// Closes the form and all dialogs above it.
    CloseForm,
    FollowLink(Target),
    /// Returns to the place where a link was followed.
    GoBack,
    /// Runs a command as if its key had been pressed.
    Run(Command),
    LogIn(Secret),
    Show(Toast),
    Quit,
}

/// A request about the saved views of a list.
#[derive(Debug)]
pub enum ViewRequest {
    Menu(Tab),
    AskName,
    Save(String),
    Show(Box<Query>),
    Delete(Tab, usize),
}

/// A dialog to open, as plain data. The application creates the component from it.
#[derive(Debug)]
pub enum Dialog {
    Form(FormSpec),
    Picker {
        tab: Tab,
        filter: PickerFilter,
        /// The initial text of the search line.
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
        /// The path and query to export from, without the format.
        path: String,
        /// The marked rows; `None` to export all rows of the query.
        ids: Option<Vec<Uuid>>,
        file: String,
    },
    Import {
        /// The resource name in URL paths.
        resource: &'static str,
    },
    /// The preview or the outcome of an import.
    ImportReview(Box<Job>),
    /// The rows that a bulk call did not write.
    BulkOutcome {
        title: String,
        /// The label of each refused row, with the reason.
        refused: Vec<(String, String)>,
    },
}

/// Which rows a picker offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickerFilter {
    All,
    /// Only active products: others cannot be ordered.
    Orderable,
}

/// A choice from a few items.
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
    /// What the delete key does with the item, if anything.
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

/// A question before an action that is hard to undo.
#[derive(Debug)]
pub struct Confirm {
    pub question: String,
    /// What will and will not happen.
    pub consequence: String,
    /// The text that the user must type to confirm, for actions where a single key is pressed too easily.
    pub typed: Option<String>,
    pub on_yes: Request,
}

/// What the text of a prompt is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptPurpose {
    Search,
    /// The value of the sort key to go to.
    GoTo,
    /// The name of a view.
    SaveView,
    /// The file name for the export of a job.
    SaveExport(Uuid),
    /// The token for the server.
    Token,
}

/// A message about what just happened. It stays until the next key press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toast {
    Info(String),
    Error(String),
}
