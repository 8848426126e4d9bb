//! Which tab is shown, and the links that were followed to get there.

use crate::model::{query::Query, tab::Tab};

#[derive(Debug, Default)]
pub struct Navigation {
    pub tab: Tab,
    /// The followed links, to go back over, newest last.
    pub(super) trail: Vec<FollowedLink>,
    /// The links that the user went back over, to go forward again, newest last.
    pub(super) ahead: Vec<FollowedLink>,
}

/// A link that was followed.
#[derive(Debug)]
pub(super) struct FollowedLink {
    pub(super) from: Tab,
    pub(super) to: Tab,
    pub(super) query: Query,
    /// The query that the target tab had before, to restore when going back.
    pub(super) hidden: Query,
}

impl Navigation {
    /// The tabs from which links were followed, from the first one to the one before the current tab.
    pub fn breadcrumb(&self) -> Vec<Tab> {
        self.trail.iter().map(|step| step.from).collect()
    }

    /// The tab that many steps to the right, wrapping around.
    pub(super) fn neighbour(&self, steps: usize) -> Tab {
        let tabs = Tab::ALL.iter();
        let index = tabs.clone().position(|tab| *tab == self.tab);
        Tab::ALL[(index.unwrap_or_default() + steps) % Tab::ALL.len()]
    }
}
