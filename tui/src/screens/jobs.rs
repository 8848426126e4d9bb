//! The Jobs tab: what the server does in the background, whoever asked for it. It is told as it goes on,
//! also to a client that was away meanwhile; what was asked for here is brought to its end here.

mod ended;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{
    FieldError, Kind, document,
    job::{Job, JobKind, JobRequest, JobState},
    seed::NewSeedJob,
};
use uuid::Uuid;

use crate::{
    dialogs::{
        form::Form,
        import::Review,
        line::Line,
        overlay::{Overlay, Prompt, Purpose},
    },
    messages::{
        context::{Context, Wish},
        event::{Answer, Call, Effect, Failure, Owner, Reply},
    },
    model::entity::{Field, FieldKind},
    screens::screen::{Screen, scrolled},
    settings::keys::{Command, Scope},
};

/// How long after the stream of events broke it is followed again.
const RETRY: Duration = Duration::from_secs(2);
/// Jobs that are listed, as by the server: a thousand under way and a hundred that have ended.
const MOST: usize = 1_100;

const SEED_FIELDS: &[Field] = &[
    Field::required("/seed", "Seed", FieldKind::Integer),
    Field::required("/categories", "Categories", FieldKind::Integer),
    Field::required("/products", "Products", FieldKind::Integer),
    Field::required("/customers", "Customers", FieldKind::Integer),
    Field::required("/orders", "Orders", FieldKind::Integer),
    Field::required("/months", "Months", FieldKind::Integer),
    Field::optional("/rate", "Rows/s", FieldKind::Integer),
];

/// A job that is to be put into the server's queue.
#[derive(Clone, Debug)]
pub struct Begin {
    pub path: String,
    pub body: Option<Value>,
    pub then: Then,
}

/// What is to be done once a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    Tell,
    /// Show what has become of the rows of a file.
    Review,
    /// Save the export under that name.
    Save(String),
}

#[derive(Debug)]
pub struct JobsScreen {
    /// The newest first.
    pub jobs: Vec<Job>,
    pub selected: usize,
    /// The first one on the screen.
    pub top: usize,
    pub is_loaded: bool,
    /// Why it is not known what there is.
    pub error: Option<String>,
    /// The sizes that the form of a seed begins with.
    request: NewSeedJob,
    awaited: BTreeMap<Uuid, Then>,
    asked: HashMap<u64, Want>,
    /// The run of the stream of events.
    following: Option<u64>,
    follow_at: Option<Instant>,
    /// Whether its first event, which tells all jobs, is yet to come.
    is_first: bool,
}

/// What a call is for.
#[derive(Clone, Debug)]
enum Want {
    Begin(Then),
    Cancel,
    Review(Uuid),
    /// Whether a job that is awaited has ended.
    Look(Uuid),
    /// To save the export of a job.
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
            awaited: BTreeMap::new(),
            asked: HashMap::new(),
            following: None,
            follow_at: None,
            is_first: false,
        }
    }
}

impl JobsScreen {
    /// The job of that kind that runs, or is next.
    pub fn under_way(&self, kind: JobKind) -> Option<&Job> {
        let unfinished = |job: &&Job| job.request.kind() == kind && !job.state.is_final();
        // The oldest has its turn first.
        self.jobs.iter().rev().find(unfinished)
    }

    /// Goes on waiting for what an earlier run has asked for.
    pub fn await_exports(&mut self, exports: Vec<(Uuid, String)>) {
        let exports = exports.into_iter();
        self.awaited
            .extend(exports.map(|(job, file)| (job, Then::Save(file))));
    }

    /// The connection is there, or there again.
    pub fn connected(&mut self, ctx: &mut Context<'_>) {
        if self.is_loaded || !self.awaited.is_empty() {
            self.follow(ctx);
        }
    }

    /// Puts a job into the server's queue.
    pub fn begin(&mut self, begin: Begin, ctx: &mut Context<'_>) {
        let owner = match begin.then {
            Then::Save(_) => Owner::Export,
            _ => Owner::Job,
        };
        let ticket = ctx.ticket(owner);
        self.asked.insert(ticket.run, Want::Begin(begin.then));
        ctx.send(Call {
            body: begin.body,
            ..Call::new(ticket, Method::POST, begin.path)
        });
    }

