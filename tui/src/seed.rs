//! The Seed tab: sizes, a running job, its progress.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use stockroom_common::{
    FieldError, Page, document,
    seed::{NewSeedJob, SeedJob, SeedState},
};

use crate::{
    context::{Context, Wish},
    entity::{Field, FieldKind},
    event::{Answer, Call, Owner, Reply},
    form::Form,
    keys::{Command, Scope},
    overlay::Overlay,
    screen::Screen,
};

/// How long after a stream of events broke the job is followed again.
const RETRY: Duration = Duration::from_secs(2);

const FIELDS: &[Field] = &[
    Field::required("/seed", "Seed", FieldKind::Integer),
    Field::required("/categories", "Categories", FieldKind::Integer),
    Field::required("/products", "Products", FieldKind::Integer),
    Field::required("/customers", "Customers", FieldKind::Integer),
    Field::required("/orders", "Orders", FieldKind::Integer),
    Field::required("/months", "Months", FieldKind::Integer),
    Field::optional("/rate", "Rows/s", FieldKind::Integer),
];

#[derive(Debug)]
pub struct SeedScreen {
    pub request: NewSeedJob,
    /// The job that runs or is next; else the last one.
    pub job: Option<SeedJob>,
    /// How many more wait for their turn.
    pub queued: usize,
    pub error: Option<String>,
    waiting: Option<(u64, Want)>,
    /// The run of the stream of events about the job.
    following: Option<u64>,
    follow_at: Option<Instant>,
    is_stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Jobs,
    Start,
    Cancel,
}

impl Default for SeedScreen {
    fn default() -> Self {
        Self {
            request: NewSeedJob::SMALL,
            job: None,
            queued: 0,
            error: None,
            waiting: None,
            following: None,
            follow_at: None,
            is_stale: true,
        }
    }
}

impl SeedScreen {
    pub fn is_running(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.state.is_final())
    }

    fn follow(&mut self, ctx: &mut Context<'_>) {
        self.follow_at = None;
        if let Some(job) = &self.job {
            let path = format!("/v1/seed-jobs/{}/events", job.id);
            self.following = Some(ctx.follow(Owner::SeedEvents, path));
        }
    }

    /// Takes the sizes from the form.
    pub fn set_request(&mut self, sizes: Value) {
        if let Ok(request) = document::from_value(sizes) {
            self.request = request;
            self.error = None;
        }
    }

    fn start(&mut self, ctx: &mut Context<'_>) {
        if self.is_loading() {
            return;
        }
        self.error = None;
        let body = document::to_value(&self.request);
        self.send(
            Want::Start,
            Method::POST,
            "/v1/seed-jobs".into(),
            Some(body),
            ctx,
        );
    }

    fn cancel(&mut self, ctx: &mut Context<'_>) {
        match self.job.as_ref().filter(|job| !job.state.is_final()) {
            Some(job) => {
                let path = format!("/v1/seed-jobs/{}", job.id);
                self.send(Want::Cancel, Method::DELETE, path, None, ctx);
                ctx.good("Cancelling after the present batches.");
            }
            None => ctx.bad("There is no running job to cancel."),
        }
    }

    fn send(
        &mut self,
        want: Want,
        method: Method,
        path: String,
        body: Option<Value>,
        ctx: &mut Context<'_>,
    ) {
        let ticket = ctx.ticket(Owner::Seed);
        self.waiting = Some((ticket.run, want));
        ctx.send(Call {
            body,
            ..Call::new(ticket, method, path)
        });
    }

    fn take(&mut self, job: SeedJob, ctx: &mut Context<'_>) {
        let was_running = self.is_running();
        let is_another = self.job.as_ref().is_none_or(|known| known.id != job.id);
        self.request.seed = self.request.seed.max(job.request.seed.saturating_add(1));
        self.job = Some(job);
        if self.is_running() {
            if is_another || self.following.is_none() {
                self.follow(ctx);
            }
            return;
        }
        (self.following, self.follow_at) = (None, None);
        if was_running {
            ctx.wish(Wish::Expire);
            // Another may have its turn now.
            self.is_stale = true;
            self.show(ctx);
        }
    }

    /// Takes what the stream of events says of the job, or that it has ended.
    fn event(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        if self.following != Some(reply.ticket.run) {
            return;
        }
        match reply.result.as_ref().map(Answer::read) {
            Ok(Ok(job)) => self.take(job, ctx),
            Ok(Err(error)) => self.error = Some(error),
            Err(_) => {
                self.following = None;
                self.follow_at = Some(ctx.now + RETRY);
            }
        }
    }

    fn take_all(&mut self, jobs: Vec<SeedJob>, ctx: &mut Context<'_>) {
        let used = jobs.iter().map(|job| job.request.seed).max();
        // A seed that is not used yet, so that Enter just works.
        self.request.seed = self
            .request
            .seed
            .max(used.map_or(1, |seed| seed.saturating_add(1)));
        let mut unfinished = jobs.iter().filter(|job| !job.state.is_final());
        self.queued = unfinished.clone().count().saturating_sub(1);
        // The newest comes first; the one that runs, or is next, is the oldest.
        let running = jobs.iter().find(|job| job.state == SeedState::Running);
        let next = running.or(unfinished.next_back()).or(jobs.first());
        if let Some(job) = next.cloned() {
            self.take(job, ctx);
        }
    }
}

impl Screen for SeedScreen {
    fn scope(&self) -> Scope {
        Scope::Seed
    }

    fn command(&mut self, command: Command, ctx: &mut Context<'_>) {
        match command {
            Command::StartSeed => self.start(ctx),
            Command::CancelSeed => self.cancel(ctx),
            Command::Edit => {
                let sizes = document::to_value(&self.request);
                ctx.wish(Wish::Open(Overlay::Form(Box::new(Form::seed(
                    FIELDS, &sizes, check,
                )))));
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
        if reply.ticket.owner == Owner::SeedEvents {
            return self.event(reply, ctx);
        }
        let Some((_, want)) = self.waiting.take_if(|(run, _)| *run == reply.ticket.run) else {
            return;
        };
        let answer = match &reply.result {
            Ok(answer) => answer,
            Err(failure) => {
                if want == Want::Start {
                    self.error = Some(failure.message().to_owned());
                }
                self.is_stale |= want == Want::Jobs;
                return;
            }
        };
        let read = match want {
            Want::Jobs => answer
                .read::<Page<SeedJob>>()
                .map(|page| self.take_all(page.items, ctx)),
            Want::Start if self.is_running() => {
                self.queued += 1;
                ctx.good("The job waits for its turn.");
                answer.read().map(|job: SeedJob| {
                    self.request.seed = self.request.seed.max(job.request.seed.saturating_add(1));
                })
            }
            Want::Start | Want::Cancel => answer.read().map(|job| self.take(job, ctx)),
        };
        self.error = read.err();
    }

    fn show(&mut self, ctx: &mut Context<'_>) {
        let is_asked = matches!(self.waiting, Some((_, Want::Jobs)));
        if std::mem::take(&mut self.is_stale) && !is_asked {
            self.send(Want::Jobs, Method::GET, "/v1/seed-jobs".into(), None, ctx);
        }
    }

    fn expire(&mut self) {
        self.is_stale = true;
    }

    fn is_loading(&self) -> bool {
        self.waiting.is_some()
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
    match document::from_value::<NewSeedJob>(sizes) {
        Ok(request) => request.check(),
        Err(error) => vec![error],
    }
}
