//! Navigation: switching tabs, following links, going back and forward.

use super::{navigation::FollowedLink, state::App};
use crate::{
    messages::context::Context,
    model::{
        entity::Target,
        query::{Query, query_of},
        tab::Tab,
    },
};

impl App {
    /// Switches to a tab by key or click. Clears the links to go back or forward by.
    pub(super) fn turn_to(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.navigation.trail.clear();
        self.navigation.ahead.clear();
        self.show(tab, ctx);
    }

    /// Shows a tab. Without a connection it loads nothing; it does so once the connection is up.
    pub(super) fn show(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.navigation.tab = tab;
        if self.connection.is_up() {
            self.screens.get_mut(tab).show(ctx);
        }
    }

    pub(super) fn follow_link(&mut self, target: &Target, ctx: &mut Context<'_>) {
        self.navigation.ahead.clear();
        let (to, query) = query_of(target);
        self.step_to(to, query, ctx);
    }

    /// Opens a tab with a query and records the step in the trail.
    fn step_to(&mut self, to: Tab, query: Query, ctx: &mut Context<'_>) {
        let hidden = self.query(to);
        self.navigation.trail.push(FollowedLink {
            from: self.navigation.tab,
            to,
            query: query.clone(),
            hidden,
        });
        self.navigation.tab = to;
        self.set_query(to, query, ctx);
    }

    /// Goes back to where the last link was followed from, if the list still shows what the link opened or cannot be
    /// widened. Otherwise removes the last thing that narrows the list, such as a search or filters.
    pub(super) fn go_back(&mut self, ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        let query = self.query(tab);
        let wider = query.clone().without_last_restriction();
        let came_by =
            |step: &mut FollowedLink| step.to == tab && (step.query == query || wider.is_none());
        if let Some(step) = self.navigation.trail.pop_if(came_by) {
            self.set_query(step.to, step.hidden.clone(), ctx);
            self.show(step.from, ctx);
            self.navigation.ahead.push(step);
        } else if let Some(wider) = wider {
            self.set_query(tab, wider, ctx);
        }
    }

    /// Follows the link again that the user last went back over.
    pub(super) fn go_forward(&mut self, ctx: &mut Context<'_>) {
        match self.navigation.ahead.pop() {
            Some(step) => self.step_to(step.to, step.query, ctx),
            None => ctx.error("There is nothing to go forward to."),
        }
    }

    /// The query of a tab's list; the default on a tab without rows.
    pub(super) fn query(&self, tab: Tab) -> Query {
        let rows = self.screens.rows(tab);
        rows.map_or_else(Query::default, |rows| rows.query())
    }

    pub(super) fn set_query(&mut self, tab: Tab, query: Query, ctx: &mut Context<'_>) {
        if let Some(rows) = self.screens.rows_mut(tab) {
            rows.set_query(query, ctx);
        }
    }

    /// Changes the query of the list that is shown. A list that a link limited to one row shows all rows again.
    pub(super) fn change_query(&mut self, change: impl FnOnce(&mut Query), ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        let mut query = self.query(tab);
        query.only = None;
        change(&mut query);
        self.set_query(tab, query, ctx);
    }
}
