//! The Partitions tab: how orders and the change log are spread over time, and taking old parts off
//! and back.

use std::collections::VecDeque;

use reqwest::Method;
use stockroom_common::{
    Page,
    partition::{Partition, PartitionState},
};

use crate::{
    context::{Context, Wish},
    event::{Answer, Call, Owner, Reply},
    keys::{Command, Scope},
    overlay::{Confirm, Consent, Overlay},
    screen::Screen,
};

#[derive(Debug)]
pub struct PartitionsScreen {
    /// Of each family the newest first.
    pub partitions: Vec<Partition>,
    pub selected: usize,
    /// The first one on the screen.
    pub top: usize,
    /// Why the work ended before its end.
    pub error: Option<String>,
    /// Why the partitions could not be read.
    pub read_error: Option<String>,
    pub is_loaded: bool,
    /// What is under way.
    pub work: Option<Work>,
    /// What a yes would do.
    asked: Option<Work>,
    waiting: Option<u64>,
    is_stale: bool,
}

/// The same done to some partitions, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub action: Action,
    /// The names of those to come; the first is under way.
    pub left: VecDeque<String>,
    pub total: usize,
    /// The run of its call.
    run: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Archive,
    Restore,
    /// For good.
    Delete,
}

impl Action {
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Archive => "Archiving",
            Self::Restore => "Restoring",
            Self::Delete => "Deleting",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Archive => "Archived",
            Self::Restore => "Restored",
            Self::Delete => "Deleted",
        }
    }

    /// In which state a partition must be.
    const fn wants(self) -> PartitionState {
        match self {
            Self::Archive => PartitionState::Attached,
            Self::Restore | Self::Delete => PartitionState::Archived,
        }
    }

    fn request(self, name: &str) -> (Method, String) {
        let path = format!("/v1/partitions/{name}");
        match self {
            Self::Archive => (Method::POST, format!("{path}/archive")),
            Self::Restore => (Method::POST, format!("{path}/restore")),
            Self::Delete => (Method::DELETE, path),
        }
    }
}

impl Default for PartitionsScreen {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            selected: 0,
            top: 0,
            error: None,
            read_error: None,
            is_loaded: false,
            work: None,
            asked: None,
            waiting: None,
            is_stale: true,
        }
    }
}

impl PartitionsScreen {
    /// Does what was asked for, now that it was confirmed.
    pub fn confirmed(&mut self, ctx: &mut Context<'_>) {
        self.work = self.asked.take();
        self.error = None;
        self.go_on(ctx);
    }

    fn ask(&mut self, action: Action, names: Vec<String>, ctx: &mut Context<'_>) {
        if self.work.is_some() {
            return ctx.bad("Something is under way; wait for it.");
        }
        let (Some(first), Some(last)) = (names.first(), names.last()) else {
            return ctx.bad(match action {
                Action::Archive => "Only what is attached can be archived.",
                Action::Restore => "Only what is archived can be restored.",
                Action::Delete => {
                    "Only what is archived can be deleted for good: archive it first."
                }
            });
        };
        let count = names.len();
        let what = match count {
            1 => first.clone(),
            _ => format!("{count} partitions, {last} to {first}"),
        };
        let (question, consequence) = match action {
            Action::Archive => (
                format!("Archive {what}?"),
                "Its rows leave the lists and cannot be opened until it is restored.",
            ),
            Action::Restore => (
                format!("Restore {what}?"),
                "Its rows come back as they were.",
            ),
            Action::Delete => (
                format!("Delete {what} for good?"),
                "Its rows are lost. There is no way back.",
            ),
        };
        self.asked = Some(Work {
            action,
            total: names.len(),
            left: names.into(),
            run: 0,
        });
        ctx.wish(Wish::Open(Overlay::Confirm(Confirm {
            question,
            consequence: match count {
                1 => consequence.to_owned(),
                _ => consequence
                    .replace("Its", "Their")
                    .replace("it is", "they are"),
            },
            yes: Consent::Partitions,
        })));
    }

