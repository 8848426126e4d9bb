//! The exact number of rows of a list. It is counted only on request, because the server reads every row for it, and
//! the user can cancel the count.

use reqwest::Method;
use stockroom_common::Page;

use super::ListScreen;
use crate::{
    messages::{
        call::{Call, Owner, Reply},
        context::Context,
        event::Effect,
    },
    model::entity::Entity,
};

impl<R: Entity> ListScreen<R> {
    /// Starts an exact count, or cancels the one that is under way.
    pub(super) fn count_exactly(&mut self, ctx: &mut Context<'_>) {
        if self.counting.is_some() {
            return self.stop_counting(ctx);
        }
        if self.query.only.is_some() {
            return;
        }
        let mut pairs = vec![("limit", "1"), ("count", "exact")];
        pairs.extend(self.list_parameters());
        let pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
        let ticket = ctx.ticket(Owner::Count(R::TAB));
        self.counting = Some(ticket.run);
        ctx.send(Call::new(
            ticket,
            Method::GET,
            format!("/v1/{}?{pairs}", R::PATH),
        ));
    }

    pub(super) fn stop_counting(&mut self, ctx: &mut Context<'_>) {
        if self.counting.take().is_some() {
            ctx.effects.push(Effect::Cancel(Owner::Count(R::TAB)));
        }
    }

    pub(super) fn take_count(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if self
            .counting
            .take_if(|run| *run == reply.ticket.run)
            .is_none()
        {
            return;
        }
        match reply.result.as_ref().map(|answer| answer.read::<Page<R>>()) {
            Ok(Ok(page)) => self.total = page.total.or(self.total),
            Ok(Err(error)) => ctx.error(error),
            Err(failure) => ctx.error(failure.message()),
        }
    }
}
