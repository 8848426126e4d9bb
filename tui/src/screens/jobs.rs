//! The Jobs tab: all background jobs of the server, whichever client started them. An event stream reports their
//! progress; its first event lists all jobs, so a client that reconnects catches up. When a job of this client ends,
//! its export is saved or its report is shown (see [`OnComplete`]).

mod completion;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use stockroom_common::{
    Kind,
    job::{Job, JobKind, JobRequest, JobState},
    seed::NewSeedJob,
};
use uuid::Uuid;

use crate::{
    messages::{
        call::{Answer, Call, Failure, Owner, Reply},
        context::Context,
        event::Effect,
        request::{Dialog, PromptPurpose, Request},
    },
    model::{
        form_spec::FormSpec,
        intent::{OnComplete, StartJob},
    },
    screens::screen::{Screen, scrolled},
    settings::keys::{Command, Scope},
};

/// Delay before a broken event stream is opened again.
const RETRY: Duration = Duration::from_secs(2);
/// Jobs listed, the same as by the server: 1,000 unfinished and 100 ended ones.
const MAX_JOBS: usize = 1_100;

#[derive(Debug)]
pub struct JobsScreen {
    /// Newest first.
    pub jobs: Vec<Job>,
    pub selected: usize,
    /// Index of the first job on the screen.
    pub top: usize,
    pub is_loaded: bool,
    /// Why the jobs could not be read.
    pub error: Option<String>,
    /// The values that the seed form starts with.
    request: NewSeedJob,
    /// What to do when a job ends. Only jobs that this client started, or whose export it saves.
    on_complete: BTreeMap<Uuid, OnComplete>,
    /// Calls under way, keyed by run.
    pending: HashMap<u64, PendingRequest>,
    /// The run of the open event stream.
    following: Option<u64>,
    /// When to open the event stream again after a failure.
    follow_at: Option<Instant>,
    /// Whether the stream has yet to send its first event, which lists all jobs.
    is_first: bool,
}

/// The purpose of a call.
#[derive(Clone, Debug)]
enum PendingRequest {
    Start(OnComplete),
    Cancel,
    Review(Uuid),
    /// Finds out whether a tracked job has ended.
    LookUp(Uuid),
    /// Downloads the export of a job.
    Save(Uuid),
}

impl Default for JobsScreen {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            selected: 0,
            top: 0,
            is_loaded: false,
            error: None,
            request: NewSeedJob::SMALL,
            on_complete: BTreeMap::new(),
            pending: HashMap::new(),
            following: None,
            follow_at: None,
            is_first: false,
        }
    }
}

impl JobsScreen {
    /// The job of that kind that is running, or is next to run.
    pub fn under_way(&self, kind: JobKind) -> Option<&Job> {
        let unfinished = |job: &&Job| job.request.kind() == kind && !job.state.is_final();
        // The list is newest first, and the oldest job runs first.
        self.jobs.iter().rev().find(unfinished)
    }

    /// Continues to track exports that an earlier run of the client started.
    pub fn track_exports(&mut self, exports: Vec<(Uuid, String)>) {
        let exports = exports.into_iter();
        self.on_complete
            .extend(exports.map(|(job, file)| (job, OnComplete::Save(file))));
    }

    /// Opens the event stream once the connection is up, if the list was loaded before or jobs are tracked. Its first
    /// event also retries exports that could not be saved while the connection was down.
    pub fn connected(&mut self, ctx: &mut Context<'_>) {
        if self.is_loaded || !self.on_complete.is_empty() {
            self.follow(ctx);
        }
    }

    /// Asks the server to queue a job.
    pub fn start(&mut self, job: StartJob, ctx: &mut Context<'_>) {
        let owner = match job.on_complete {
            OnComplete::Save(_) => Owner::Export,
            _ => Owner::Job,
        };
        let ticket = ctx.ticket(owner);
        self.pending
            .insert(ticket.run, PendingRequest::Start(job.on_complete));
        ctx.send(Call {
            body: job.body,
            ..Call::new(ticket, Method::POST, job.path)
        });
    }

