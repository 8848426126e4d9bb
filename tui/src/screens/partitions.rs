//! The Partitions tab: the partitions of the orders and of the change log with their rows and bytes, and commands to
//! archive, restore and delete them.

use reqwest::Method;
use stockroom_common::{
    Page,
    change::ChangeEvent,
    document,
    job::{MAX_PARTITIONS, NamedPartitions, PartitionAction, PartitionsRequest},
    partition::{Partition, PartitionState},
};

use crate::{
    messages::{
        call::{Answer, Call, Owner, Reply},
        context::Context,
        request::{Confirm, Request},
    },
    model::intent::{OnComplete, StartJob},
    screens::screen::{Screen, scrolled},
    settings::keys::{Command, Scope},
};

#[derive(Debug)]
pub struct PartitionsScreen {
    /// Newest first within each family.
    pub partitions: Vec<Partition>,
    pub selected: usize,
    /// Index of the first partition on the screen.
    pub top: usize,
    /// Why the partitions could not be read.
    pub error: Option<String>,
    pub is_loaded: bool,
    /// The action that waits for confirmation.
    asked: Option<PartitionsRequest>,
    /// The run of the call, if one is under way.
    waiting: Option<u64>,
    is_stale: bool,
}

impl Default for PartitionsScreen {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            selected: 0,
            top: 0,
            error: None,
            is_loaded: false,
            asked: None,
            waiting: None,
            is_stale: true,
        }
    }
}

impl PartitionsScreen {
    /// Starts the job for the action that was just confirmed.
    pub fn run_confirmed(&mut self, ctx: &mut Context<'_>) {
        let Some(PartitionsRequest { action, names }) = self.asked.take() else {
            return;
        };
        ctx.request(Request::StartJob(StartJob {
            path: format!("/v1/partitions/{}", action.as_str()),
            body: Some(document::to_value(&NamedPartitions { names })),
            on_complete: OnComplete::Notify,
        }));
    }

    /// Asks for confirmation. To delete partitions, the user must type the name, or the number if there are several.
    fn ask(&mut self, action: PartitionAction, mut names: Vec<String>, ctx: &mut Context<'_>) {
        // One job takes at most this many partitions. The names are newest first: keeps the oldest ones.
        names.drain(..names.len().saturating_sub(MAX_PARTITIONS));
        let (Some(first), Some(last)) = (names.first(), names.last()) else {
            return ctx.error(match action {
                PartitionAction::Archive => "Only an attached partition can be archived.",
                PartitionAction::Restore => "Only an archived partition can be restored.",
                PartitionAction::Delete => {
                    "Only an archived partition can be deleted: archive it first."
                }
            });
        };
        let count = names.len();
        let what = match count {
            1 => first.clone(),
            _ => format!("{count} partitions, {last} to {first}"),
        };
        let (question, consequence) = match action {
            PartitionAction::Archive => (
                format!("Archive {what}?"),
                "Its rows disappear from the lists until it is restored.",
            ),
            PartitionAction::Restore => {
                (format!("Restore {what}?"), "Its rows return to the lists.")
            }
            PartitionAction::Delete => (
                format!("Delete {what} permanently?"),
                "Its rows are lost. This cannot be undone.",
            ),
        };
        let typed = match action {
            PartitionAction::Delete if count == 1 => Some(first.clone()),
            PartitionAction::Delete => Some(count.to_string()),
            PartitionAction::Archive | PartitionAction::Restore => None,
        };
        self.asked = Some(PartitionsRequest { action, names });
        ctx.confirm(Confirm {
            typed,
            question,
            consequence: match count {
                1 => consequence.to_owned(),
                _ => consequence
                    .replace("Its", "Their")
                    .replace("it is", "they are"),
            },
            on_yes: Request::RunPartitionAction,
        });
    }

    /// The selected partition, if its state allows the action; otherwise empty.
    fn selected_for(&self, action: PartitionAction) -> Vec<String> {
        let selected = self.partitions.get(self.selected);
        let fits = selected.filter(|partition| partition.state == wanted(action));
        fits.into_iter()
            .map(|partition| partition.name.clone())
            .collect()
    }

