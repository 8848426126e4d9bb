//! What screens wish of the application.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    app::{
        state::{App, Step},
        undo::Undo,
    },
    dialogs::{
        line::Line,
        overlay::{Export, Overlay, Prompt, Purpose},
        picker::Choice,
    },
    messages::{
        context::{Context, Toast, Views, Wish},
        event::Effect,
    },
    model::entity::{Tab, Target},
    screens::list::{self, Query},
};

impl App {
    pub(super) fn grant(&mut self, wish: Wish, ctx: &mut Context<'_>) {
        match wish {
            Wish::Open(overlay) => self.overlays.push(overlay),
            Wish::Picker(mut picker) => {
                picker.tick(ctx);
                self.overlays.push(Overlay::Picker(picker));
            }
            Wish::Review(review) => {
                let note = "What has become of the file shows when this is closed.";
                self.toast = None;
                self.lay_under(Overlay::Review(review), note);
            }
            Wish::Outcomes(outcomes) => {
                let note = "What was refused shows when this is closed.";
                self.lay_under(Overlay::Outcomes(outcomes), note);
            }
            Wish::Close => {
                self.overlays.pop();
            }
            Wish::Picked { id, label } => self.picked(id, label),
            Wish::SearchFor(search) => self.requery(|query| query.search = search, ctx),
            Wish::Goto(typed) => self.screen_mut(self.tab).goto(&typed, ctx),
            Wish::SortBy(sort) => {
                self.requery(|query| query.sort = sort, ctx);
                self.remember(ctx);
            }
            Wish::Views(wish) => self.grant_views(wish, ctx),
            Wish::Remember => self.remember(ctx),
            Wish::Undo => self.undo.undo(ctx),
            Wish::Bulk(bulk) => self.bulks.begin(*bulk, ctx),
            Wish::ClearMarks(tab) => self.screen_mut(tab).clear_marks(),
            Wish::ExportRows(tab, ids) => self.export_rows(tab, ids),
            Wish::FilterBy(chips) => self.requery(|query| query.chips = chips, ctx),
            Wish::SeedAnyway => {
                if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
                    form.seed_anyway(ctx);
                }
            }
            Wish::WorkOnPartitions => self.partitions.confirmed(ctx),
            Wish::Begin(begin) => self.jobs.begin(begin, ctx),
            Wish::Begun(job, then) => self.jobs.begun(*job, then, ctx),
            Wish::SaveExport(id, file) => self.jobs.save_export(id, file, ctx),
            Wish::Delete(deletion) => self.deletions.begin(*deletion, ctx),
            Wish::Written {
                tab,
                row,
                toast,
                undo,
            } => {
                self.wrote(toast, undo);
                if let Some(row) = row {
                    let id = row["id"].as_str().and_then(|id| id.parse().ok());
                    self.names.forget(id.unwrap_or_default());
                    self.screen_mut(tab).put(&row);
                }
                // A write may show elsewhere too: an order in the stock of its products.
                self.expire();
                self.show(self.tab, ctx);
            }
            Wish::TakeCreated { tab, row } => self.take_created(tab, &row, ctx),
            Wish::Expire => {
                self.expire();
                self.show(self.tab, ctx);
            }
            Wish::CloseForm => {
                let is_form = |overlay: &Overlay| matches!(overlay, Overlay::Form(_));
                if let Some(index) = self.overlays.iter().rposition(is_form) {
                    self.overlays.truncate(index);
                }
            }
            Wish::Follow(target) => self.follow(&target, ctx),
            Wish::Return => self.go_back(ctx),
            Wish::Run(command) => self.run(command, ctx),
            // What goes well does not hide what went wrong; any key does.
            Wish::Toast(Toast::Good(_)) if matches!(self.toast, Some(Toast::Bad(_))) => {}
            Wish::Toast(toast) => self.toast = Some(toast),
        }
    }

    fn picked(&mut self, id: Uuid, label: String) {
        self.overlays
            .pop_if(|top| matches!(top, Overlay::Picker(_)));
        self.names.learn(id, label);
        if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
            form.picked(id);
        }
    }

    fn grant_views(&mut self, wish: Views, ctx: &mut Context<'_>) {
        match wish {
            Views::Menu(tab) => self.overlays.push(Overlay::Menu(self.memory.menu(tab))),
            Views::AskName => self.overlays.push(Overlay::Prompt(Prompt {
                title: "Name of the view".into(),
                line: Line::default(),
                purpose: Purpose::SaveView,
            })),
            Views::Save(name) => {
                let query = self.present().query();
                self.memory.save_view(self.tab, name, query);
                ctx.good("The view is saved.");
                self.remember(ctx);
            }
            Views::Show(query) => self.screen_mut(self.tab).set_query(*query, ctx),
            Views::Forget(tab, index) => {
                self.memory.forget_view(tab, index);
                ctx.good("The view is forgotten.");
                self.remember(ctx);
            }
        }
    }

    /// Keeps how the lists are arranged.
    fn remember(&mut self, ctx: &mut Context<'_>) {
        for tab in Tab::ALL {
            if let Some((columns, sort)) = self.screen(tab).memory() {
                let list = self.memory.lists.entry(tab.path().into()).or_default();
                (list.columns, list.sort) = (columns, sort);
            }
        }
        let memory = Box::new(self.memory.clone());
        ctx.effects.push(Effect::Remember(memory));
    }

    fn export_rows(&mut self, tab: Tab, ids: Vec<Uuid>) {
        self.overlays.push(Overlay::Export(Export {
            path: format!("/v1/{}/export?", tab.path()),
            ids: Some(ids),
            line: Line::new(format!("{}.csv", tab.path())),
        }));
    }

    /// What was created on the way is what one was about to choose.
    fn take_created(&self, tab: Tab, row: &Value, ctx: &mut Context<'_>) {
        if let Some(Overlay::Picker(picker)) = self.overlays.last()
            && picker.tab == tab
            && let Some(Choice { id, label, .. }) = Choice::read(row)
        {
            ctx.wish(Wish::Picked { id, label });
        }
    }

    /// Tells that something was written, and how it is taken back.
    fn wrote(&mut self, toast: String, undo: Option<Undo>) {
        let possible = undo.as_ref().filter(|undo| undo.is_possible());
        let hint = possible.map(|_| self.preferences.keys.shown("undo"));
        let hint = hint.filter(|keys| !keys.is_empty());
        self.toast = Some(Toast::Good(match hint {
            Some(keys) => format!("{toast} {keys} takes it back."),
            None => toast,
        }));
        if let Some(undo) = undo {
            self.undo.push(undo);
        }
    }

    /// What has been done is told at once, but not in the middle of something else.
    fn lay_under(&mut self, overlay: Overlay, note: &str) {
        self.overlays.insert(0, overlay);
        if self.overlays.len() > 1 {
            self.toast = Some(Toast::Good(note.into()));
        }
    }

    fn requery(&mut self, change: impl FnOnce(&mut Query), ctx: &mut Context<'_>) {
        let screen = self.screen_mut(self.tab);
        let mut query = screen.query();
        query.only = None;
        change(&mut query);
        screen.set_query(query, ctx);
    }

    fn follow(&mut self, target: &Target, ctx: &mut Context<'_>) {
        self.ahead.clear();
        let (to, query) = list::query_of(target);
        self.step_to(to, query, ctx);
    }

    fn step_to(&mut self, to: Tab, query: Query, ctx: &mut Context<'_>) {
        let hidden = self.screen_mut(to).query();
        self.trail.push(Step {
            from: self.tab,
            to,
            query: query.clone(),
            hidden,
        });
        self.tab = to;
        self.screen_mut(to).set_query(query, ctx);
    }

    /// Back to where a link was followed from, or to a wider list.
    fn go_back(&mut self, ctx: &mut Context<'_>) {
        let (tab, query) = (self.tab, self.present().query());
        let wider = query.clone().wider();
        let came_by = |step: &mut Step| step.to == tab && (step.query == query || wider.is_none());
        if let Some(step) = self.trail.pop_if(came_by) {
            self.screen_mut(step.to).set_query(step.hidden.clone(), ctx);
            self.show(step.from, ctx);
            self.ahead.push(step);
        } else if let Some(wider) = wider {
            self.screen_mut(tab).set_query(wider, ctx);
        }
    }

    /// Forward again to where one has gone back from.
    pub(super) fn go_forward(&mut self, ctx: &mut Context<'_>) {
        match self.ahead.pop() {
            Some(step) => self.step_to(step.to, step.query, ctx),
            None => ctx.bad("There is nothing to go forward to."),
        }
    }
}
