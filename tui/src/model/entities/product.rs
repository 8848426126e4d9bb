//! How the client shows and edits products.

use stockroom_common::Product;

use crate::model::{
    entity::{Column, Detail, Entity, Field, FieldKind, Target, Width},
    names::Reference,
    show::Cell,
    tab::Tab,
};

impl Entity for Product {
    const TAB: Tab = Tab::Products;
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("SKU", Width::Fixed(14), |row: &Self| {
            Cell::Text(row.sku.clone())
        })
        .sorted_by("sku"),
        Column::new("Name", Width::Fill(18), |row: &Self| {
            Cell::Text(row.name.clone())
        })
        .sorted_by("name"),
        Column::new("Category", Width::Spare(18), |row: &Self| {
            Cell::Name(category(row))
        }),
        Column::new("Price", Width::Fixed(12), |row: &Self| {
            Cell::Money(row.price_minor)
        })
        .sorted_by("price_minor"),
        Column::new("Stock", Width::Fixed(9), |row: &Self| {
            Cell::Integer(row.stock)
        })
        .sorted_by("stock"),
        Column::new("Active", Width::Fixed(6), |row: &Self| {
            Cell::Flag(row.active)
        }),
    ];
    const FIELDS: &'static [Field] = &[
        Field::required(
            "/category_id",
            "Category",
            FieldKind::Reference(Tab::Categories),
        ),
        Field::required("/sku", "SKU", FieldKind::Text),
        Field::required("/name", "Name", FieldKind::Text),
        Field::optional("/description", "Description", FieldKind::Text),
        Field::required("/price_minor", "Price", FieldKind::Money),
        Field::optional("/stock", "Stock", FieldKind::Integer),
        Field::optional("/active", "Active", FieldKind::Flag),
    ];
    const FILTERS_FORM: &'static [Field] = &[
        Field::optional(
            "category_id",
            "Category",
            FieldKind::Reference(Tab::Categories),
        ),
        Field::optional(
            "active",
            "Active",
            FieldKind::Choice(&["", "true", "false"]),
        ),
    ];
    const SEARCHES: &'static str = "name and SKU";

    fn label(&self) -> String {
        self.name.clone()
    }

    fn references(&self) -> Vec<Reference> {
        vec![category(self)]
    }

    fn details(&self) -> Vec<Detail> {
        let orders = Target::List {
            tab: Tab::Orders,
            filter: "product_id",
            value: self.id.uuid(),
            label: self.name.clone(),
        };
        vec![
            Detail::text("SKU", &self.sku),
            Detail::text("Name", &self.name),
            Detail::reference("Category", Tab::Categories, self.category_id.uuid()),
            Detail::text("Orders", "with this product").to(orders),
            Detail::new("Price", Cell::Money(self.price_minor)),
            Detail::new("Stock", Cell::Integer(self.stock)),
            Detail::new("Active", Cell::Flag(self.active)),
            Detail::text("Description", &self.description),
            Detail::new("Created", Cell::Time(self.created_at)),
            Detail::new("Changed", Cell::Time(self.updated_at)),
            Detail::new("Version", Cell::Integer(self.version)),
            Detail::text("Id", &self.id.to_string()),
        ]
    }
}

fn category(product: &Product) -> Reference {
    Reference {
        tab: Tab::Categories,
        id: product.category_id.uuid(),
    }
}
