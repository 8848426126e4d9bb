//! What every tab can do, whatever it shows.

use serde_json::Value;

use crate::{
    context::Context,
    event::Reply,
    keys::{Command, Scope},
    list::Query,
    names::Names,
};

/// What the application does with a tab, whatever it lists.
pub trait Screen {
    fn scope(&self) -> Scope;
    fn command(&mut self, command: Command, ctx: &mut Context<'_>);
    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>);
    /// The tab comes into sight, or the connection is back.
    fn show(&mut self, ctx: &mut Context<'_>);
    /// What the screen shows may be old: it reads again when it is next seen.
    fn expire(&mut self);
    /// Takes a row that was just written, and selects it when the list is read again.
    fn put(&mut self, row: &Value);
    fn resize(&mut self, ctx: &mut Context<'_>);
    fn query(&self) -> Query;
    fn set_query(&mut self, query: Query, ctx: &mut Context<'_>);
    fn want_names(&self, names: &mut Names);
    fn is_loading(&self) -> bool;
}
