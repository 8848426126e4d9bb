//! All key bindings of the client, as data. The help, the hints in the bottom line, the palette and `docs/keys.md` are
//! generated from it. In each scope a key sequence has at most one binding; a test checks this.

use super::{
    Binding, Command as C,
    Condition::{Administers, Changes, Lines, Marked, Undoable},
    Scope::{
        self, Confirm, Conflict, Dashboard, Detail, File, Form, Help, ImportFile, Jobs, List, Menu,
        Palette, Partitions, Picker, Prompt, Report, Review,
    },
};
use crate::model::tab::Tab;

const TABS: &[Scope] = &[List, Detail, Jobs, Partitions, Dashboard];
const ROWS: &[Scope] = &[List, Jobs, Partitions];
const PAGES: &[Scope] = &[
    List, Detail, Jobs, Partitions, Dashboard, Review, Report, Help,
];
const LINES: &[Scope] = &[Detail, Dashboard, Menu, Review, Report, Conflict, Help];
const TYPED: &[Scope] = &[Picker, Palette];
const ONE_ROW: &[Scope] = &[List, Detail];
const LEFT_BY_ESC: &[Scope] = &[
    Detail, Form, Picker, Menu, Prompt, File, ImportFile, Review, Report, Palette, Conflict, Help,
];

/// Former names of bindings, which a `config.toml` may still use, with their present names.
pub const RENAMED: &[(&str, &str)] = &[
    ("import-look", "import-preview"),
    ("refresh-past", "refresh-uncached"),
];

