//! The one table of keys: it translates them, prints the help, the hints at the bottom, the palette and the
//! page in `docs`.

mod key;
mod map;
mod table;

use strum::EnumIter;

pub(crate) use self::map::words;
pub use self::{
    key::Key,
    map::{Bound, Found, Keymap, Keys},
    table::BINDINGS,
};

/// What a key means where it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub enum Command {
    Quit,
    Suspend,
    Repaint,
    Help,
    Palette,
    Tab(usize),
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
    Theirs,
    Mine,
    Yes,
    No,
}

/// Where keys are pressed; each has its own meaning for them.
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
    /// A line that is typed for the list.
    Prompt,
    /// The line in which the name of a file is typed.
    File,
    /// Likewise, of one that is read.
    ImportFile,
    /// What a file of rows would do.
    Review,
    /// What it has done.
    Report,
    Palette,
    /// An edit conflict side by side.
    Conflict,
    Help,
}

/// What must hold for a binding to mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The client may change the shop.
    Changes,
    /// The form has order lines.
    Lines,
    /// Something was done that can be taken back.
    Undoable,
    /// Rows are marked.
    Marked,
}

#[derive(Debug)]
pub struct Binding {
    /// By which `config.toml` and the palette call it.
    pub name: &'static str,
    pub scopes: &'static [Scope],
    /// Ways to press it, as `config.toml` would write them.
    pub keys: &'static [&'static str],
    pub command: Command,
    pub help: &'static str,
    /// A word for the line at the bottom; none for keys that everybody knows.
    pub hint: Option<&'static str>,
    pub conditions: &'static [Condition],
    /// When the hint is worth its room.
    pub hinted_when: Option<Condition>,
    /// Whether its key is a character although text is typed there: it means something in fields without
    /// text alone.
    pub is_between_letters: bool,
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

    /// What it is called in the documentation.
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

    /// Whether letters are text there.
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

    const fn between_letters(mut self) -> Self {
        self.is_between_letters = true;
        self
    }
}

impl Condition {
    /// Why a key does nothing where the condition does not hold.
    pub const fn complaint(self) -> &'static str {
        match self {
            Self::Changes => "This client is read-only (--read-only).",
            Self::Marked => "No row is marked. Press space to mark one.",
            Self::Undoable => "There is nothing to undo.",
            Self::Lines => "Only orders have lines.",
        }
    }
}

/// The page of the documentation about keys.
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

/// The keys in force, a line each.
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
