//! The one table of keys: it translates them, prints the help and the hints at the bottom.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key means where it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Quit,
    Suspend,
    Help,
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
    New,
    Edit,
    Delete,
    Search,
    Filter,
    Sort,
    Export,
    Import,
    Refresh,
    RefreshPast,
    StartSeed,
    CancelSeed,
    Archive,
    ArchiveOlder,
    Restore,
    Save,
    NextField,
    PreviousField,
    Left,
    Right,
    Toggle,
    AddLine,
    RemoveLine,
    Yes,
    No,
}

/// Where keys are pressed; each has its own meaning for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    List,
    Detail,
    Seed,
    Partitions,
    Form,
    Picker,
    Menu,
    Confirm,
    Search,
    /// The line in which the name of a file is typed.
    File,
    /// Likewise, of one that is read.
    ImportFile,
    /// What a file of rows would do.
    Review,
    /// What it has done.
    Report,
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub KeyCode, pub KeyModifiers);

#[derive(Debug)]
pub struct Binding {
    pub scopes: &'static [Scope],
    pub keys: &'static [Key],
    pub command: Command,
    pub help: &'static str,
    /// A word for the line at the bottom; none for keys that everybody knows.
    pub hint: Option<&'static str>,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn key(code: KeyCode) -> Key {
    Key(code, NONE)
}

const fn ch(c: char) -> Key {
    Key(KeyCode::Char(c), NONE)
}

const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), CONTROL)
}

const fn bind(
    scopes: &'static [Scope],
    keys: &'static [Key],
    command: Command,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding {
        scopes,
        keys,
        command,
        help,
        hint,
    }
}

use Command as C;
use Scope::{
    Confirm, Detail, File, Form, Help, ImportFile, List, Menu, Partitions, Picker, Report, Review,
    Search, Seed,
};

const TABS: &[Scope] = &[List, Detail, Seed, Partitions];
const ROWS: &[Scope] = &[List, Partitions];
const LINES: &[Scope] = &[Detail, Menu, Review, Report, Help];

