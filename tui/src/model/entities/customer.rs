//! How the client shows and edits customers.

use stockroom_common::Customer;

use crate::model::{
    entity::{Column, Detail, Entity, Field, FieldKind, Target, Width},
    names::Reference,
    show::Cell,
    tab::Tab,
};

impl Entity for Customer {
    const TAB: Tab = Tab::Customers;
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("Name", Width::Fill(20), |row: &Self| {
            Cell::Text(row.name.clone())
        })
        .sorted_by("name"),
        Column::new("E-mail", Width::Fill(24), |row: &Self| {
            Cell::Text(row.email.clone())
        })
        .sorted_by("email"),
        Column::new("City", Width::Spare(18), |row: &Self| {
            Cell::Text(row.address.city.clone())
        }),
        Column::new("Country", Width::Spare(7), |row: &Self| {
            Cell::Text(row.address.country.clone())
        }),
        Column::new("Since", Width::Spare(16), |row: &Self| {
            Cell::Time(row.created_at)
        })
        .sorted_by("created_at"),
    ];
    const FIELDS: &'static [Field] = &[
        Field::required("/name", "Name", FieldKind::Text),
        Field::required("/email", "E-mail", FieldKind::Text),
        Field::optional("/phone", "Phone", FieldKind::Text),
        Field::optional("/address/line1", "Address", FieldKind::Text),
        Field::optional("/address/line2", "", FieldKind::Text),
        Field::optional("/address/postal_code", "Postal code", FieldKind::Text),
        Field::optional("/address/city", "City", FieldKind::Text),
        Field::optional("/address/country", "Country", FieldKind::Text),
    ];
    const FILTERS_FORM: &'static [Field] = &[];
    const SEARCHES: &'static str = "name and e-mail";

    fn label(&self) -> String {
        self.name.clone()
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn details(&self) -> Vec<Detail> {
        let orders = Target::List {
            tab: Tab::Orders,
            filter: "customer_id",
            value: self.id.uuid(),
            label: self.name.clone(),
        };
        let town = format!("{} {}", self.address.postal_code, self.address.city);
        vec![
            Detail::text("Name", &self.name),
            Detail::text("E-mail", &self.email),
            Detail::text("Orders", "of this customer").to(orders),
            Detail::text("Phone", &self.phone),
            Detail::text("Address", &self.address.line1),
            Detail::text("", &self.address.line2),
            Detail::text("", town.trim()),
            Detail::text("Country", &self.address.country),
            Detail::new("Since", Cell::Time(self.created_at)),
            Detail::new("Changed", Cell::Time(self.updated_at)),
            Detail::new("Version", Cell::Integer(self.version)),
            Detail::text("Id", &self.id.to_string()),
        ]
    }
}
