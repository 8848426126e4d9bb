//! What an entity tells of itself so that the list, the detail pane and the form can show it. It is
//! data: entities never draw.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stockroom_common::{
    Category, Customer, Order, OrderStatus, Product, Resource, change::ChangeEvent,
};
use uuid::Uuid;

use crate::model::{
    names::Names,
    text::{self, Zone},
};

/// The tabs, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    Orders,
    Customers,
    Products,
    Categories,
    Jobs,
    Partitions,
    Dashboard,
}

impl Tab {
    pub const ALL: [Self; 7] = [
        Self::Orders,
        Self::Customers,
        Self::Products,
        Self::Categories,
        Self::Jobs,
        Self::Partitions,
        Self::Dashboard,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Orders => "Orders",
            Self::Customers => "Customers",
            Self::Products => "Products",
            Self::Categories => "Categories",
            Self::Jobs => "Jobs",
            Self::Partitions => "Partitions",
            Self::Dashboard => "Dashboard",
        }
    }

    /// The tab of the rows that the change log calls so.
    pub fn of_entity(name: &str) -> Option<Self> {
        match name {
            Order::NAME => Some(Self::Orders),
            Customer::NAME => Some(Self::Customers),
            Product::NAME => Some(Self::Products),
            Category::NAME => Some(Self::Categories),
            "partition" => Some(Self::Partitions),
            _ => None,
        }
    }

    /// Whether the tab shows something that the change is about.
    pub fn shows(self, change: &ChangeEvent) -> bool {
        match Self::of_entity(&change.entity) {
            None => true,
            // Figures are of everything.
            Some(_) if self == Self::Dashboard => true,
            Some(Self::Partitions) => matches!(self, Self::Partitions | Self::Orders),
            Some(tab) if tab == self => true,
            Some(_) => {
                let mut touched = change.touched.iter();
                touched.any(|row| Self::of_entity(&row.entity) == Some(self))
            }
        }
    }

    /// The resource that the tab lists.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Orders => Order::PATH,
            Self::Customers => Customer::PATH,
            Self::Products => Product::PATH,
            Self::Categories => Category::PATH,
            Self::Jobs => "jobs",
            Self::Partitions => "partitions",
            Self::Dashboard => "stats",
        }
    }
}

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

/// What it takes to put values into words.
#[derive(Clone, Copy)]
pub struct Show<'a> {
    pub names: &'a Names,
    pub zone: Zone,
}

impl Show<'_> {
    /// The value in harmless text.
    pub fn words(self, cell: &Cell) -> String {
        match cell {
            Cell::Text(value) => text::clean(value).into_owned(),
            Cell::Integer(value) => text::integer(*value),
            Cell::Money(minor) => text::money(*minor),
            Cell::Time(at) => text::time(*at, self.zone),
            Cell::Status(status) => status.to_string(),
            Cell::Flag(true) => "yes".into(),
            Cell::Flag(false) => "no".into(),
            // A name that is still on its way.
            Cell::Name(reference) => {
                let name = self.names.get(reference.id);
                name.map_or_else(|| "…".into(), |name| text::clean(name).into_owned())
            }
            Cell::Line(pieces, product, price) => {
                let name = self.words(&Cell::Name(*product));
                format!(
                    "{} × {name} at {}",
                    text::integer(i64::from(*pieces)),
                    text::money(*price)
                )
            }
        }
    }
}

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Integer(i64),
    Money(i64),
    Time(DateTime<Utc>),
    Status(OrderStatus),
    Flag(bool),
    /// The name of another row.
    Name(Reference),
    /// A line of an order: pieces, product, price of one.
    Line(i32, Reference, i64),
}

/// Another row, of which the name is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    pub tab: Tab,
    pub id: Uuid,
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