/// Every key of the client. The first binding that fits wins.
pub const BINDINGS: &[Binding] = &[
    bind(
        TABS,
        &[ch('?'), key(KeyCode::F(1))],
        C::Help,
        Some("help"),
        "This help",
    ),
    bind(TABS, &[ch('q')], C::Quit, Some("quit"), "Leave"),
    bind(
        ROWS,
        &[key(KeyCode::Up), ch('k')],
        C::Up,
        None,
        "One row up",
    ),
    bind(
        ROWS,
        &[key(KeyCode::Down), ch('j')],
        C::Down,
        None,
        "One row down",
    ),
    bind(LINES, &[key(KeyCode::Up), ch('k')], C::Up, None, "Up"),
    bind(LINES, &[key(KeyCode::Down), ch('j')], C::Down, None, "Down"),
    bind(
        &[List, Detail, Partitions, Review, Report, Help],
        &[key(KeyCode::PageUp)],
        C::PageUp,
        None,
        "One screen up",
    ),
    bind(
        &[List, Detail, Partitions, Review, Report, Help],
        &[key(KeyCode::PageDown)],
        C::PageDown,
        None,
        "One screen down",
    ),
    bind(
        ROWS,
        &[key(KeyCode::Home), ch('g')],
        C::Home,
        None,
        "To the first row",
    ),
    bind(
        ROWS,
        &[key(KeyCode::End), ch('G')],
        C::End,
        None,
        "To the last row",
    ),
    bind(
        &[List],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("open"),
        "Show the whole row",
    ),
    bind(
        &[Detail],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("follow"),
        "Go to what the line names",
    ),
    bind(
        &[List, Detail],
        &[ch('n')],
        C::New,
        Some("new"),
        "Create a row",
    ),
    bind(
        &[List, Detail],
        &[ch('e')],
        C::Edit,
        Some("edit"),
        "Edit the row",
    ),
    bind(
        &[List, Detail],
        &[ch('d')],
        C::Delete,
        Some("delete"),
        "Delete the row, after a question",
    ),
    bind(
        &[List],
        &[ch('/')],
        C::Search,
        Some("search"),
        "Search on the server",
    ),
    bind(
        &[List],
        &[ch('f')],
        C::Filter,
        Some("filter"),
        "Filter on the server",
    ),
    bind(
        &[List],
        &[ch('s')],
        C::Sort,
        Some("sort"),
        "Choose the order of the rows",
    ),
    bind(
        &[List],
        &[ch('x')],
        C::Export,
        None,
        "Export what the list shows to a file",
    ),
    bind(
        &[List],
        &[ch('i')],
        C::Import,
        None,
        "Import rows from a file, after a preview",
    ),
    bind(
        &[List, Detail, Seed, Partitions],
        &[ch('r')],
        C::Refresh,
        None,
        "Read again from the server",
    ),
    bind(
        &[List, Detail],
        &[ch('R')],
        C::RefreshPast,
        None,
        "Read again past the server's cache",
    ),
    bind(
        &[Seed],
        &[key(KeyCode::Enter)],
        C::StartSeed,
        Some("start"),
        "Start seeding",
    ),
    bind(
        &[Seed],
        &[ch('e')],
        C::Edit,
        Some("edit sizes"),
        "Change the sizes",
    ),
    bind(
        &[Seed],
        &[ch('c')],
        C::CancelSeed,
        Some("cancel"),
        "Cancel the running job",
    ),
    bind(
        &[Partitions],
        &[ch('a')],
        C::Archive,
        Some("archive"),
        "Archive the partition, after a question",
    ),
    bind(
        &[Partitions],
        &[ch('A')],
        C::ArchiveOlder,
        Some("with all older"),
        "Archive it and all older ones, after a question",
    ),
    bind(
        &[Partitions],
        &[ch('u')],
        C::Restore,
        Some("restore"),
        "Restore an archived partition, after a question",
    ),
    bind(
        &[Partitions],
        &[ch('d')],
        C::Delete,
        Some("delete"),
        "Delete an archived partition for good, after a question",
    ),
    bind(TABS, &[ch('1')], C::Tab(0), None, "Orders"),
    bind(TABS, &[ch('2')], C::Tab(1), None, "Customers"),
    bind(TABS, &[ch('3')], C::Tab(2), None, "Products"),
    bind(TABS, &[ch('4')], C::Tab(3), None, "Categories"),
    bind(TABS, &[ch('5')], C::Tab(4), None, "Seed"),
    bind(TABS, &[ch('6')], C::Tab(5), None, "Partitions"),
    bind(TABS, &[key(KeyCode::Tab)], C::NextTab, None, "Next tab"),
    bind(
        TABS,
        &[key(KeyCode::BackTab)],
        C::PreviousTab,
        None,
        "Previous tab",
    ),
    bind(&[Form], &[ctrl('s')], C::Save, Some("save"), "Save"),
    bind(
        &[Form],
        &[key(KeyCode::Tab), key(KeyCode::Down)],
        C::NextField,
        Some("next"),
        "Next field",
    ),
    bind(
        &[Form],
        &[key(KeyCode::BackTab), key(KeyCode::Up)],
        C::PreviousField,
        None,
        "Previous field",
    ),
    bind(
        &[Form],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("choose"),
        "Choose from a list, or go on",
    ),
    bind(
        &[Form],
        &[key(KeyCode::Left)],
        C::Left,
        None,
        "Left, or the choice before",
    ),
    bind(
        &[Form],
        &[key(KeyCode::Right)],
        C::Right,
        None,
        "Right, or the next choice",
    ),
    bind(&[Form], &[ch(' ')], C::Toggle, None, "Switch on or off"),
    bind(
        &[Form],
        &[ctrl('n')],
        C::AddLine,
        Some("add line"),
        "Add an order line",
    ),
    bind(
        &[Form],
        &[ctrl('d')],
        C::RemoveLine,
        Some("remove line"),
        "Remove the order line",
    ),
    bind(&[Picker], &[key(KeyCode::Up)], C::Up, None, "Up"),
    bind(&[Picker], &[key(KeyCode::Down)], C::Down, None, "Down"),
    bind(
        &[Picker, Menu],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("choose"),
        "Take it",
    ),
    bind(
        &[Search],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("search"),
        "Search",
    ),
    bind(
        &[File],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("export"),
        "Write the file",
    ),
    bind(
        &[ImportFile],
        &[key(KeyCode::Enter)],
        C::Open,
        Some("look through it"),
        "Read the file; nothing is written yet",
    ),
    // Not Enter: the preview may come while one opens rows with it.
    bind(
        &[Review],
        &[ch('y')],
        C::Yes,
        Some("import"),
        "Write the rows",
    ),
    bind(
        &[Report],
        &[key(KeyCode::Enter)],
        C::Back,
        Some("close"),
        "Close the report",
    ),
    bind(&[Confirm], &[ch('y')], C::Yes, Some("yes"), "Yes"),
    bind(
        &[Confirm],
        &[ch('n'), key(KeyCode::Esc)],
        C::No,
        Some("no"),
        "No",
    ),
    bind(
        &[
            Detail, Form, Picker, Menu, Search, File, ImportFile, Review, Report, Help,
        ],
        &[key(KeyCode::Esc)],
        C::Back,
        Some("back"),
        "Back, without a change",
    ),
    bind(
        &[List, Seed, Partitions],
        &[key(KeyCode::Esc)],
        C::Back,
        None,
        "Back to all rows, or to where you were",
    ),
    bind(
        &[Help],
        &[ch('?'), ch('q')],
        C::Back,
        None,
        "Close the help",
    ),
    bind(ALL, &[ctrl('c')], C::Quit, None, "Leave from anywhere"),
    bind(
        ALL,
        &[ctrl('z')],
        C::Suspend,
        None,
        "Back to the shell; `fg` returns",
    ),
];

