//! How the client shows and edits orders.

use stockroom_common::Order;

use crate::model::{
    entity::{Column, Detail, Entity, Field, FieldKind, Target, Width},
    names::Reference,
    show::Cell,
    tab::Tab,
};

/// The choices of the status filter. The empty first choice means any status.
const ANY_STATUS: &[&str] = &[
    "",
    "pending",
    "paid",
    "shipped",
    "delivered",
    "cancelled",
    "returned",
];

impl Entity for Order {
    const TAB: Tab = Tab::Orders;
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("Placed", Width::Fixed(16), |row: &Self| {
            Cell::Time(row.placed_at)
        })
        .sorted_by("placed_at"),
        Column::new("Number", Width::Fixed(16), |row: &Self| {
            Cell::Text(row.number.to_string())
        }),
        Column::new("Customer", Width::Fill(14), |row: &Self| {
            Cell::Name(customer(row))
        }),
        Column::new("Status", Width::Fixed(9), |row: &Self| {
            Cell::Status(row.status)
        }),
        Column::new("Lines", Width::Spare(5), |row: &Self| {
            Cell::Integer(row.items.len() as i64)
        }),
        Column::new("Total", Width::Fixed(12), |row: &Self| {
            Cell::Money(row.total_minor)
        }),
        Column::new("Note", Width::Spare(30), |row: &Self| {
            Cell::Text(row.note.clone())
        }),
    ];
    const FIELDS: &'static [Field] = &[
        Field::required(
            "/customer_id",
            "Customer",
            FieldKind::Reference(Tab::Customers),
        ),
        Field::on_create("/placed_at", "Placed at", FieldKind::Time),
        Field::optional(
            "/status",
            "Status",
            FieldKind::Choice(ANY_STATUS.split_at(1).1),
        ),
        Field::optional("/note", "Note", FieldKind::Text),
        Field::required("/items", "Lines", FieldKind::Lines),
    ];
    const FILTERS_FORM: &'static [Field] = &[
        Field::optional(
            "customer_id",
            "Customer",
            FieldKind::Reference(Tab::Customers),
        ),
        Field::optional("status", "Status", FieldKind::Choice(ANY_STATUS)),
        Field::optional("product_id", "Product", FieldKind::Reference(Tab::Products)),
        Field::optional("placed_from", "From", FieldKind::Time),
        Field::optional("placed_before", "Before", FieldKind::Time),
    ];
    const SEARCHES: &'static str = "order number";

    fn label(&self) -> String {
        self.number.to_string()
    }

    fn references(&self) -> Vec<Reference> {
        vec![customer(self)]
    }

    fn details(&self) -> Vec<Detail> {
        let mut details = vec![
            Detail::new("Number", Cell::Text(self.number.to_string())),
            Detail::reference("Customer", Tab::Customers, self.customer_id.uuid()),
            Detail::new("Status", Cell::Status(self.status)),
            Detail::new("Placed", Cell::Time(self.placed_at)),
        ];
        for (index, item) in self.items.iter().enumerate() {
            let product = Reference {
                tab: Tab::Products,
                id: item.product_id.uuid(),
            };
            let line = Cell::Line(item.quantity, product, item.unit_price_minor);
            let label = if index == 0 { "Lines" } else { "" };
            details.push(Detail::new(label, line).to(Target::Row(product)));
        }
        details.extend([
            Detail::new("Total", Cell::Money(self.total_minor)),
            Detail::text("Note", &self.note),
            Detail::new("Changed", Cell::Time(self.updated_at)),
            Detail::new("Version", Cell::Integer(self.version)),
            Detail::text("Id", &self.id.to_string()),
        ]);
        details
    }
}

fn customer(order: &Order) -> Reference {
    Reference {
        tab: Tab::Customers,
        id: order.customer_id.uuid(),
    }
}
