//! Saved views, and the arrangement of the lists, which is kept between runs.

use super::state::App;
use crate::{
    messages::{
        context::Context,
        event::Effect,
        request::{Dialog, Menu, MenuItem, PromptPurpose, Request, ViewRequest},
    },
    model::{tab::Tab, text},
    settings::memory::Memory,
};

impl App {
    /// Restores the arrangement of the lists from an earlier run.
    pub fn restore(&mut self, memory: Memory) {
        for tab in Tab::ALL {
            if let Some(list) = memory.lists.get(tab.path())
                && let Some(rows) = self.screens.rows_mut(tab)
            {
                rows.restore(list);
            }
        }
        self.memory = memory;
    }

    /// Saves the arrangement of the lists for the next run.
    pub(super) fn remember(&mut self, ctx: &mut Context<'_>) {
        for tab in Tab::ALL {
            if let Some(rows) = self.screens.rows(tab) {
                let list = self.memory.lists.entry(tab.path().into()).or_default();
                (list.columns, list.sort) = rows.memory();
            }
        }
        let memory = Box::new(self.memory.clone());
        ctx.effects.push(Effect::Remember(memory));
    }

    pub(super) fn handle_views(&mut self, request: ViewRequest, ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        match request {
            ViewRequest::Menu(tab) => ctx.open(Dialog::Menu(self.views_menu(tab))),
            ViewRequest::AskName => ctx.open(Dialog::Prompt {
                title: "Name of the view".into(),
                text: String::new(),
                purpose: PromptPurpose::SaveView,
            }),
            ViewRequest::Save(name) => {
                let query = self.query(tab);
                self.memory.save_view(tab, name, query);
                ctx.info("The view is saved.");
                self.remember(ctx);
            }
            ViewRequest::Show(query) => self.set_query(tab, *query, ctx),
            ViewRequest::Delete(tab, index) => {
                self.memory.delete_view(tab, index);
                ctx.info("The view is deleted.");
                self.remember(ctx);
            }
        }
    }

    /// A menu with the saved views of a list, and an item to save a new one.
    fn views_menu(&self, tab: Tab) -> Menu {
        let views = self.memory.views(tab).iter().enumerate();
        let mut items: Vec<MenuItem> = views
            .map(|(index, view)| MenuItem {
                label: text::clean(&view.name).into_owned(),
                on_select: Request::Views(ViewRequest::Show(Box::new(view.query.clone()))),
                on_delete: Some(Request::Views(ViewRequest::Delete(tab, index))),
            })
            .collect();
        let save = Request::Views(ViewRequest::AskName);
        items.push(MenuItem::new("save what is shown…", save));
        Menu {
            title: "Views".into(),
            items,
            selected: 0,
        }
    }
}