    /// Takes a job that is in the queue now.
    pub fn begun(&mut self, job: Job, then: Then, ctx: &mut Context<'_>) {
        let id = job.id.uuid();
        if let Then::Save(file) = &then {
            ctx.effects.push(Effect::Await(id, file.clone()));
            ctx.good("Exporting; you may go on meanwhile, or leave.");
        }
        self.awaited.insert(id, then);
        // The stream may have been quicker, and say nothing more of it.
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

    /// Takes what the stream of events says, or that it has ended.
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
        let known = match std::mem::take(&mut self.is_first) {
            true => {
                self.look_for_others(&news, ctx);
                std::mem::take(&mut self.jobs)
            }
            false => self.jobs.clone(),
        };
        (self.is_loaded, self.error) = (true, None);
        for job in news {
            let was = known.iter().find(|known| known.id == job.id);
            let was_under_way = was.is_some_and(|known| !known.state.is_final());
            let has_ended = job.state.is_final();
            if has_ended && (was_under_way || self.awaited.contains_key(&job.id.uuid())) {
                self.ended(&job, ctx);
            }
            if let JobRequest::Seed(request) = &job.request {
                // A seed that is not used yet, so that the form just works.
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
                self.jobs.truncate(MOST);
            }
        }
    }

    fn cancel(&mut self, ctx: &mut Context<'_>) {
        match self.selected().filter(|job| !job.state.is_final()) {
            Some(job) => {
                let path = format!("/v1/jobs/{}", job.id);
                let ticket = ctx.ticket(Owner::Job);
                self.asked.insert(ticket.run, Want::Cancel);
                ctx.send(Call::new(ticket, Method::DELETE, path));
                ctx.good("Cancelling it.");
            }
            None => ctx.bad("The job has ended; there is nothing to cancel."),
        }
    }

    fn open(&mut self, ctx: &mut Context<'_>) {
        let Some(job) = self.selected().cloned() else {
            return ctx.bad("There is no job yet.");
        };
        if job.has_export() {
            let JobRequest::Export(export) = &job.request else {
                return;
            };
            // Somebody else may have called it so: no folder is taken over from there.
            let name = export.name.as_ref().map(Path::new);
            let name = name.and_then(|name| Some(name.file_name()?.to_string_lossy().into_owned()));
            let name = name.unwrap_or_else(|| format!("{}.{}", export.resource, export.format));
            return ctx.wish(Wish::Open(Overlay::Prompt(Prompt {
                title: "Save the export as".into(),
                line: Line::new(name),
                purpose: Purpose::SaveExport(job.id.uuid()),
            })));
        }
        if job.report.is_some() {
            return self.review(&job, ctx);
        }
        let words = match job.request.kind() {
            _ if !job.state.is_final() => "It is under way; all that is known stands below.",
            JobKind::Export if job.state == JobState::Done => {
                "Its file is not kept any more; export once more."
            }
            _ => "All that is known of it stands below.",
        };
        ctx.good(words);
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

    fn answered(&mut self, want: Want, answer: &Answer, ctx: &mut Context<'_>) {
        let job = match answer.read::<Job>() {
            Ok(job) => job,
            Err(error) => return ctx.bad(error),
        };
        match want {
            Want::Begin(then) => self.begun(job, then, ctx),
            // The stream tells how that goes on.
            Want::Cancel => {}
            Want::Review(_) => {
                let job = Box::new(job);
                ctx.wish(Wish::Review(Review { job, top: 0 }));
            }
            Want::Look(_) if job.state.is_final() => self.ended(&job, ctx),
            // Newer than what the stream began with.
            Want::Look(_) => self.put(job),
            Want::Save(_) => {}
        }
    }
}

/// Rows of the list, where so many fit above the hints: the selected job is told of below it.
pub const fn listed(rows: usize) -> usize {
    rows - details(rows)
}

/// Rows in which the selected job is told of.
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
                let sizes = document::to_value(&self.request);
                let form = Form::seed(SEED_FIELDS, &sizes, check);
                ctx.wish(Wish::Open(Overlay::Form(Box::new(form))));
            }
            Command::Refresh => self.follow(ctx),
            Command::Back => ctx.wish(Wish::Return),
            _ => {}
        }
    }

    fn reply(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if reply.ticket.owner == Owner::JobEvents {
            return self.event(reply, ctx);
        }
        let Some(want) = self.asked.remove(&reply.ticket.run) else {
            return;
        };
        match (want, &reply.result) {
            (Want::Save(id), _) => self.saved(id, reply, ctx),
            (want, Ok(answer)) => self.answered(want, answer, ctx),
            (Want::Look(id), Err(Failure::Refused(problem))) if problem.is(Kind::NotFound) => {
                ctx.bad("An export that was asked for is not kept any more.");
                self.forget(id, ctx);
            }
            // It is looked for again once the server is there again.
            (Want::Look(_), Err(_)) => {}
            (_, Err(failure)) => ctx.bad(failure.message()),
        }
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        if self.following.is_none() {
            self.follow(ctx);
        }
    }

    /// The stream of events keeps it true.
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
        !self.asked.is_empty() || self.is_first
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

fn check(sizes: Value) -> Vec<FieldError> {
    match document::from_value::<NewSeedJob>(&sizes) {
        Ok(request) => request.check(),
        Err(error) => vec![error],
    }
}
