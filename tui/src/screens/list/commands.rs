//! The commands of a list.

use super::{ListScreen, PageRequest, columns::Resize};
use crate::{
    messages::{
        context::Context,
        request::{Dialog, PromptPurpose, Request, ViewRequest},
    },
    model::{entity::Entity, form_spec::FormSpec, tab::Tab, text},
    screens::list::DetailPane,
    settings::keys::Command,
};

impl<R: Entity> ListScreen<R> {
    pub(super) fn list_command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let page = ctx.rows.max(2) as isize - 1;
        match command {
            Command::Up => self.move_by(-1, ctx),
            Command::Down => self.move_by(1, ctx),
            Command::PageUp => self.move_by(-page, ctx),
            Command::PageDown => self.move_by(page, ctx),
            Command::Home => self.jump(PageRequest::First, ctx),
            Command::End => self.jump(PageRequest::Last, ctx),
            Command::Open if !self.window.is_empty() => self.detail = Some(DetailPane::default()),
            Command::New => ctx.open(Dialog::Form(FormSpec::create::<R>())),
            Command::Edit => self.edit(ctx),
            // While the detail pane is open, delete applies to the row in the pane, not to the marked rows.
            Command::Delete if !self.marks.is_empty() && self.detail.is_none() => {
                self.ask_delete_marked(ctx);
            }
            Command::Delete => self.ask_delete(ctx),
            Command::Mark => self.toggle_mark(ctx),
            Command::MarkRange => self.mark_range(ctx),
            Command::MarkAll => self.mark_loaded(ctx),
            Command::Bulk => self.bulk_menu(ctx),
            Command::Search => ctx.open(Dialog::Prompt {
                title: format!("Search by {}", R::SEARCHES),
                text: self.query.search.clone(),
                purpose: PromptPurpose::Search,
            }),
            Command::Goto => self.ask_goto(ctx),
            Command::Count => self.count_exactly(ctx),
            Command::Export => self.ask_export(ctx),
            Command::Import => ctx.open(Dialog::Import { resource: R::PATH }),
            Command::Filter if R::FILTERS_FORM.is_empty() => {
                ctx.error(format!(
                    "There are no filters here. Press / to search by {}.",
                    R::SEARCHES
                ));
            }
            Command::Filter => {
                ctx.open(Dialog::Form(FormSpec::filter::<R>(&self.query.chips)));
            }
            Command::Sort => ctx.open(Dialog::Menu(self.sort_menu())),
            Command::Views => ctx.request(Request::Views(ViewRequest::Menu(R::TAB))),
            Command::Refresh | Command::RefreshUncached => self.refresh(ctx),
            Command::Back if !self.marks.is_empty() => self.marks.clear(),
            Command::Back if self.counting.is_some() => self.stop_counting(ctx),
            Command::Back => ctx.request(Request::GoBack),
            command => self.column_command(command, ctx),
        }
    }

    fn column_command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::ColumnLeft => return self.columns.select_by(-1),
            Command::ColumnRight => return self.columns.select_by(1),
            Command::ColumnSort => return self.sort_by_column(ctx),
            Command::ColumnHide => match self.columns.hide() {
                Some(title) => ctx.info(format!("{title} is hidden; + shows all columns.")),
                None => return ctx.error("The last column cannot be hidden."),
            },
            Command::ColumnsReset => self.columns.reset::<R>(),
            Command::ColumnEarlier => self.columns.move_column_by(-1),
            Command::ColumnLater => self.columns.move_column_by(1),
            Command::ColumnNarrower => self.columns.resize::<R>(Resize::Shrink),
            Command::ColumnWider => self.columns.resize::<R>(Resize::Grow),
            _ => return,
        }
        ctx.request(Request::Remember);
    }

    /// Sorts by the selected column in ascending order, or in descending order if that is the current sort.
    fn sort_by_column(&self, ctx: &mut Context<'_>) {
        let Some(column) = self.columns.selected_column::<R>() else {
            return;
        };
        let Some(key) = column.sort else {
            let keys: Vec<String> = R::SORTS.iter().map(|key| sort_label(key)).collect();
            let keys = keys.join(", ");
            return ctx.error(format!(
                "{} is not a sort key; sort by {keys}.",
                column.title
            ));
        };
        let reversed = format!("-{key}");
        let next = if self.sort() == key {
            reversed
        } else {
            key.to_owned()
        };
        ctx.request(Request::SortBy(next));
    }

    /// The sort of the list, as the API's `sort` parameter: the key, with a leading `-` if descending.
    pub fn sort(&self) -> &str {
        match self.query.sort.as_str() {
            "" => R::DEFAULT_SORT,
            sort => sort,
        }
    }

    fn ask_goto(&self, ctx: &mut Context<'_>) {
        let key = self.sort().trim_start_matches('-');
        let hint = if is_time(key) { " (2026-11-24)" } else { "" };
        ctx.open(Dialog::Prompt {
            title: format!("Go to {}{hint}", sort_label(key)),
            text: String::new(),
            purpose: PromptPurpose::GoTo,
        });
    }

    /// Jumps to a value of the sort key. Unlike a filter, this keeps the rows before and after it in the list.
    pub(super) fn seek(&mut self, typed: &str, ctx: &mut Context<'_>) {
        let sort = self.sort();
        let key = sort.trim_start_matches('-');
        let value = match key {
            key if is_time(key) => {
                let at = text::parse_time(typed, ctx.zone);
                // In descending order the day starts with its latest row: seeks from the start of the next day.
                let is_day = !typed.trim().contains(' ');
                let ahead = i64::from(is_day && sort.starts_with('-'));
                let at = at.and_then(|at| at.checked_add_signed(chrono::Duration::days(ahead)));
                at.map(|at| at.to_rfc3339())
            }
            "price_minor" => text::parse_money(typed).map(|minor| minor.to_string()),
            "stock" => text::ungrouped(typed.trim()),
            _ => Some(typed.trim().to_owned()),
        };
        match value {
            Some(value) => self.ask(PageRequest::Seek(value), ctx),
            None if is_time(key) => {
                ctx.error("Write a day like 2026-11-24, or a time like 2026-11-24 09:30.")
            }
            None => ctx.error("Write a number."),
        }
    }
}

fn is_time(key: &str) -> bool {
    key.ends_with("_at")
}

pub(super) fn sort_label(key: &str) -> String {
    key.replace("_minor", "").replace('_', " ")
}

/// The consequences of deleting a row, for the confirmation dialog.
pub(super) const fn consequence(tab: Tab) -> &'static str {
    match tab {
        Tab::Orders => {
            "Its lines are deleted too. Stock that a pending or paid order reserved is released."
        }
        _ => "Only this row is deleted. If other rows refer to it, the server refuses.",
    }
}