    /// Records a job that the server has queued, and selects it.
    pub fn started(&mut self, job: Job, then: OnComplete, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        if let OnComplete::Save(file) = &then {
            ctx.effects.push(Effect::TrackExport(id, file.clone()));
            ctx.info("Exporting in the background.");
        }
        self.on_complete.insert(id, then);
        // The stream may have reported the end of the job before this reply arrived; it does not report it again. The
        // requests are compared because applying an import reuses the job of its dry run.
        let news = self.jobs.iter().find(|known| {
            known.id == job.id && known.request == job.request && known.state.is_final()
        });
        match news.cloned() {
            Some(ended) => self.ended(&ended, ctx),
            None => self.put(job),
        }
        self.select_id(id, ctx);
        if self.following.is_none() {
            self.follow(ctx);
        }
    }

    fn follow(&mut self, ctx: &mut Context<'_>) {
        (self.follow_at, self.is_first) = (None, true);
        self.following = Some(ctx.follow(Owner::JobEvents, "/v1/jobs/events".into()));
    }

    /// Handles an event of the stream, or its end.
    fn event(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if self.following != Some(reply.ticket.run) {
            return;
        }
        match reply.result.as_ref().map(Answer::read::<Vec<Job>>) {
            Ok(Ok(jobs)) => self.take(jobs, ctx),
            Ok(Err(error)) => self.error = Some(error),
            Err(failure) => {
                if !self.is_loaded {
                    self.error = Some(failure.message().to_owned());
                }
                self.following = None;
                self.follow_at = Some(ctx.now + RETRY);
            }
        }
    }

    fn take(&mut self, news: Vec<Job>, ctx: &mut Context<'_>) {
        let selected = self.selected().map(|job| job.id.uuid());
        let known = if std::mem::take(&mut self.is_first) {
            self.look_up_others(&news, ctx);
            std::mem::take(&mut self.jobs)
        } else {
            self.jobs.clone()
        };
        (self.is_loaded, self.error) = (true, None);
        for job in news {
            let was = known.iter().find(|known| known.id == job.id);
            let was_under_way = was.is_some_and(|known| !known.state.is_final());
            let has_ended = job.state.is_final();
            if has_ended && (was_under_way || self.on_complete.contains_key(&job.id.uuid())) {
                self.ended(&job, ctx);
            }
            if let JobRequest::Seed(request) = &job.request {
                // Suggests a seed number that no job has used, so that the form can be sent as offered.
                let free = request.seed.saturating_add(1);
                self.request.seed = self.request.seed.max(free);
            }
            self.put(job);
        }
        if let Some(id) = selected {
            self.select_id(id, ctx);
        }
    }

    fn put(&mut self, job: Job) {
        match self.jobs.iter_mut().find(|known| known.id == job.id) {
            Some(known) => *known = job,
            None => {
                self.jobs.push(job);
                self.jobs
                    .sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id)));
                self.jobs.truncate(MAX_JOBS);
            }
        }
    }

    fn cancel(&mut self, ctx: &mut Context<'_>) {
        match self.selected().filter(|job| !job.state.is_final()) {
            Some(job) => {
                let path = format!("/v1/jobs/{}", job.id);
                let ticket = ctx.ticket(Owner::Job);
                self.pending.insert(ticket.run, PendingRequest::Cancel);
                ctx.send(Call::new(ticket, Method::DELETE, path));
                ctx.info("Cancelling the job.");
            }
            None => ctx.error("The job has already ended."),
        }
    }

    fn open(&mut self, ctx: &mut Context<'_>) {
        let Some(job) = self.selected().cloned() else {
            return ctx.error("There are no jobs yet.");
        };
        if job.has_export() {
            let JobRequest::Export(export) = &job.request else {
                return;
            };
            // The name may come from another client: any folder in it is dropped.
            let name = export.name.as_ref().map(Path::new);
            let name = name.and_then(|name| Some(name.file_name()?.to_string_lossy().into_owned()));
            let name = name.unwrap_or_else(|| format!("{}.{}", export.resource, export.format));
            return ctx.open(Dialog::Prompt {
                title: "Save the export as".into(),
                text: name,
                purpose: PromptPurpose::SaveExport(job.id.uuid()),
            });
        }
        if job.report.is_some() {
            return self.review(&job, ctx);
        }
        let hint = match job.request.kind() {
            _ if !job.state.is_final() => "The job is running; its progress is shown below.",
            JobKind::Export if job.state == JobState::Done => "Its file has expired. Export again.",
            _ => "The details are shown below.",
        };
        ctx.info(hint);
    }

    pub fn selected(&self) -> Option<&Job> {
        self.jobs.get(self.selected)
    }

    fn select(&mut self, index: usize, ctx: &Context<'_>) {
        self.selected = index.min(self.jobs.len().saturating_sub(1));
        self.top = scrolled(self.top, self.selected, self.jobs.len(), listed(ctx.rows));
    }

    fn select_id(&mut self, id: Uuid, ctx: &Context<'_>) {
        let same = self.jobs.iter().position(|job| job.id.uuid() == id);
        self.select(same.unwrap_or(self.selected), ctx);
    }

    fn answered(&mut self, want: PendingRequest, answer: &Answer, ctx: &mut Context<'_>) {
        let job = match answer.read::<Job>() {
            Ok(job) => job,
            Err(error) => return ctx.error(error),
        };
        match want {
            PendingRequest::Start(then) => self.started(job, then, ctx),
            // The event stream reports the cancellation.
            PendingRequest::Cancel => {}
            PendingRequest::Review(_) => {
                ctx.open(Dialog::ImportReview(Box::new(job)));
            }
            PendingRequest::LookUp(_) if job.state.is_final() => self.ended(&job, ctx),
            // The job is not in the first event of the stream, so this is its newest state.
            PendingRequest::LookUp(_) => self.put(job),
            PendingRequest::Save(_) => {}
        }
    }
}

