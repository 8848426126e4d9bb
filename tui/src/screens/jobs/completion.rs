//! What happens when a job has ended: an export is saved, the report of an import is shown, and other jobs get a
//! message.

use reqwest::Method;
use stockroom_common::job::{Job, JobRequest, JobState, PartitionAction};
use uuid::Uuid;

use super::{JobsScreen, PendingRequest};
use crate::{
    messages::{
        call::{Answer, Call, Failure, Owner, Reply, Written},
        context::Context,
        event::Effect,
        request::Request,
    },
    model::{intent::OnComplete, text},
};

impl JobsScreen {
    /// Downloads the export of a listed job to a file.
    pub fn save_export(&mut self, id: Uuid, file: String, ctx: &mut Context<'_>) {
        if let Some(job) = self.jobs.iter().find(|job| job.id.uuid() == id).cloned() {
            ctx.info("Saving in the background.");
            ctx.effects.push(Effect::TrackExport(id, file.clone()));
            self.on_complete.insert(id, OnComplete::Save(file.clone()));
            self.save(&job, file, ctx);
        }
    }

    /// Runs the completion action of a job that has ended.
    pub(super) fn ended(&mut self, job: &Job, ctx: &mut Context<'_>) {
        let is_written = match &job.request {
            JobRequest::Import(import) => !import.dry_run,
            JobRequest::Seed(_) | JobRequest::Partitions(_) => true,
            JobRequest::Export(_) => false,
        };
        if is_written {
            ctx.request(Request::Expire);
        }
        let id = job.id.uuid();
        match self.on_complete.get(&id).cloned() {
            // Stays tracked until the file is saved.
            Some(OnComplete::Save(file)) if job.has_export() => return self.save(job, file, ctx),
            Some(OnComplete::Save(_)) if job.state == JobState::Done => {
                ctx.error(format!(
                    "{}: its file has expired. Export again.",
                    capitalized(job)
                ));
            }
            Some(OnComplete::Review) if job.state == JobState::Done => self.review(job, ctx),
            Some(_) => match &job.problem {
                Some(problem) => ctx.error(format!("{}: {}", capitalized(job), problem.detail)),
                None => ctx.info(completion_message(job)),
            },
            None => {}
        }
        self.untrack(id, ctx);
    }

    /// Stops tracking a job. For an export, later runs of the client do not track it either.
    pub(super) fn untrack(&mut self, id: Uuid, ctx: &mut Context<'_>) {
        if let Some(OnComplete::Save(_)) = self.on_complete.remove(&id) {
            ctx.effects.push(Effect::UntrackExport(id));
        }
    }

    /// Looks up tracked jobs that are no longer listed.
    pub(super) fn look_up_others(&mut self, listed: &[Job], ctx: &mut Context<'_>) {
        let awaited = self.on_complete.keys().copied();
        let others: Vec<Uuid> = awaited
            .filter(|id| listed.iter().all(|job| job.id.uuid() != *id))
            .collect();
        for id in others {
            let ticket = ctx.ticket(Owner::Review(id));
            self.pending.insert(ticket.run, PendingRequest::LookUp(id));
            ctx.send(Call::new(ticket, Method::GET, format!("/v1/jobs/{id}")));
        }
    }

    /// Downloads the export of a job, unless a download is under way.
    fn save(&mut self, job: &Job, file: String, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        let mut asked = self.pending.values();
        if asked.any(|want| matches!(want, PendingRequest::Save(saving) if *saving == id)) {
            return;
        }
        let path = format!("/v1/jobs/{id}/file");
        let run = ctx.download(Owner::Download, path, file);
        self.pending.insert(run, PendingRequest::Save(id));
    }

    /// Handles the end of a download.
    pub(super) fn saved(&mut self, id: Uuid, reply: &Reply, ctx: &mut Context<'_>) {
        match reply.result.as_ref().map(Answer::read::<Written>) {
            Ok(Ok(Written { file, bytes })) => {
                ctx.info(format!("Exported to {file}: {}.", text::bytes(bytes)));
            }
            Ok(Err(error)) => ctx.error(error),
            // Stays tracked: the first event of the next stream starts the download again.
            Err(failure @ (Failure::NoAnswer(_) | Failure::Unreachable(_))) => {
                return ctx.error(format!(
                    "The export is not saved yet: {}",
                    failure.message()
                ));
            }
            Err(failure) => ctx.error(format!(
                "{} The server keeps the export for a day; press Enter on the Jobs tab to save it.",
                failure.message()
            )),
        }
        self.untrack(id, ctx);
    }

    /// Reads a job with its full report. Lists of jobs leave out the refused rows.
    pub(super) fn review(&mut self, job: &Job, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        let ticket = ctx.ticket(Owner::Review(id));
        // The new read cancels an earlier one of the same job, which then never gets a reply.
        self.pending
            .retain(|_, want| !matches!(want, PendingRequest::Review(asked) if *asked == id));
        self.pending.insert(ticket.run, PendingRequest::Review(id));
        let path = format!("/v1/jobs/{id}");
        ctx.send(Call::new(ticket, Method::GET, path));
    }
}

fn capitalized(job: &Job) -> String {
    let name = job.request.to_string();
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// The message for a job that has ended without a problem.
fn completion_message(job: &Job) -> String {
    if job.state == JobState::Cancelled {
        return format!("{}: cancelled.", capitalized(job));
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
        _ => format!("{}: done.", capitalized(job)),
    }
}