const ALL: &[Scope] = &[
    List, Detail, Seed, Partitions, Form, Picker, Menu, Confirm, Search, File, ImportFile, Review,
    Report, Help,
];

/// What the key means in that place.
pub fn command(scope: Scope, event: KeyEvent) -> Option<Command> {
    // Shift is in the character already.
    let modifiers = event.modifiers - KeyModifiers::SHIFT;
    let pressed = Key(event.code, modifiers);
    bindings(scope)
        .find(|binding| binding.keys.contains(&pressed))
        .map(|binding| binding.command)
}

/// The bindings of a place, in the order of the table.
pub fn bindings(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.scopes.contains(&scope))
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1.contains(KeyModifiers::CONTROL) {
            f.write_str("^")?;
        }
        match self.0 {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) if self.1.contains(KeyModifiers::CONTROL) => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Up => f.write_str("↑"),
            KeyCode::Down => f.write_str("↓"),
            KeyCode::Left => f.write_str("←"),
            KeyCode::Right => f.write_str("→"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::BackTab => f.write_str("shift-Tab"),
            KeyCode::F(n) => write!(f, "F{n}"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for scope in ALL {
            let keys: Vec<&Key> = bindings(*scope).flat_map(|binding| binding.keys).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{key} in {scope:?}");
            }
        }
    }

    #[test]
    fn a_capital_letter_is_a_key_of_its_own() {
        let pressed = |c, modifiers| command(List, KeyEvent::new(KeyCode::Char(c), modifiers));
        assert_eq!(pressed('G', KeyModifiers::SHIFT), Some(C::End));
        assert_eq!(pressed('g', NONE), Some(C::Home));
        assert_eq!(pressed('n', CONTROL), None);
    }
}