/// Rows of the list, out of the rows that fit on the screen. The others show the details of the selected job.
pub const fn listed(rows: usize) -> usize {
    rows - details(rows)
}

/// Rows for the details of the selected job, below the list: at most 9, and at most half of the screen.
pub const fn details(rows: usize) -> usize {
    let half = rows / 2;
    if half < 9 { half } else { 9 }
}

impl Screen for JobsScreen {
    fn scope(&self) -> Scope {
        Scope::Jobs
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        let page = listed(ctx.rows).saturating_sub(1).max(1);
        match command {
            Command::Up => self.select(self.selected.saturating_sub(1), ctx),
            Command::Down => self.select(self.selected + 1, ctx),
            Command::PageUp => self.select(self.selected.saturating_sub(page), ctx),
            Command::PageDown => self.select(self.selected + page, ctx),
            Command::Home => self.select(0, ctx),
            Command::End => self.select(usize::MAX, ctx),
            Command::Open => self.open(ctx),
            Command::CancelJob => self.cancel(ctx),
            Command::New => {
                ctx.open(Dialog::Form(FormSpec::seed(&self.request)));
            }
            Command::Refresh => self.follow(ctx),
            Command::Back => ctx.request(Request::GoBack),
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if reply.ticket.owner == Owner::JobEvents {
            return self.event(reply, ctx);
        }
        let Some(want) = self.pending.remove(&reply.ticket.run) else {
            return;
        };
        match (want, &reply.result) {
            (PendingRequest::Save(id), _) => self.saved(id, reply, ctx),
            (want, Ok(answer)) => self.answered(want, answer, ctx),
            (PendingRequest::LookUp(id), Err(Failure::Refused(problem)))
                if problem.is(Kind::NotFound) =>
            {
                ctx.error("An export has expired before it was saved. Export again.");
                self.untrack(id, ctx);
            }
            // The first event of the next stream looks the job up again.
            (PendingRequest::LookUp(_), Err(_)) => {}
            (_, Err(failure)) => ctx.error(failure.message()),
        }
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        if self.following.is_none() {
            self.follow(ctx);
        }
    }

    /// Does nothing: the event stream keeps the list up to date.
    fn expire(&mut self) {}

    fn click(&mut self, row: usize, ctx: &mut Context<'_>) {
        if row < listed(ctx.rows) && self.top + row < self.jobs.len() {
            self.select(self.top + row, ctx);
        }
    }

    fn resize(&mut self, ctx: &mut Context<'_>) {
        self.select(self.selected, ctx);
    }

    fn is_loading(&self) -> bool {
        !self.pending.is_empty() || self.is_first
    }

    fn deadline(&self) -> Option<Instant> {
        self.follow_at
    }

    fn tick(&mut self, ctx: &mut Context<'_>) {
        if self.follow_at.is_some_and(|at| at <= ctx.now) {
            self.follow(ctx);
        }
    }
}
