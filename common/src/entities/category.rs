//! Categories: the groups of products.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{FieldError, Id, Resource, check::Checks, table::Column};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub id: Id<Category>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub name: String,
    pub description: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCategory {
    pub name: String,
    #[serde(default)]
    pub description: String,
}

/// No filters: a shop has few categories, so they are only searched with `q`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CategoryFilter {}

impl Resource for Category {
    const PATH: &'static str = "categories";
    const NAME: &'static str = "category";
    const SORTS: &'static [&'static str] = &["name", "created_at"];
    const DEFAULT_SORT: &'static str = "name";
    const FILTERS: &'static [&'static str] = &[];

    const TABLE_COLUMNS: &'static [Column] = &[
        Column::word("id"),
        Column::integer("version"),
        Column::word("created_at"),
        Column::word("updated_at"),
        Column::line("name"),
        Column::text("description"),
    ];

    type New = NewCategory;
    type Filter = CategoryFilter;

    fn id(&self) -> Id<Self> {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn times(&self) -> [DateTime<Utc>; 2] {
        [self.created_at, self.updated_at]
    }

    fn document(&self) -> NewCategory {
        NewCategory {
            name: self.name.clone(),
            description: self.description.clone(),
        }
    }

    fn check(new: &NewCategory) -> Vec<FieldError> {
        let mut checks = Checks::new();
        checks.required_line("/name", &new.name, 200);
        checks.text("/description", &new.description, 2_000);
        checks.into_errors()
    }
}
