//! Turning to a tab, following a link, and going back.

use super::{navigation::Step, state::App};
use crate::{
    messages::context::Context,
    model::{
        entity::Target,
        query::{Query, query_of},
        tab::Tab,
    },
};

impl App {
    /// Turns to a tab by its key or a click, which ends the way back by links.
    pub(super) fn turn_to(&mut self, tab: Tab, ctx: &mut Context<'_>) {
        self.navigation.trail.clear();
        self.navigation.ahead.clear();
        self.show(tab, ctx);
    }

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

    fn step_to(&mut self, to: Tab, query: Query, ctx: &mut Context<'_>) {
        let hidden = self.query(to);
        self.navigation.trail.push(Step {
            from: self.navigation.tab,
            to,
            query: query.clone(),
            hidden,
        });
        self.navigation.tab = to;
        self.set_query(to, query, ctx);
    }

    /// Returns to where a link was followed from, or else widens the list.
    pub(super) fn go_back(&mut self, ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        let query = self.query(tab);
        let wider = query.clone().wider();
        let came_by = |step: &mut Step| step.to == tab && (step.query == query || wider.is_none());
        if let Some(step) = self.navigation.trail.pop_if(came_by) {
            self.set_query(step.to, step.hidden.clone(), ctx);
            self.show(step.from, ctx);
            self.navigation.ahead.push(step);
        } else if let Some(wider) = wider {
            self.set_query(tab, wider, ctx);
        }
    }

    /// Follows again the link that was last gone back by.
    pub(super) fn go_forward(&mut self, ctx: &mut Context<'_>) {
        match self.navigation.ahead.pop() {
            Some(step) => self.step_to(step.to, step.query, ctx),
            None => ctx.error("There is nothing to go forward to."),
        }
    }

    /// What narrows and sorts the list of a tab; nothing on a tab without rows.
    pub(super) fn query(&self, tab: Tab) -> Query {
        let rows = self.screens.rows(tab);
        rows.map_or_else(Query::default, |rows| rows.query())
    }

    pub(super) fn set_query(&mut self, tab: Tab, query: Query, ctx: &mut Context<'_>) {
        if let Some(rows) = self.screens.rows_mut(tab) {
            rows.set_query(query, ctx);
        }
    }

    /// Changes the query of the list that is shown.
    pub(super) fn change_query(&mut self, change: impl FnOnce(&mut Query), ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        let mut query = self.query(tab);
        query.only = None;
        change(&mut query);
        self.set_query(tab, query, ctx);
    }
}
