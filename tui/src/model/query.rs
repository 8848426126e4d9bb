//! What narrows and orders a list.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{entity::Target, names::Reference, tab::Tab};

/// What the list shows of its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// In the form of the API's `sort`; empty for the default.
    pub sort: String,
    pub search: String,
    pub chips: Vec<Chip>,
    /// This one row, to which a link led.
    pub only: Option<Uuid>,
}

impl Query {
    /// The query without the last thing that narrows it; none where nothing does.
    pub fn wider(mut self) -> Option<Self> {
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

/// A filter that is set, with the label that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    pub name: String,
    pub value: String,
    pub label: String,
    /// The row whose name says more than the label.
    pub reference: Option<Reference>,
}

/// The tab and query that a link stands for.
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
