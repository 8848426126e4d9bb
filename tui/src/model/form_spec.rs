//! Describes a form: its fields, its initial values, and what saving it does.

use serde_json::{Map, Value, json};
use stockroom_common::{FieldError, Resource, document, seed::NewSeedJob};
use uuid::Uuid;

use crate::model::{
    entity::{Entity, Field, FieldKind, Presence},
    query::Chip,
    tab::Tab,
    text,
};

const SEED_FIELDS: &[Field] = &[
    Field::required("/seed", "Seed", FieldKind::Integer),
    Field::required("/categories", "Categories", FieldKind::Integer),
    Field::required("/products", "Products", FieldKind::Integer),
    Field::required("/customers", "Customers", FieldKind::Integer),
    Field::required("/orders", "Orders", FieldKind::Integer),
    Field::required("/months", "Months", FieldKind::Integer),
    Field::optional("/rate", "Rows/s", FieldKind::Integer),
];

#[derive(Clone, Debug)]
pub struct FormSpec {
    pub title: String,
    pub purpose: Purpose,
    pub fields: Vec<&'static Field>,
    /// The initial values.
    pub document: Value,
    /// Checks the server's rules that the client can check too.
    pub check: fn(Value) -> Vec<FieldError>,
}

/// What saving the form does.
#[derive(Clone, Debug)]
pub enum Purpose {
    Create(Tab),
    Edit { tab: Tab, id: Uuid, version: i64 },
    Filter,
    Seed,
}

impl FormSpec {
    pub fn create<R: Entity>() -> Self {
        Self {
            title: format!("New {}", R::NAME),
            purpose: Purpose::Create(R::TAB),
            fields: R::FIELDS.iter().collect(),
            document: json!({}),
            check: check::<R>,
        }
    }

    /// The same form with a name filled in.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.document["name"] = json!(name);
        self
    }

    pub fn edit<R: Entity>(row: &R) -> Self {
        let fields = R::FIELDS.iter();
        let fields = fields.filter(|field| field.presence != Presence::OnCreate);
        Self {
            title: format!("Edit {} {}", R::NAME, text::clean(&row.label())),
            purpose: Purpose::Edit {
                tab: R::TAB,
                id: row.id().uuid(),
                version: row.version(),
            },
            fields: fields.collect(),
            document: document::to_value(&row.document()),
            check: check::<R>,
        }
    }

    /// The filter form of a list, with the active filters filled in.
    pub fn filter<R: Entity>(chips: &[Chip]) -> Self {
        let chips = chips.iter();
        let set: Map<String, Value> = chips
            .map(|chip| (chip.name.clone(), Value::String(chip.value.clone())))
            .collect();
        Self {
            title: format!("Filter {}", R::PATH),
            purpose: Purpose::Filter,
            fields: R::FILTERS_FORM.iter().collect(),
            document: Value::Object(set),
            check: |_| Vec::new(),
        }
    }

    /// The form for a seed job, with these sizes filled in.
    pub fn seed(sizes: &NewSeedJob) -> Self {
        Self {
            title: "Fill the shop with test data".into(),
            purpose: Purpose::Seed,
            fields: SEED_FIELDS.iter().collect(),
            document: document::to_value(sizes),
            check: check_seed,
        }
    }
}

/// Checks a document, which may be incomplete, against the rules of `R`.
fn check<R: Resource>(document: Value) -> Vec<FieldError> {
    match document::from_value::<R::New>(&document) {
        Ok(new) => R::check(&new),
        Err(error) => vec![error],
    }
}

fn check_seed(sizes: Value) -> Vec<FieldError> {
    match document::from_value::<NewSeedJob>(&sizes) {
        Ok(request) => request.check(),
        Err(error) => vec![error],
    }
}