    /// The selected partition and all older ones of its family whose state allows the action.
    fn older_for(&self, action: PartitionAction) -> Vec<String> {
        let Some(selected) = self.partitions.get(self.selected) else {
            return Vec::new();
        };
        let older = self.partitions[self.selected..].iter();
        let older = older.filter(|partition| partition.family == selected.family);
        let fit = older.filter(|partition| partition.state == wanted(action));
        fit.map(|partition| partition.name.clone()).collect()
    }

    fn take(&mut self, answer: &Answer, ctx: &Context<'_>) {
        match answer.read::<Page<Partition>>() {
            Ok(page) => {
                self.error = None;
                let name = self
                    .partitions
                    .get(self.selected)
                    .map(|known| known.name.clone());
                self.partitions = page.items;
                self.is_loaded = true;
                let same = self
                    .partitions
                    .iter()
                    .position(|known| Some(&known.name) == name.as_ref());
                self.select(same.unwrap_or(0), ctx);
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn select(&mut self, index: usize, ctx: &Context<'_>) {
        self.selected = index.min(self.partitions.len().saturating_sub(1));
        let len = self.partitions.len();
        self.top = scrolled(self.top, self.selected, len, ctx.rows);
    }
}

/// The state that the action requires of a partition.
const fn wanted(action: PartitionAction) -> PartitionState {
    match action {
        PartitionAction::Archive => PartitionState::Attached,
        PartitionAction::Restore | PartitionAction::Delete => PartitionState::Archived,
    }
}

impl Screen for PartitionsScreen {
    fn scope(&self) -> Scope {
        Scope::Partitions
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let page = ctx.rows.saturating_sub(1).max(1);
        match command {
            Command::Up => self.select(self.selected.saturating_sub(1), ctx),
            Command::Down => self.select(self.selected + 1, ctx),
            Command::PageUp => self.select(self.selected.saturating_sub(page), ctx),
            Command::PageDown => self.select(self.selected + page, ctx),
            Command::Home => self.select(0, ctx),
            Command::End => self.select(usize::MAX, ctx),
            Command::Archive => {
                self.ask(
                    PartitionAction::Archive,
                    self.selected_for(PartitionAction::Archive),
                    ctx,
                );
            }
            Command::ArchiveOlder => {
                self.ask(
                    PartitionAction::Archive,
                    self.older_for(PartitionAction::Archive),
                    ctx,
                );
            }
            Command::Restore => {
                self.ask(
                    PartitionAction::Restore,
                    self.selected_for(PartitionAction::Restore),
                    ctx,
                );
            }
            Command::Delete => {
                self.ask(
                    PartitionAction::Delete,
                    self.selected_for(PartitionAction::Delete),
                    ctx,
                );
            }
            Command::Refresh if !self.is_loading() => {
                self.is_stale = true;
                self.show(ctx);
            }
            Command::Back => ctx.request(Request::GoBack),
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if self
            .waiting
            .take_if(|run| *run == reply.ticket.run)
            .is_none()
        {
            return;
        }
        match &reply.result {
            Ok(answer) => {
                self.take(answer, ctx);
                // A change may have arrived while the call was under way: then reads again.
                self.show(ctx);
            }
            Err(failure) => {
                self.error = Some(failure.message().to_owned());
                self.is_stale = true;
            }
        }
    }

    fn change(&mut self, _: &ChangeEvent, ctx: &mut Context<'_>) {
        self.is_stale = true;
        if self.waiting.is_none() {
            self.show(ctx);
        }
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let ticket = ctx.ticket(Owner::Partitions);
        self.waiting = Some(ticket.run);
        ctx.send(Call::new(ticket, Method::GET, "/v1/partitions"));
    }

    fn expire(&mut self) {
        self.is_stale = true;
    }

    fn click(&mut self, row: usize, ctx: &mut Context<'_>) {
        self.select(self.top + row, ctx);
    }

    fn resize(&mut self, ctx: &mut Context<'_>) {
        self.select(self.selected, ctx);
    }

    fn is_loading(&self) -> bool {
        self.waiting.is_some()
    }
}
