//! The key bindings, all in one table. It maps keys to commands. The help, the hints in the bottom line, the palette
//! and `docs/keys.md` are generated from it.

mod key;
mod map;
mod table;

use strum::EnumIter;

pub(crate) use self::map::sequence_text;
pub use self::{
    key::Key,
    map::{Bound, KeyMatch, Keymap, Keys},
    table::{BINDINGS, RENAMED},
};
use crate::model::tab::Tab;

/// What a key does. The details depend on the scope in which it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub enum Command {
    Quit,
    Suspend,
    Repaint,
    Help,
    Palette,
    Tab(Tab),
    NextTab,
    PreviousTab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Open,
    Back,
    Forward,
    New,
    Edit,
    Delete,
    Search,
    Filter,
    Sort,
    Export,
    Import,
    Mouse,
    Refresh,
    RefreshUncached,
    CancelJob,
    Archive,
    ArchiveOlder,
    Restore,
    Save,
    NextField,
    PreviousField,
    Left,
    Right,
    Toggle,
    Editor,
    AddLine,
    RemoveLine,
    Mark,
    MarkRange,
    MarkAll,
    Bulk,
    Goto,
    Count,
    Views,
    ColumnLeft,
    ColumnRight,
    ColumnSort,
    ColumnHide,
    ColumnsReset,
    ColumnEarlier,
    ColumnLater,
    ColumnNarrower,
    ColumnWider,
    CopyCell,
    CopyRow,
    CopyId,
    Undo,
    LogIn,
    Theirs,
    Mine,
    Yes,
    No,
}

/// The place in which a key is pressed. The same key can run a different command in each scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    List,
    Detail,
    Jobs,
    Partitions,
    Dashboard,
    Form,
    Picker,
    Menu,
    Confirm,
    /// A line of text to type, such as a search or the name of a view.
    Prompt,
    /// The input line for the name of an export file.
    File,
    /// The input line for the name of an import file.
    ImportFile,
    /// The preview of an import.
    Review,
    /// The outcome of an import or a bulk call.
    Report,
    Palette,
    /// An edit conflict side by side.
    Conflict,
    Help,
}

/// What must be true for a binding to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The client is not read-only, and the user's role allows writes.
    Changes,
    /// The user has the role of an administrator, and the client is not read-only.
    Administers,
    /// The form has order lines.
    Lines,
    /// At least one write can be undone.
    Undoable,
    /// Rows are marked.
    Marked,
}

#[derive(Debug)]
pub struct Binding {
    /// The name in `config.toml` and in the palette.
    pub name: &'static str,
    pub scopes: &'static [Scope],
    /// The default key sequences, in the notation of `config.toml`.
    pub keys: &'static [&'static str],
    pub command: Command,
    pub help: &'static str,
    /// The word for the bottom line; `None` if the key is not shown there.
    pub hint: Option<&'static str>,
    pub conditions: &'static [Condition],
    /// If set, the hint is shown only while this condition is true.
    pub hinted_when: Option<Condition>,
    /// Whether the key is a character although users type text in its scope. The key then works only in fields that do
    /// not contain text.
    pub works_outside_text: bool,
}

impl Scope {
    pub const ALL: &[Self] = &[
        Self::List,
        Self::Detail,
        Self::Jobs,
        Self::Partitions,
        Self::Dashboard,
        Self::Form,
        Self::Picker,
        Self::Menu,
        Self::Confirm,
        Self::Prompt,
        Self::File,
        Self::ImportFile,
        Self::Review,
        Self::Report,
        Self::Palette,
        Self::Conflict,
        Self::Help,
    ];

    /// The title of the scope in the help and in the documentation.
    pub const fn title(self) -> &'static str {
        match self {
            Self::List => "Lists",
            Self::Detail => "Details of a row",
            Self::Jobs => "Jobs",
            Self::Partitions => "Partitions",
            Self::Dashboard => "Dashboard",
            Self::Form => "Forms",
            Self::Picker => "Choosing a row",
            Self::Menu => "Menus",
            Self::Confirm => "Questions",
            Self::Prompt => "A prompt",
            Self::File => "Export to a file",
            Self::ImportFile => "Import from a file",
            Self::Review => "Preview of an import",
            Self::Report => "A report",
            Self::Palette => "The list of commands",
            Self::Conflict => "An edit conflict",
            Self::Help => "The help",
        }
    }

    /// Whether users type text in this scope, so that plain characters cannot be key bindings.
    pub const fn is_typed_into(self) -> bool {
        matches!(
            self,
            Self::Form
                | Self::Picker
                | Self::Prompt
                | Self::File
                | Self::ImportFile
                | Self::Palette
        )
    }
}

impl Binding {
    const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    const fn hint_when(mut self, hint: &'static str, condition: Condition) -> Self {
        self.hinted_when = Some(condition);
        self.hint(hint)
    }

    const fn when(mut self, conditions: &'static [Condition]) -> Self {
        self.conditions = conditions;
        self
    }

    const fn outside_text(mut self) -> Self {
        self.works_outside_text = true;
        self
    }
}

impl Condition {
    /// The error message if the key is pressed while the condition is false.
    pub const fn error(self) -> &'static str {
        match self {
            Self::Changes => "This client is read-only (--read-only).",
            Self::Administers => "This takes a token with the role admin.",
            Self::Marked => "No row is marked. Press space to mark one.",
            Self::Undoable => "There is nothing to undo.",
            Self::Lines => "Only orders have lines.",
        }
    }
}

/// The content of `docs/keys.md`.
pub fn markdown(map: &Keymap) -> String {
    let mut page = String::from(
        "# Keys\n\n\
        Printed by `stockroom keys --markdown` from the one table in `tui/src/settings/keys/table.rs`. Any key can be\n\
        changed in `config.toml` by the name of its line:\n\n\
        ```toml\n[keys]\ndelete = \"del\"\nlast = [\"end\", \"g e\"]\n```\n\n\
        A character is itself (`G` is shift-g); others are `enter`, `esc`, `space`, `tab`, `shift-tab`, `up`, `pgdn`,\n\
        `del`, `f5` and the like, with `ctrl-` or `alt-` before them; a blank stands between keys that are pressed one\n\
        after the other. `:` runs any command by its name.\n",
    );
    for scope in Scope::ALL {
        page.push_str(&format!(
            "\n## {}\n\n| keys | name | does |\n|---|---|---|\n",
            scope.title()
        ));
        for bound in map.bound(*scope) {
            let Binding { name, help, .. } = bound.binding;
            let keys = bound.all().replace('|', "\\|");
            page.push_str(&format!("| {keys} | `{name}` | {help} |\n"));
        }
    }
    page
}

/// The key bindings as plain text, one per line.
pub fn plain(map: &Keymap) -> String {
    let mut page = String::new();
    for scope in Scope::ALL {
        page.push_str(&format!("{}\n", scope.title()));
        for bound in map.bound(*scope) {
            let Binding { name, help, .. } = bound.binding;
            page.push_str(&format!("  {:16} {name:18} {help}\n", bound.all()));
        }
    }
    page
}
