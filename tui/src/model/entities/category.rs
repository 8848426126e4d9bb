//! How the client shows and edits categories.

use stockroom_common::Category;

use crate::model::{
    entity::{Column, Detail, Entity, Field, FieldKind, Target, Width},
    names::Reference,
    show::Cell,
    tab::Tab,
};

impl Entity for Category {
    const TAB: Tab = Tab::Categories;
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("Name", Width::Fill(20), |row: &Self| {
            Cell::Text(row.name.clone())
        })
        .sorted_by("name"),
        Column::new("Description", Width::Fill(20), |row: &Self| {
            Cell::Text(row.description.clone())
        }),
        Column::new("Changed", Width::Spare(16), |row: &Self| {
            Cell::Time(row.updated_at)
        }),
    ];
    const FIELDS: &'static [Field] = &[
        Field::required("/name", "Name", FieldKind::Text),
        Field::optional("/description", "Description", FieldKind::Text),
    ];
    const FILTERS_FORM: &'static [Field] = &[];
    const SEARCHES: &'static str = "name";

    fn label(&self) -> String {
        self.name.clone()
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn details(&self) -> Vec<Detail> {
        let products = Target::List {
            tab: Tab::Products,
            filter: "category_id",
            value: self.id.uuid(),
            label: self.name.clone(),
        };
        vec![
            Detail::text("Name", &self.name),
            Detail::text("Description", &self.description),
            Detail::text("Products", "in this category").to(products),
            Detail::new("Created", Cell::Time(self.created_at)),
            Detail::new("Changed", Cell::Time(self.updated_at)),
            Detail::new("Version", Cell::Integer(self.version)),
            Detail::text("Id", &self.id.to_string()),
        ]
    }
}
