//! Values as people read them.

use chrono::{DateTime, Utc};
use stockroom_common::OrderStatus;

use crate::model::{
    names::{Names, Reference},
    text::{self, Zone},
};

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