    /// The selected partition, if the action can be done to it.
    fn selected_for(&self, action: Action) -> Vec<String> {
        let selected = self.partitions.get(self.selected);
        let fits = selected.filter(|partition| partition.state == action.wants());
        fits.into_iter()
            .map(|partition| partition.name.clone())
            .collect()
    }

    /// The selected partition and all older ones of its family.
    fn older_for(&self, action: Action) -> Vec<String> {
        let Some(selected) = self.partitions.get(self.selected) else {
            return Vec::new();
        };
        let older = self.partitions[self.selected..].iter();
        let older = older.filter(|partition| partition.family == selected.family);
        let fit = older.filter(|partition| partition.state == action.wants());
        fit.map(|partition| partition.name.clone()).collect()
    }

    fn go_on(&mut self, ctx: &mut Context<'_>) {
        let Some(work) = &mut self.work else {
            return;
        };
        let Some(name) = work.left.front() else {
            let (action, total) = (work.action, work.total);
            self.work = None;
            ctx.good(match total {
                1 => format!("{} the partition.", action.done()),
                total => format!("{} {total} partitions.", action.done()),
            });
            ctx.wish(Wish::Expire);
            return;
        };
        let (method, path) = work.action.request(name);
        let ticket = ctx.ticket(Owner::Archive);
        work.run = ticket.run;
        ctx.send(Call::new(ticket, method, path));
    }

    /// Takes the answer to one piece of work.
    fn worked(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let Some(work) = self
            .work
            .as_mut()
            .filter(|work| work.run == reply.ticket.run)
        else {
            return;
        };
        match &reply.result {
            Ok(answer) => {
                work.left.pop_front();
                if let Ok(changed) = answer.read::<Partition>() {
                    let mut known = self.partitions.iter_mut();
                    if let Some(known) = known.find(|known| known.name == changed.name) {
                        *known = changed;
                    }
                }
                self.go_on(ctx);
            }
            Err(failure) => {
                let name = work.left.front().cloned().unwrap_or_default();
                self.error = Some(format!("{name}: {}", failure.message()));
                self.work = None;
                // Some may be done, and of this one it may not be known.
                ctx.wish(Wish::Expire);
            }
        }
    }

    fn take(&mut self, answer: &Answer, ctx: &Context<'_>) {
        match answer.read::<Page<Partition>>() {
            Ok(page) => {
                self.read_error = None;
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
            Err(error) => self.read_error = Some(error),
        }
    }

    fn select(&mut self, index: usize, ctx: &Context<'_>) {
        self.selected = index.min(self.partitions.len().saturating_sub(1));
        let lowest_top = (self.selected + 1).saturating_sub(ctx.rows);
        self.top = self.top.clamp(lowest_top, self.selected.max(lowest_top));
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
                self.ask(Action::Archive, self.selected_for(Action::Archive), ctx);
            }
            Command::ArchiveOlder => {
                self.ask(Action::Archive, self.older_for(Action::Archive), ctx);
            }
            Command::Restore => {
                self.ask(Action::Restore, self.selected_for(Action::Restore), ctx);
            }
            Command::Delete => {
                self.ask(Action::Delete, self.selected_for(Action::Delete), ctx);
            }
            Command::Refresh if !self.is_loading() => {
                self.is_stale = true;
                self.show(ctx);
            }
            Command::Back => ctx.wish(Wish::Return),
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if reply.ticket.owner == Owner::Archive {
            return self.worked(reply, ctx);
        }
        if self
            .waiting
            .take_if(|run| *run == reply.ticket.run)
            .is_none()
        {
            return;
        }
        match &reply.result {
            Ok(answer) => self.take(answer, ctx),
            Err(failure) => {
                self.read_error = Some(failure.message().to_owned());
                self.is_stale = true;
            }
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
        self.waiting.is_some() || self.work.is_some()
    }
}
