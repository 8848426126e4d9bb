//! What the keys of a list do.

use super::{ListScreen, Want, columns::Wider};
use crate::{
    dialogs::{
        form::Form,
        import,
        line::Line,
        overlay::{Overlay, Prompt, Purpose},
    },
    messages::context::{Context, Views, Wish},
    model::{
        entity::{Entity, Tab},
        text,
    },
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
            Command::Home => self.jump(Want::First, ctx),
            Command::End => self.jump(Want::Last, ctx),
            Command::Open if !self.window.is_empty() => self.detail = Some(DetailPane::default()),
            Command::New => ctx.wish(Wish::Open(Overlay::Form(Box::new(Form::create::<R>(
                ctx.zone,
            ))))),
            Command::Edit => self.edit(ctx),
            // In the pane of one row it is that row.
            Command::Delete if !self.marks.is_empty() && self.detail.is_none() => {
                self.ask_delete_marked(ctx);
            }
            Command::Delete => self.ask_delete(ctx),
            Command::Mark => self.toggle_mark(ctx),
            Command::MarkRange => self.mark_range(ctx),
            Command::MarkAll => self.mark_held(ctx),
            Command::Bulk => self.bulk_menu(ctx),
            Command::Search => ctx.wish(Wish::Open(Overlay::Prompt(Prompt {
                title: format!("Search by {}", R::SEARCHES),
                line: Line::selected(self.query.search.clone()),
                purpose: Purpose::Search,
            }))),
            Command::Goto => self.ask_goto(ctx),
            Command::Count => self.count_exactly(ctx),
            Command::Export => self.ask_export(ctx),
            Command::Import => ctx.wish(Wish::Open(Overlay::Import(import::Ask {
                resource: R::PATH,
                line: Line::new(String::new()),
            }))),
            Command::Filter if R::FILTERS_FORM.is_empty() => {
                ctx.bad(format!(
                    "There are no filters here; search by {} with /",
                    R::SEARCHES
                ));
            }
            Command::Filter => {
                let form = Form::filter::<R>(&self.query.chips, ctx.zone);
                ctx.wish(Wish::Open(Overlay::Form(Box::new(form))));
            }
            Command::Sort => ctx.wish(Wish::Open(Overlay::Menu(self.sort_menu()))),
            Command::Views => ctx.wish(Wish::Views(Views::Menu(R::TAB))),
            Command::Refresh | Command::RefreshPast => self.refresh(ctx),
            Command::Back if !self.marks.is_empty() => self.marks.clear(),
            Command::Back if self.counting.is_some() => self.stop_counting(ctx),
            Command::Back => ctx.wish(Wish::Return),
            command => self.column_command(command, ctx),
        }
    }

    fn column_command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::ColumnLeft => return self.columns.move_by(-1),
            Command::ColumnRight => return self.columns.move_by(1),
            Command::ColumnSort => return self.sort_by_column(ctx),
            Command::ColumnHide => match self.columns.hide() {
                Some(title) => ctx.good(format!("{title} is hidden; + shows all columns again.")),
                None => return ctx.bad("This is the last column."),
            },
            Command::ColumnsReset => self.columns.reset::<R>(),
            Command::ColumnEarlier => self.columns.carry_by(-1),
            Command::ColumnLater => self.columns.carry_by(1),
            Command::ColumnNarrower => self.columns.widen::<R>(Wider::No),
            Command::ColumnWider => self.columns.widen::<R>(Wider::Yes),
            _ => return,
        }
        ctx.wish(Wish::Remember);
    }

    /// Sorts by the selected column, and the other way round where it is sorted by that.
    fn sort_by_column(&self, ctx: &mut Context<'_>) {
        let Some(column) = self.columns.selected_column::<R>() else {
            return;
        };
        let Some(key) = column.sort else {
            let keys: Vec<String> = R::SORTS.iter().map(|key| words(key)).collect();
            let keys = keys.join(", ");
            return ctx.bad(format!("{} cannot be sorted by; {keys} can.", column.title));
        };
        let reversed = format!("-{key}");
        let next = match self.sort() == key {
            true => reversed,
            false => key.to_owned(),
        };
        ctx.wish(Wish::SortBy(next));
    }

    /// The order of the rows, in the form of the API's `sort`.
    pub fn sort(&self) -> &str {
        match self.query.sort.as_str() {
            "" => R::DEFAULT_SORT,
            sort => sort,
        }
    }

    fn ask_goto(&self, ctx: &mut Context<'_>) {
        let key = self.sort().trim_start_matches('-');
        let hint = if is_time(key) { " (2026-11-24)" } else { "" };
        ctx.wish(Wish::Open(Overlay::Prompt(Prompt {
            title: format!("Go to {}{hint}", words(key)),
            line: Line::default(),
            purpose: Purpose::Goto,
        })));
    }

    /// Goes to where the sort key has that value; the rest of the list stays on both sides.
    pub(super) fn seek(&mut self, typed: &str, ctx: &mut Context<'_>) {
        let sort = self.sort();
        let key = sort.trim_start_matches('-');
        let value = match key {
            key if is_time(key) => {
                let at = text::parse_time(typed, ctx.zone);
                // Of a day the last order is its first from above.
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
            Some(value) => self.ask(Want::Seek(value), ctx),
            None if is_time(key) => {
                ctx.bad("Write a day like 2026-11-24, with a time after it or not.")
            }
            None => ctx.bad("Write a number."),
        }
    }
}

fn is_time(key: &str) -> bool {
    key.ends_with("_at")
}

fn words(key: &str) -> String {
    key.replace("_minor", "").replace('_', " ")
}

/// What deleting does beside taking rows away.
pub(super) const fn consequence(tab: Tab) -> &'static str {
    match tab {
        Tab::Orders => {
            "Its lines go too. What a pending or paid order held goes back to the stock."
        }
        _ => "Only this row goes; if others refer to it, the server refuses.",
    }
}
