//! What an entity tells of itself so that the list, the detail pane and the form can show it. It is
//! data: entities never draw.

use stockroom_common::Resource;
use uuid::Uuid;

use crate::model::{names::Reference, show::Cell, tab::Tab};

pub trait Entity: Resource {
    const TAB: Tab;
    const COLUMNS: &'static [Column<Self>];
    const FIELDS: &'static [Field];
    /// The form of the filters; empty where search is all there is.
    const FILTERS_FORM: &'static [Field];
    /// What `q` searches.
    const SEARCHES: &'static str;

    /// How people call the row.
    fn label(&self) -> String;

    /// The rows of others whose names the list shows.
    fn references(&self) -> Vec<Reference>;

    /// The lines of the detail pane.
    fn details(&self) -> Vec<Detail>;
}

/// A column of the list.
pub struct Column<R> {
    pub title: &'static str,
    pub width: Width,
    pub cell: fn(&R) -> Cell,
    /// The key of the API's `sort` that orders by it.
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
    /// Exactly that many columns.
    Fixed(u16),
    /// At least that many, and a share of what is left.
    Fill(u16),
    /// As `Fixed`, and left out first where room is scarce.
    Spare(u16),
}

impl Width {
    /// What a column takes before there is any room to share.
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

    /// A line that leads to the row it names.
    pub fn reference(label: &'static str, tab: Tab, id: Uuid) -> Self {
        let reference = Reference { tab, id };
        Self::new(label, Cell::Name(reference)).to(Target::Row(reference))
    }
}

/// Where a line of the detail pane leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Row(Reference),
    /// The rows of a tab with one filter set; the label says of what they are.
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
    /// Where the value stands in the document (`/address/city`), or the name of a filter.
    pub pointer: &'static str,
    pub label: &'static str,
    pub kind: FieldKind,
    pub presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// Optional, and set once and for all when the row is created.
    OnCreate,
}

#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    Text,
    Integer,
    Money,
    Time,
    Flag,
    /// One of these words; the empty one stands for nothing.
    Choice(&'static [&'static str]),
    /// A row of another tab, chosen by search.
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
