//! What an entity supplies for the list, the detail pane and the form. All of it is data: entities never draw.

use stockroom_common::Resource;
use uuid::Uuid;

use crate::model::{names::Reference, show::Cell, tab::Tab};

/// A resource that the client can list, show and edit.
pub trait Entity: Resource {
    const TAB: Tab;
    const COLUMNS: &'static [Column<Self>];
    const FIELDS: &'static [Field];
    /// The fields of the filter form; empty if the list can be searched but not filtered.
    const FILTERS_FORM: &'static [Field];
    /// The fields that the API's `q` parameter searches, in words.
    const SEARCHES: &'static str;

    /// The name by which users know the row, such as the number of an order.
    fn label(&self) -> String;

    /// The rows of other entities whose names the list shows.
    fn references(&self) -> Vec<Reference>;

    /// The lines of the detail pane.
    fn details(&self) -> Vec<Detail>;
}

/// A column of the list.
pub struct Column<R> {
    pub title: &'static str,
    pub width: Width,
    pub cell: fn(&R) -> Cell,
    /// The value of the API's `sort` parameter for this column; `None` if the list cannot be sorted by it.
    pub sort: Option<&'static str>,
}

impl<R> Column<R> {
    pub const fn new(title: &'static str, width: Width, cell: fn(&R) -> Cell) -> Self {
        Self {
            title,
            width,
            cell,
            sort: None,
        }
    }

    #[must_use]
    pub const fn sorted_by(mut self, key: &'static str) -> Self {
        self.sort = Some(key);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Exactly this number of terminal columns.
    Fixed(u16),
    /// At least this number of terminal columns, plus a share of the remaining width.
    Fill(u16),
    /// Like `Fixed`, but dropped first if the terminal is too narrow.
    Spare(u16),
}

impl Width {
    /// The minimum width, in terminal columns.
    pub const fn least(self) -> u16 {
        match self {
            Self::Fixed(width) | Self::Fill(width) | Self::Spare(width) => width,
        }
    }
}

/// A line of the detail pane.
#[derive(Clone, Debug)]
pub struct Detail {
    pub label: &'static str,
    pub value: Cell,
    pub target: Option<Target>,
}

impl Detail {
    pub const fn new(label: &'static str, value: Cell) -> Self {
        Self {
            label,
            value,
            target: None,
        }
    }

    pub fn text(label: &'static str, value: &str) -> Self {
        Self::new(label, Cell::Text(value.into()))
    }

    #[must_use]
    pub fn to(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// A line that shows the name of another row and links to that row.
    pub fn reference(label: &'static str, tab: Tab, id: Uuid) -> Self {
        let reference = Reference { tab, id };
        Self::new(label, Cell::Name(reference)).to(Target::Row(reference))
    }
}

/// The target of a link in the detail pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Row(Reference),
    /// The rows of a tab with one filter set. The label names the row that they belong to.
    List {
        tab: Tab,
        filter: &'static str,
        value: Uuid,
        label: String,
    },
}

/// A field of a form.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The JSON pointer of the value in the document (`/address/city`), or the name of a filter.
    pub pointer: &'static str,
    pub label: &'static str,
    pub kind: FieldKind,
    pub presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// Optional, and can only be set when the row is created.
    OnCreate,
}

#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    Text,
    Integer,
    Money,
    Time,
    Flag,
    /// One of these words; the empty word means no value.
    Choice(&'static [&'static str]),
    /// A row of this tab, which the user finds by search.
    Reference(Tab),
    /// The lines of an order.
    Lines,
}

impl Field {
    pub const fn required(pointer: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self {
            pointer,
            label,
            kind,
            presence: Presence::Required,
        }
    }

    pub const fn optional(pointer: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self {
            presence: Presence::Optional,
            ..Self::required(pointer, label, kind)
        }
    }

    pub const fn on_create(pointer: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self {
            presence: Presence::OnCreate,
            ..Self::required(pointer, label, kind)
        }
    }
}
