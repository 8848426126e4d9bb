//! Handles the requests of screens and dialogs.

use serde_json::Value;
use uuid::Uuid;

use super::state::App;
use crate::{
    dialogs::{overlay::Overlay, picker::Choice},
    messages::{
        context::Context,
        event::{Effect, Link},
        request::{Dialog, Request, Toast},
    },
    model::{tab::Tab, undo::Undo},
};

impl App {
    pub(super) fn handle(&mut self, request: Request, ctx: &mut Context<'_>) {
        let tab = self.navigation.tab;
        match request {
            Request::Open(dialog) => self.open(*dialog, ctx),
            Request::Close => {
                self.overlays.pop();
            }
            Request::Picked { id, label } => self.picked(id, label),
            Request::SearchFor(search) => self.change_query(|query| query.search = search, ctx),
            Request::GoTo(typed) => {
                if let Some(rows) = self.screens.rows_mut(tab) {
                    rows.go_to(&typed, ctx);
                }
            }
            Request::SortBy(sort) => {
                self.change_query(|query| query.sort = sort, ctx);
                self.remember(ctx);
            }
            Request::FilterBy(chips) => self.change_query(|query| query.chips = chips, ctx),
            Request::Views(request) => self.handle_views(request, ctx),
            Request::Remember => self.remember(ctx),
            Request::Undo => self.writes.undo.undo(ctx),
            Request::Bulk(bulk) => self.writes.bulks.send(*bulk, ctx),
            Request::Delete(deletion) => self.writes.deletions.send(*deletion, ctx),
            Request::ClearMarks(tab) => {
                if let Some(rows) = self.screens.rows_mut(tab) {
                    rows.clear_marks();
                }
            }
            Request::ExportRows(tab, ids) => ctx.open(Dialog::Export {
                path: format!("/v1/{}/export?", tab.path()),
                ids: Some(ids),
                file: format!("{}.csv", tab.path()),
            }),
            Request::SeedAnyway => {
                if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
                    form.seed_anyway(ctx);
                }
            }
            Request::RunPartitionAction => self.screens.partitions.run_confirmed(ctx),
            Request::StartJob(job) => self.screens.jobs.start(job, ctx),
            Request::JobStarted(job, then) => self.screens.jobs.started(*job, then, ctx),
            Request::SaveExport(id, file) => self.screens.jobs.save_export(id, file, ctx),
            Request::Written {
                tab,
                row,
                message,
                undo,
            } => self.written(tab, row.as_ref(), message, undo, ctx),
            Request::TakeCreated { tab, row } => self.take_created(tab, &row, ctx),
            Request::Expire => {
                self.screens.expire();
                self.show(tab, ctx);
            }
            Request::CloseForm => {
                let is_form = |overlay: &Overlay| matches!(overlay, Overlay::Form(_));
                if let Some(index) = self.overlays.iter().rposition(is_form) {
                    self.overlays.truncate(index);
                }
            }
            Request::FollowLink(target) => self.follow_link(&target, ctx),
            Request::GoBack => self.go_back(ctx),
            Request::Run(command) => self.run(command, ctx),
            // A success message does not replace an error. The next key press removes the error.
            Request::Show(Toast::Info(_)) if matches!(self.toast, Some(Toast::Error(_))) => {}
            Request::Show(toast) => self.toast = Some(toast),
            Request::LogIn(secret) => {
                self.connection.link = Link::Connecting;
                ctx.effects.push(Effect::LogIn(secret));
            }
            Request::Quit => ctx.effects.push(Effect::Quit),
        }
    }

    fn open(&mut self, dialog: Dialog, ctx: &mut Context<'_>) {
        // Results of background work do not interrupt an open dialog: they open below it.
        let note = match dialog {
            Dialog::ImportReview(_) => {
                self.toast = None;
                Some("The import has an outcome; it shows when this is closed.")
            }
            Dialog::BulkOutcome { .. } => Some("The refused rows show when this is closed."),
            _ => None,
        };
        let mut overlay = Overlay::new(dialog, ctx.zone, ctx.now);
        if let Overlay::Picker(picker) = &mut overlay {
            picker.tick(ctx);
        }
        let Some(note) = note else {
            return self.overlays.push(overlay);
        };
        self.overlays.insert(0, overlay);
        if self.overlays.len() > 1 {
            self.toast = Some(Toast::Info(note.into()));
        }
    }

    fn picked(&mut self, id: Uuid, label: String) {
        let is_picker = |top: &mut Overlay| matches!(top, Overlay::Picker(_));
        self.overlays.pop_if(is_picker);
        self.names.insert(id, label);
        if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
            form.picked(id);
        }
    }

    /// Chooses the row that was just created, if its form was opened from a picker.
    fn take_created(&self, tab: Tab, row: &Value, ctx: &mut Context<'_>) {
        if let Some(Overlay::Picker(picker)) = self.overlays.last()
            && picker.tab == tab
            && let Some(Choice { id, label, .. }) = Choice::read(row)
        {
            ctx.request(Request::Picked { id, label });
        }
    }

    /// Handles a successful write: shows a message, records the undo, and updates the list.
    fn written(
        &mut self,
        tab: Tab,
        row: Option<&Value>,
        message: String,
        undo: Option<Undo>,
        ctx: &mut Context<'_>,
    ) {
        let possible = undo.as_ref().filter(|undo| undo.is_possible());
        let hint = possible.map(|_| self.preferences.keys.shown("undo"));
        let hint = hint.filter(|keys| !keys.is_empty());
        self.toast = Some(Toast::Info(match hint {
            Some(keys) => format!("{message} {keys} undoes it."),
            None => message,
        }));
        if let Some(undo) = undo {
            self.writes.undo.push(undo);
        }
        if let Some(row) = row {
            let id = row["id"].as_str().and_then(|id| id.parse().ok());
            self.names.remove(id.unwrap_or_default());
            if let Some(rows) = self.screens.rows_mut(tab) {
                rows.put(row);
            }
        }
        // A write may affect other lists: an order changes the stock of its products.
        self.screens.expire();
        self.show(self.navigation.tab, ctx);
    }
}