pub const BINDINGS: &[Binding] = &[
    on(TABS, "help", &["?", "f1"], C::Help, "Show this help").hint("help"),
    on(
        TABS,
        "palette",
        &[":"],
        C::Palette,
        "Find a command by name",
    )
    .hint("commands"),
    on(
        &[List, Jobs, Partitions, Dashboard],
        "quit",
        &["q"],
        C::Quit,
        "Leave",
    )
    .hint("quit"),
    on(ROWS, "row-up", &["up", "k"], C::Up, "Move up"),
    on(ROWS, "row-down", &["down", "j"], C::Down, "Move down"),
    on(LINES, "line-up", &["up", "k"], C::Up, "Up"),
    on(LINES, "line-down", &["down", "j"], C::Down, "Down"),
    on(TYPED, "choice-up", &["up"], C::Up, "Up"),
    on(TYPED, "choice-down", &["down"], C::Down, "Down"),
    on(PAGES, "page-up", &["pgup"], C::PageUp, "Page up"),
    on(PAGES, "page-down", &["pgdn"], C::PageDown, "Page down"),
    on(
        ROWS,
        "first",
        &["home", "g"],
        C::Home,
        "Go to the first row",
    ),
    on(ROWS, "last", &["end", "G"], C::End, "Go to the last row"),
    on(
        &[List],
        "bulk",
        &["b"],
        C::Bulk,
        "Change the marked rows, or this one",
    )
    .hint_when("with marked", Marked),
    on(&[List], "open", &["enter"], C::Open, "Show details").hint("open"),
    on(&[Detail], "follow", &["enter"], C::Open, "Follow the link").hint("follow"),
    on(ONE_ROW, "new", &["n"], C::New, "Create a row")
        .hint("new")
        .when(&[Changes]),
    on(ONE_ROW, "edit", &["e"], C::Edit, "Edit the row")
        .hint("edit")
        .when(&[Changes]),
    on(ONE_ROW, "delete", &["d"], C::Delete, "Delete the row")
        .hint("delete")
        .when(&[Changes]),
    on(ONE_ROW, "undo", &["u"], C::Undo, "Undo the last change").when(&[Changes, Undoable]),
    on(&[List], "search", &["/"], C::Search, "Search").hint("search"),
    on(&[List], "filter", &["f"], C::Filter, "Filter").hint("filter"),
    on(&[List], "sort", &["s"], C::Sort, "Sort the rows").hint("sort"),
    on(
        &[List],
        "go-to",
        &["t"],
        C::Goto,
        "Go to a date, or to a value of the sort key",
    )
    .hint("go to"),
    on(
        &[List],
        "count",
        &["#"],
        C::Count,
        "Count exactly, or stop counting",
    ),
    on(
        &[List],
        "views",
        &["w"],
        C::Views,
        "Open, save and delete views (searches, filters, sorts)",
    ),
    on(
        &[List],
        "mark",
        &["space"],
        C::Mark,
        "Mark or unmark the row",
    )
    .hint("mark"),
    on(
        &[List],
        "mark-range",
        &["v"],
        C::MarkRange,
        "Mark from the last marked row to this one",
    ),
    on(
        &[List],
        "mark-all",
        &["ctrl-a"],
        C::MarkAll,
        "Mark all loaded rows",
    ),
    on(
        &[List],
        "column-left",
        &["left", "h"],
        C::ColumnLeft,
        "Select the previous column",
    ),
    on(
        &[List],
        "column-right",
        &["right", "l"],
        C::ColumnRight,
        "Select the next column",
    ),
    on(
        &[List],
        "column-sort",
        &["S"],
        C::ColumnSort,
        "Sort by the column, or reverse",
    ),
    on(
        &[List],
        "column-hide",
        &["-"],
        C::ColumnHide,
        "Hide the column",
    ),
    on(
        &[List],
        "columns-reset",
        &["+"],
        C::ColumnsReset,
        "Reset all columns",
    ),
    on(
        &[List],
        "column-earlier",
        &["<"],
        C::ColumnEarlier,
        "Move the column left",
    ),
    on(
        &[List],
        "column-later",
        &[">"],
        C::ColumnLater,
        "Move the column right",
    ),
    on(
        &[List],
        "column-narrower",
        &["["],
        C::ColumnNarrower,
        "Make the column narrower",
    ),
    on(
        &[List],
        "column-wider",
        &["]"],
        C::ColumnWider,
        "Make the column wider",
    ),
    on(ONE_ROW, "copy-cell", &["y c"], C::CopyCell, "Copy the cell"),
    on(ONE_ROW, "copy-row", &["y y"], C::CopyRow, "Copy the row"),
    on(ONE_ROW, "copy-id", &["y i"], C::CopyId, "Copy the id"),
    on(
        &[Menu],
        "menu-delete",
        &["d"],
        C::Delete,
        "Delete the saved view",
    ),
    on(
        &[List],
        "export",
        &["x"],
        C::Export,
        "Export the list to a file",
    ),
    on(
        &[List],
        "import",
        &["i"],
        C::Import,
        "Import rows from a file",
    )
    .when(&[Changes]),
    on(
        TABS,
        "mouse",
        &["f2"],
        C::Mouse,
        "Let the terminal or Stockroom use the mouse",
    ),
    on(TABS, "refresh", &["r"], C::Refresh, "Refresh"),
    on(
        ONE_ROW,
        "refresh-uncached",
        &["R"],
        C::RefreshUncached,
        "Refresh from the database, not the cache",
    ),
    on(
        &[Jobs],
        "job-open",
        &["enter"],
        C::Open,
        "Show the outcome; save an export, apply an import",
    )
    .hint("open"),
    on(
        &[Jobs],
        "job-seed",
        &["n"],
        C::New,
        "Fill the shop with test data",
    )
    .hint("seed")
    .when(&[Administers]),
    on(
        &[Jobs],
        "job-cancel",
        &["c"],
        C::CancelJob,
        "Cancel the job",
    )
    .hint("cancel")
    .when(&[Changes]),
    on(
        &[Partitions],
        "archive",
        &["a"],
        C::Archive,
        "Archive the partition",
    )
    .hint("archive")
    .when(&[Administers]),
    on(
        &[Partitions],
        "archive-older",
        &["A"],
        C::ArchiveOlder,
        "Archive it and all older ones",
    )
    .hint("with all older")
    .when(&[Administers]),
    on(
        &[Partitions],
        "restore",
        &["u"],
        C::Restore,
        "Restore the archived partition",
    )
    .hint("restore")
    .when(&[Administers]),
    on(
        &[Partitions],
        "partition-delete",
        &["d"],
        C::Delete,
        "Delete the archived partition permanently",
    )
    .hint("delete")
    .when(&[Administers]),
    on(
        TABS,
        "log-in",
        &["L"],
        C::LogIn,
        "Log in with another token",
    ),
    on(TABS, "orders", &["1"], C::Tab(Tab::Orders), "Orders"),
    on(
        TABS,
        "customers",
        &["2"],
        C::Tab(Tab::Customers),
        "Customers",
    ),
    on(TABS, "products", &["3"], C::Tab(Tab::Products), "Products"),
    on(
        TABS,
        "categories",
        &["4"],
        C::Tab(Tab::Categories),
        "Categories",
    ),
    on(TABS, "jobs", &["5"], C::Tab(Tab::Jobs), "Jobs"),
    on(
        TABS,
        "partitions",
        &["6"],
        C::Tab(Tab::Partitions),
        "Partitions",
    ),
    on(
        TABS,
        "dashboard",
        &["7"],
        C::Tab(Tab::Dashboard),
        "Dashboard",
    ),
    on(TABS, "next-tab", &["tab"], C::NextTab, "Next tab"),
    on(
        TABS,
        "previous-tab",
        &["shift-tab"],
        C::PreviousTab,
        "Previous tab",
    ),
    on(&[Form], "form-save", &["ctrl-s"], C::Save, "Save").hint("save"),
    on(
        &[Form],
        "form-next",
        &["tab", "down"],
        C::NextField,
        "Next field",
    )
    .hint("next"),
    on(
        &[Form],
        "form-previous",
        &["shift-tab", "up"],
        C::PreviousField,
        "Previous field",
    ),
    on(
        &[Form],
        "form-choose",
        &["enter"],
        C::Open,
        "Choose from a list, or go to the next field",
    )
    .hint("choose"),
    on(
        &[Form],
        "form-left",
        &["left"],
        C::Left,
        "Move left, or previous choice",
    ),
    on(
        &[Form],
        "form-right",
        &["right"],
        C::Right,
        "Move right, or next choice",
    ),
    on(
        &[Form],
        "form-switch",
        &["space"],
        C::Toggle,
        "Switch on or off",
    )
    .outside_text(),
    on(
        &[Form],
        "form-editor",
        &["ctrl-o"],
        C::Editor,
        "Open the text in $EDITOR",
    )
    .hint("editor"),
    on(
        &[Picker],
        "picker-new",
        &["ctrl-n"],
        C::New,
        "Create a new row",
    )
    .hint("new")
    .when(&[Changes]),
    on(
        &[Form],
        "line-add",
        &["ctrl-n"],
        C::AddLine,
        "Add an order line",
    )
    .hint("add line")
    .when(&[Lines]),
    on(
        &[Form],
        "line-remove",
        &["ctrl-d"],
        C::RemoveLine,
        "Remove the order line",
    )
    .hint("remove line")
    .when(&[Lines]),
    on(
        &[Picker, Menu, Palette],
        "choose",
        &["enter"],
        C::Open,
        "Choose",
    )
    .hint("choose"),
    on(
        &[Prompt],
        "prompt-go",
        &["enter"],
        C::Open,
        "Confirm the text",
    )
    .hint("go"),
    on(
        &[File],
        "export-go",
        &["enter"],
        C::Open,
        "Export to this file",
    )
    .hint("export"),
    on(
        &[ImportFile],
        "import-preview",
        &["enter"],
        C::Open,
        "Upload the file and preview the import",
    )
    .hint("preview"),
    // Not Enter: the preview may open just when the user presses Enter to open a row.
    on(&[Review], "import-go", &["y"], C::Yes, "Import the rows")
        .hint("import")
        .when(&[Changes]),
    on(
        &[Report],
        "report-close",
        &["enter"],
        C::Back,
        "Close the report",
    )
    .hint("close"),
    on(&[Conflict], "theirs", &["t"], C::Theirs, "Use their value").hint("theirs"),
    on(&[Conflict], "mine", &["m"], C::Mine, "Use my value").hint("mine"),
    on(
        &[Conflict],
        "conflict-save",
        &["ctrl-s"],
        C::Save,
        "Save the choices",
    )
    .hint("save"),
    on(&[Confirm], "yes", &["y"], C::Yes, "Yes").hint("yes"),
    on(&[Confirm], "no", &["n", "esc"], C::No, "No").hint("no"),
    on(
        LEFT_BY_ESC,
        "back",
        &["esc"],
        C::Back,
        "Go back without a change",
    )
    .hint("back"),
    on(
        &[List, Jobs, Partitions, Dashboard],
        "wider",
        &["esc"],
        C::Back,
        "Show all rows, or go back",
    ),
    on(TABS, "forward", &["alt-right"], C::Forward, "Go forward"),
    on(ONE_ROW, "backward", &["alt-left"], C::Back, "Go back"),
    on(
        &[Help],
        "help-close",
        &["?", "q"],
        C::Back,
        "Close the help",
    ),
    on(
        &[Detail],
        "detail-close",
        &["q"],
        C::Back,
        "Close the details",
    ),
    on(
        Scope::ALL,
        "leave",
        &["ctrl-c"],
        C::Quit,
        "Quit from anywhere",
    ),
    on(
        Scope::ALL,
        "suspend",
        &["ctrl-z"],
        C::Suspend,
        "Suspend; `fg` in the shell returns",
    ),
    on(
        Scope::ALL,
        "repaint",
        &["ctrl-l"],
        C::Repaint,
        "Redraw the screen",
    ),
];

const fn on(
    scopes: &'static [Scope],
    name: &'static str,
    keys: &'static [&'static str],
    command: C,
    help: &'static str,
) -> Binding {
    Binding {
        name,
        scopes,
        keys,
        command,
        help,
        hint: None,
        conditions: &[],
        hinted_when: None,
        works_outside_text: false,
    }
}
