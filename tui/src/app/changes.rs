//! What happens without anybody's doing here: the connection comes and goes, others change things.

use stockroom_common::change::ChangeEvent;

use crate::{
    app::state::App,
    dialogs::overlay::Overlay,
    messages::{context::Context, event::Link},
    model::entity::Tab,
};

impl App {
    pub(super) fn set_link(&mut self, link: Link, ctx: &mut Context<'_>) {
        let came_up = link == Link::Up && self.link != Link::Up;
        match &link {
            Link::Up => tracing::info!(server = self.server, "connected"),
            Link::Down(reason) => tracing::warn!(reason, "disconnected"),
            Link::Connecting => {}
        }
        self.link = link;
        if came_up && let Some(folder) = self.new_shop.take() {
            let folder = folder.display();
            ctx.good(format!("This is a new shop, kept in {folder}."));
        }
        if came_up {
            // What happened while we were away is not known.
            self.names.clear();
            self.expire();
            self.jobs.connected(ctx);
            self.screen_mut(self.tab).show(ctx);
        }
    }

    /// Somebody has changed something: what shows it follows, what is not shown is read again once it is.
    pub(super) fn change(&mut self, change: &ChangeEvent, ctx: &mut Context<'_>) {
        if let Some(id) = change.entity_id {
            self.names.forget(id);
        }
        for tab in Tab::ALL {
            let is_concerned = tab.shows(change);
            if tab == self.tab && is_concerned {
                self.screen_mut(tab).change(change, ctx);
            } else if is_concerned {
                self.screen_mut(tab).expire();
            }
        }
        for row in &change.touched {
            let tab = Tab::of_entity(&row.entity)
                .filter(|tab| *tab == self.tab && self.screen(*tab).holds(row.id));
            if let Some(tab) = tab {
                self.touched.want(tab, row.id, ctx.now);
            }
        }
        for overlay in &mut self.overlays {
            if let Overlay::Form(form) = overlay {
                form.notice(change);
            }
        }
    }

    pub(super) fn expire(&mut self) {
        for tab in Tab::ALL {
            self.screen_mut(tab).expire();
        }
    }
}
