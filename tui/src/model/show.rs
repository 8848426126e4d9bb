//! Formats values for users.

use chrono::{DateTime, Utc};
use stockroom_common::OrderStatus;

use crate::model::{
    names::{Names, Reference},
    text::{self, Zone},
};

/// Formats values with the known names of rows, in a time zone.
#[derive(Clone, Copy)]
pub struct Formatter<'a> {
    pub names: &'a Names,
    pub zone: Zone,
}

impl Formatter<'_> {
    /// Formats a value as text that is safe to print on a terminal.
    pub fn format(self, cell: &Cell) -> String {
        match cell {
            Cell::Text(value) => text::clean(value).into_owned(),
            Cell::Integer(value) => text::integer(*value),
            Cell::Money(minor) => text::money(*minor),
            Cell::Time(at) => text::time(*at, self.zone),
            Cell::Status(status) => status.to_string(),
            Cell::Flag(true) => "yes".into(),
            Cell::Flag(false) => "no".into(),
            // `…` means that the name has not been loaded yet.
            Cell::Name(reference) => {
                let name = self.names.get(reference.id);
                name.map_or_else(|| "…".into(), |name| text::clean(name).into_owned())
            }
            Cell::Line(pieces, product, price) => {
                let name = self.format(&Cell::Name(*product));
                format!(
                    "{} × {name} at {}",
                    text::integer(i64::from(*pieces)),
                    text::money(*price)
                )
            }
        }
    }
}

/// A value to show. Amounts of money are in minor units.
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
    /// A line of an order: quantity, product, unit price.
    Line(i32, Reference, i64),
}
