//! What is done once a job has ended: an export is saved, what became of a file is shown, anything else is
//! told.

use reqwest::Method;
use stockroom_common::job::{Job, JobRequest, JobState, PartitionAction};
use uuid::Uuid;

use super::{JobsScreen, Then, Want};
use crate::{
    messages::{
        context::{Context, Wish},
        event::{Answer, Call, Effect, Failure, Owner, Reply, Written},
    },
    model::text,
};

impl JobsScreen {
    /// Saves the export of a job under that name.
    pub fn save_export(&mut self, id: Uuid, file: String, ctx: &mut Context<'_>) {
        if let Some(job) = self.jobs.iter().find(|job| job.id.uuid() == id).cloned() {
            ctx.good("Saving it; you may go on meanwhile, or leave.");
            ctx.effects.push(Effect::Await(id, file.clone()));
            self.awaited.insert(id, Then::Save(file.clone()));
            self.save(&job, file, ctx);
        }
    }

    /// Does what was to be done once the job has ended.
    pub(super) fn ended(&mut self, job: &Job, ctx: &mut Context<'_>) {
        let is_written = match &job.request {
            JobRequest::Import(import) => !import.dry_run,
            JobRequest::Seed(_) | JobRequest::Partitions(_) => true,
            JobRequest::Export(_) => false,
        };
        if is_written {
            ctx.wish(Wish::Expire);
        }
        let id = job.id.uuid();
        match self.awaited.get(&id).cloned() {
            // It is awaited until it is saved.
            Some(Then::Save(file)) if job.has_export() => return self.save(job, file, ctx),
            Some(Then::Save(_)) if job.state == JobState::Done => {
                ctx.bad(format!("{}: its file is not kept any more.", capital(job)));
            }
            Some(Then::Review) if job.state == JobState::Done => self.review(job, ctx),
            Some(_) => match &job.problem {
                Some(problem) => ctx.bad(format!("{}: {}", capital(job), problem.detail)),
                None => ctx.good(told(job)),
            },
            None => {}
        }
        self.forget(id, ctx);
    }

    pub(super) fn forget(&mut self, id: Uuid, ctx: &mut Context<'_>) {
        if let Some(Then::Save(_)) = self.awaited.remove(&id) {
            ctx.effects.push(Effect::Forget(id));
        }
    }

    /// Asks for jobs that are awaited and no longer listed.
    pub(super) fn look_for_others(&mut self, listed: &[Job], ctx: &mut Context<'_>) {
        let awaited = self.awaited.keys().copied();
        let others: Vec<Uuid> = awaited
            .filter(|id| listed.iter().all(|job| job.id.uuid() != *id))
            .collect();
        for id in others {
            let ticket = ctx.ticket(Owner::Review(id));
            self.asked.insert(ticket.run, Want::Look(id));
            ctx.send(Call::new(ticket, Method::GET, format!("/v1/jobs/{id}")));
        }
    }

    /// Saves the export of a job, unless that is under way.
    fn save(&mut self, job: &Job, file: String, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        let mut asked = self.asked.values();
        if asked.any(|want| matches!(want, Want::Save(saving) if *saving == id)) {
            return;
        }
        let path = format!("/v1/jobs/{id}/file");
        let run = ctx.download(Owner::Download, path, file);
        self.asked.insert(run, Want::Save(id));
    }

    /// Takes what has become of the file of an export.
    pub(super) fn saved(&mut self, id: Uuid, reply: &Reply, ctx: &mut Context<'_>) {
        match reply.result.as_ref().map(Answer::read::<Written>) {
            Ok(Ok(Written { file, bytes })) => {
                ctx.good(format!("Exported to {file}: {}.", text::bytes(bytes)));
            }
            Ok(Err(error)) => ctx.bad(error),
            // It is tried again once the server is there again.
            Err(failure @ (Failure::NoAnswer(_) | Failure::Unreachable(_))) => {
                return ctx.bad(format!(
                    "The export is not saved yet: {}",
                    failure.message()
                ));
            }
            Err(failure) => ctx.bad(format!(
                "{} The export is kept for a day: Enter on the Jobs tab saves it.",
                failure.message()
            )),
        }
        self.forget(id, ctx);
    }

    /// Reads the job with all that is known of its rows.
    pub(super) fn review(&mut self, job: &Job, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        let ticket = ctx.ticket(Owner::Review(id));
        // An earlier one is given up, and never answered.
        self.asked
            .retain(|_, want| !matches!(want, Want::Review(asked) if *asked == id));
        self.asked.insert(ticket.run, Want::Review(id));
        let path = format!("/v1/jobs/{id}");
        ctx.send(Call::new(ticket, Method::GET, path));
    }
}

fn capital(job: &Job) -> String {
    let words = job.request.to_string();
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// What is said of a job that has come to its end without a fault.
fn told(job: &Job) -> String {
    if job.state == JobState::Cancelled {
        return format!("{}: cancelled.", capital(job));
    }
    match &job.request {
        JobRequest::Partitions(request) => {
            let done = match request.action {
                PartitionAction::Archive => "Archived",
                PartitionAction::Restore => "Restored",
                PartitionAction::Delete => "Deleted",
            };
            match request.names.as_slice() {
                [name] => format!("{done} {name}."),
                names => format!("{done} {} partitions.", names.len()),
            }
        }
        _ => format!("{}: done.", capital(job)),
    }
}
