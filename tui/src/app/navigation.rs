//! Which tab is shown, and the links that were followed to get there.

use crate::model::{query::Query, tab::Tab};

#[derive(Debug, Default)]
pub struct Navigation {
    pub tab: Tab,
    /// The links that were followed, to go back by.
    pub(super) trail: Vec<Step>,
    /// The links that were gone back by, to go forward again.
    pub(super) ahead: Vec<Step>,
}

/// A link that was followed.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) from: Tab,
    pub(super) to: Tab,
    pub(super) query: Query,
    /// What the tab that it led to showed before.
    pub(super) hidden: Query,
}

impl Navigation {
    /// The tabs from the one where the first link was followed to the present one.
    pub fn breadcrumb(&self) -> Vec<Tab> {
        self.trail.iter().map(|step| step.from).collect()
    }

    pub(super) fn neighbour(&self, steps: usize) -> Tab {
        let tabs = Tab::ALL.iter();
        let index = tabs.clone().position(|tab| *tab == self.tab);
        Tab::ALL[(index.unwrap_or_default() + steps) % Tab::ALL.len()]
    }
}
