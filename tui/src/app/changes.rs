//! Events that the user does not cause: the connection goes up or down, and others change data.

use stockroom_common::change::ChangeEvent;

use super::state::App;
use crate::{
    dialogs::overlay::Overlay,
    messages::{
        context::Context,
        event::Link,
        request::{Dialog, PromptPurpose},
    },
    model::tab::Tab,
};

impl App {
    pub(super) fn set_link(&mut self, link: Link, ctx: &mut Context<'_>) {
        let came_up = link == Link::Up && !self.connection.is_up();
        match &link {
            Link::Up => tracing::info!(server = self.connection.server, "connected"),
            Link::Down(reason) => tracing::warn!(reason, "disconnected"),
            Link::LoggedOut(reason) => {
                tracing::warn!(reason, "not logged in");
                self.connection.identity = None;
                self.ask_for_token(ctx);
            }
            Link::Connecting => {}
        }
        self.connection.link = link;
        if !came_up {
            return;
        }
        if let Some(folder) = self.connection.new_shop.take() {
            let folder = folder.display();
            ctx.info(format!("This is a new shop. Its data is in {folder}."));
        }
        // Anything may have changed while the connection was down.
        self.names.clear();
        self.screens.expire();
        self.screens.jobs.connected(ctx);
        self.screen_mut().show(ctx);
    }

    /// Opens the prompt for a token, over what is open: nothing that was typed there is lost.
    pub(super) fn ask_for_token(&mut self, ctx: &mut Context<'_>) {
        let is_asking =
            |overlay: &Overlay| matches!(overlay, Overlay::Prompt(prompt) if prompt.is_hidden());
        if !self.overlays.iter().any(is_asking) {
            ctx.open(Dialog::Prompt {
                title: format!("Token for {}", self.connection.server),
                text: String::new(),
                purpose: PromptPurpose::Token,
            });
        }
    }

    /// Handles a change in the shop. The tab that is shown is updated now; other tabs read again when they are next
    /// shown.
    pub(super) fn change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        if let Some(id) = change.entity_id {
            self.names.remove(id);
        }
        let shown = self.navigation.tab;
        for tab in Tab::ALL {
            if !tab.shows(change) {
                continue;
            }
            if tab == shown {
                self.screens.get_mut(tab).change(change, ctx);
            } else {
                self.screens.get_mut(tab).expire();
            }
        }
        // Rows that were changed along with another one come without their new values: those that are loaded are read
        // again.
        for row in &change.touched {
            let is_shown = Tab::of_entity(&row.entity) == Some(shown);
            let rows = self.screens.rows(shown).filter(|_| is_shown);
            if rows.is_some_and(|rows| rows.has_row(row.id)) {
                self.refresh.want(shown, row.id, ctx.now);
            }
        }
        for form in self.forms_mut() {
            form.notice(change);
        }
    }
}
