//! The search, filters and sort order of a list.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{entity::Target, names::Reference, tab::Tab};

/// Which rows of its resource a list shows, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// The value of the API's `sort` parameter; empty for the default.
    pub sort: String,
    pub search: String,
    pub chips: Vec<Chip>,
    /// Shows only this row, the target of a link.
    pub only: Option<Uuid>,
}

impl Query {
    /// Removes one restriction: the search, else all filters, else the single row. `None` if nothing can be removed.
    pub fn without_last_restriction(mut self) -> Option<Self> {
        if !self.search.is_empty() {
            self.search.clear();
        } else if !self.chips.is_empty() {
            self.chips.clear();
        } else {
            self.only.take()?;
        }
        Some(self)
    }
}

/// An active filter, with the label that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    pub name: String,
    pub value: String,
    pub label: String,
    /// The row that the filter refers to. Its name, once known, is shown instead of the label.
    pub reference: Option<Reference>,
}

/// The tab and query that a link leads to.
pub fn query_of(target: &Target) -> (Tab, Query) {
    match target {
        Target::Row(Reference { tab, id }) => {
            let only = Some(*id);
            (
                *tab,
                Query {
                    only,
                    ..Query::default()
                },
            )
        }
        Target::List {
            tab,
            filter,
            value,
            label,
        } => {
            let chips = vec![Chip {
                name: (*filter).to_owned(),
                value: value.to_string(),
                label: label.clone(),
                reference: None,
            }];
            (
                *tab,
                Query {
                    chips,
                    ..Query::default()
                },
            )
        }
    }
}
